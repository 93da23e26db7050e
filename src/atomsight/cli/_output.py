"""Output shared by all verbs: consoles, JSON lines, messages, exit status."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from atomsight.core.errors import OutputError

INTERRUPTED = 130
"""Exit status after Ctrl-C, by the convention of shells: 128 + SIGINT."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

P = ParamSpec("P")
R = TypeVar("R")


def printable(text: str) -> str:
    """Replace characters that control a terminal or the direction of writing by �."""
    return _UNPRINTABLE.sub("�", text)


class TextConsole(Console):
    """A console that prints texts exactly: no markup, no emoji codes, no control characters.

    Style comes from `rich.text.Text` and ``style=`` alone, so that nothing read from a file has a meaning.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments to print, texts with printable characters only."""
        for segment in super().render(renderable, options):
            if segment.control or not _UNPRINTABLE.search(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


out = TextConsole()
"""Console for results."""

err = TextConsole(stderr=True)
"""Console for progress, warnings and summaries, so that results can be piped."""


def emit(record: dict[str, Any]) -> None:
    """Write one JSON object as a line on standard output."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def note(text: str, word: str = "note") -> None:
    """Print a message on standard error after a coloured word such as ``warning``."""
    err.print(Text.assemble((word, "yellow"), f" {text}"))


class Skips:
    """Prints and counts skipped crystals; an instance is passed as ``on_skip=``."""

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
    """A context for writing files after the work: an error is kept until the results are printed.

    `finish` raises the error.
    """

    def __init__(self) -> None:
        self.failure: OutputError | None = None

    def __enter__(self) -> Saving:
        return self

    def __exit__(self, error_type: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OutputError):
            return False
        self.failure = self.failure or error
        return True

    def report(self, path: Path | None, contents: str = "tables and figures") -> None:
        """Print where the files are if they were written."""
        if path is not None and self.failure is None:
            err.print(f"{contents} in {path}")


def finish(handled: int, saving: Saving | None = None) -> None:
    """End a verb with exit status 0 if at least one crystal was handled, else with 1.

    Raises:
        OutputError: a file could not be written.
    """
    sys.stdout.flush()
    if saving is not None and saving.failure is not None:
        raise saving.failure
    if handled == 0:
        raise typer.Exit(1)


def interruptible(message: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a verb so that after Ctrl-C it prints which results are kept and how to continue."""

    def decorate(verb: Callable[P, R]) -> Callable[P, R]:
        @wraps(verb)
        def run(*args: P.args, **options: P.kwargs) -> R:
            try:
                return verb(*args, **options)
            except KeyboardInterrupt as stop:
                note(_notes_of(stop) or message, "interrupted:")
                raise typer.Exit(INTERRUPTED) from None

        return run

    return decorate


def _notes_of(interrupt: BaseException | None) -> str:
    """Return the notes that the interrupted work added to the exception."""
    while interrupt is not None:
        if notes := getattr(interrupt, "__notes__", None):
            return "; ".join(notes)
        interrupt = interrupt.__context__
    return ""


AGAIN = "run the same command again"
"""Advice after Ctrl-C, part of the messages below."""

PRINTED = "the results printed so far are complete; nothing else is kept"
"""Message of verbs that print results one by one."""

RESUME = f"{AGAIN}, with --resume, to continue"
"""Message of verbs that train models."""

FILES = f"the files already in --out are complete; {AGAIN}"
"""Message of verbs that write tables and figures."""
