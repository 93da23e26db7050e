"""Uploaded files, read in worker processes under limits of time and memory.

A file that crashes its process, takes too long or needs too much memory is skipped, and the
server goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from atomsight.core.crystal import Crystal
from atomsight.io import read
from atomsight.parallel.jobs import Skipped, Source, Work, sources_of, spread
from atomsight.parallel.pool import Limits, LocalWorkers
from atomsight.web.jobs import Job
from atomsight.web.uploads import EXAMPLES, crystal_examples

LIMITS = Limits(seconds=60.0, memory=4 * 2**30)
"""Limits for reading one file, unless others are set."""

WORKERS = 2
"""Worker processes of one job."""


@dataclass(frozen=True)
class ReadJob:
    """Reads files; the results are their crystals."""

    files = 1

    def open(self) -> Work:
        """Return the work: crystals pass unchanged.

        The bundled crystals are read first, so that no time limit includes compiling numerical kernels.
        """
        for _ in read([EXAMPLES / name for name in crystal_examples()]):
            pass
        return lambda crystals, on_skip: crystals


@dataclass(frozen=True)
class Capacity:
    """What one job may keep in memory.

    Attributes:
        most: largest sum of `size` over the crystals.
        size: size of one crystal.
        message: message of a job that reached the limit.
    """

    most: int
    size: Callable[[Crystal], int]
    message: str


def read_upload(job: Job, limits: Limits, capacity: Capacity, only: str | None = None) -> Iterator[Crystal]:
    """Read the crystals of a job's upload, with progress, skips and cancellation of the job.

    Args:
        job: names the upload.
        limits: time and memory for each file.
        capacity: the crystals beyond it are not read.
        only: the source of one crystal, as the page shows it; None reads all.

    Raises:
        Cancelled: the job was cancelled, perhaps while a file was being read.
    """
    total = 0
    sources = (one for one in sources_of(job.upload.paths) if only is None or _may_hold(one, only, job))
    for crystal in spread(
        sources, ReadJob(), job.skip, executor=LocalWorkers(WORKERS, limits), watch=job.advance
    ):
        if only is not None and job.upload.shown(crystal.source) != only:
            continue
        job.advance()
        job.start_file(crystal.source)
        total += capacity.size(crystal)
        if total > capacity.most:
            job.message = capacity.message
            return
        yield crystal


def _may_hold(source: Source, only: str, job: Job) -> bool:
    """Return whether a file may contain the crystal with this source."""
    if isinstance(source, Skipped):
        return False
    shown = job.upload.shown(source.source)
    return only == shown or only.startswith(f"{shown}#")
