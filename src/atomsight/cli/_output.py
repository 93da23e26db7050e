"""What every verb shares: consoles that print text as text, JSON lines, and the exit status."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from atomsight.core.errors import OutputError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

P = ParamSpec("P")
R = TypeVar("R")


def printable(text: str) -> str:
    """The text without characters that steer a terminal or turn the direction of writing; each becomes �."""
    return _UNPRINTABLE.sub("�", text)


class TextConsole(Console):
    """A console that prints texts exactly: no markup, no emoji codes, no control characters.

    Style comes from `rich.text.Text` and ``style=`` alone, so that nothing read from a file has a meaning.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of what is printed; those that come from texts hold printable characters only."""
        for segment in super().render(renderable, options):
            if segment.control or not _UNPRINTABLE.search(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


out = TextConsole()
"""Results: tables."""

err = TextConsole(stderr=True)
"""Progress, warnings and summaries, so that results can be piped."""


def emit(record: dict[str, Any]) -> None:
    """Write one JSON object as a line of its own on standard output."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def note(text: str, word: str = "note") -> None:
    """Print a remark on standard error, after a coloured word such as ``warning``."""
    err.print(Text.assemble((word, "yellow"), f" {text}"))


class Skips:
    """Counts skipped crystals and shows each at once; pass an instance as ``on_skip=`` to a reader."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.count = 0

    def __call__(self, source: str, reason: str) -> None:
        self.count += 1
        if self.as_json:
            emit({"source": source, "skipped": reason})
        else:
            note(f"{source}: {reason}", "skipped")


class Saving:
    """A context for writing files once the work is done: an error waits until the results are shown.

    Give it to `finish`, which raises the error.
    """

    def __init__(self) -> None:
        self.failure: OutputError | None = None

    def __enter__(self) -> Saving:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, OutputError):
            return False
        self.failure = self.failure or error
        return True

    def tell(self, text: str) -> None:
        """Print where the files are, if they were written."""
        if self.failure is None:
            err.print(text)


def finish(handled: int, saving: Saving | None = None) -> None:
    """End a verb: exit status 0 when at least one crystal was handled, 1 when none was.

    Raises:
        OutputError: a file could not be written.
    """
    sys.stdout.flush()
    if saving is not None and saving.failure is not None:
        raise saving.failure
    if handled == 0:
        raise typer.Exit(1)


def keeps(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a verb say after Ctrl-C what it keeps and how to go on. A decorator."""

    def decorate(verb: Callable[P, R]) -> Callable[P, R]:
        @wraps(verb)
        def run(*args: P.args, **options: P.kwargs) -> R:
            try:
                return verb(*args, **options)
            except KeyboardInterrupt as stop:
                note(_kept(stop) or what, "interrupted:")
                raise typer.Exit(INTERRUPTED) from None

        return run

    return decorate


def _kept(interrupt: BaseException | None) -> str:
    """Return what the interrupted work itself says of what it keeps, in notes on the exception."""
    while interrupt is not None:
        if notes := getattr(interrupt, "__notes__", None):
            return "; ".join(notes)
        interrupt = interrupt.__context__
    return ""


AGAIN = "run the same command again"
PRINTED = "the results printed so far are complete; nothing else is kept"
RESUME = f"{AGAIN}, with --resume, to continue"
FILES = f"the files already in --out are complete; {AGAIN}"
"""What verbs keep."""
