"""A reading job that some files end or block, as a fault in a compiled library does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.progress import OnSkip
from atomsight.parallel.jobs import Work
from atomsight.web.reading import ReadJob


def dangerous(crystals: Iterator[Crystal], on_skip: OnSkip | None) -> Iterator[Crystal]:
    """Pass crystals; the name of a file says what it does to the process."""
    for crystal in crystals:
        if "crash" in crystal.source:
            crash()
        if "hang" in crystal.source:
            time.sleep(600)
        if "greedy" in crystal.source:
            np.ones(2**28).sum()
        yield crystal


def crash(*unused: object) -> str:
    """End the process as after an invalid memory access."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return ""


class DangerousJob(ReadJob):
    """As `ReadJob`, with `dangerous` as the work."""

    def open(self) -> Work:
        """Return the work."""
        super().open()
        return dangerous
