"""What every verb shares: consoles, JSON lines, and the exit status."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer
from rich.console import Console

out = Console()
"""Results: tables."""

err = Console(stderr=True)
"""Progress, warnings and summaries, so that results can be piped."""


def emit(record: dict[str, Any]) -> None:
    """Write one JSON object as a line of its own on standard output."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


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
            err.print(f"[yellow]skipped[/] {source}: {reason}", highlight=False, markup=True)


def finish(handled: int) -> None:
    """End a verb: exit status 0 when at least one crystal was handled, 1 when none was."""
    sys.stdout.flush()
    if handled == 0:
        raise typer.Exit(1)
