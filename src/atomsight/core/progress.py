"""Progress of long work, and the count of what was skipped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atomsight.core.errors import SkippedWarning

OnSkip = Callable[[str, str], None]
"""Receives ``(source, reason)`` of everything left out; `reason` is a `atomsight.io.Reason`."""


@dataclass(frozen=True)
class Progress:
    """How far a verb has come.

    Attributes:
        stage: what is being done, such as ``reading`` or ``writing``; in a training, the name of its stage.
        done: units of the stage that are complete: crystals, sites of an evaluation, steps of an epoch, or
            parts of a dataset that is written.
        total: how many units the stage has; None where that is unknown.
        skipped: crystals left out so far.
        part: share of the next unit that is complete, 0 to 1, where it is known.
        sites: symmetry-unique sites read so far by a build.
        resumed: crystals of a build that an earlier, interrupted build had read.
        epoch: epoch of a training, from 1.
        epochs: the largest number of epochs of the stage.
        record: scores at the end of an epoch or run, as the command line prints them; else empty.

    Example:
        >>> Progress("predicting", done=3, skipped=1).done
        3
    """

    stage: str
    done: int = 0
    total: int | None = None
    skipped: int = 0
    part: float = 0.0
    sites: int = 0
    resumed: int = 0
    epoch: int | None = None
    epochs: int | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
"""Receives the progress of a verb; what it raises ends the work."""


class Tracker:
    """Counts the results and skips of a verb, and reports both.

    Args:
        stage: name of the stage, see `Progress`.
        progress: receives the progress after every result.
        on_skip: receives what is skipped. Without it, `close` warns of the skips.
    """

    def __init__(self, stage: str, progress: OnProgress | None = None, on_skip: OnSkip | None = None) -> None:
        self.done = 0
        self.skipped = 0
        self._stage = stage
        self._progress = progress
        self._on_skip = on_skip
        self._first = ""

    @property
    def listens(self) -> bool:
        """Whether an ``on_skip`` receives the skips."""
        return self._on_skip is not None

    def skip(self, source: str, reason: str) -> None:
        """Count what was left out; an ``on_skip``."""
        self.skipped += 1
        self._first = self._first or f"{source}: {reason}"
        if self._on_skip is not None:
            self._on_skip(source, reason)

    def advance(self) -> None:
        """Count one more result."""
        self.done += 1
        self.reach(0.0)

    def reach(self, part: float) -> None:
        """Report the share of the next result that is complete."""
        if self._progress is not None:
            self._progress(Progress(self._stage, self.done, skipped=self.skipped, part=part))

    def close(self, stacklevel: int) -> None:
        """Warn once of what was skipped, unless an ``on_skip`` received it.

        Args:
            stacklevel: as of `warnings.warn`, counted from the caller.
        """
        if self.skipped and self._on_skip is None:
            structures = "1 structure was" if self.skipped == 1 else f"{self.skipped} structures were"
            first = "" if self.skipped == 1 else "the first is "
            text = f"{structures} skipped; {first}{self._first}. Pass on_skip to receive each of them"
            warnings.warn(text, SkippedWarning, stacklevel=stacklevel + 1)
