"""Long work: done in threads of its own, watched, cancelled, forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Any, Literal, get_args

from atomsight.core.errors import AtomsightError
from atomsight.core.progress import Progress
from atomsight.io import iter_members
from atomsight.web.uploads import Upload

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Kind = Literal["check", "rank", "try"]

MOST_WAITING = 50
"""Jobs of a kind that may wait for their turn."""

MOST_SKIPS = 2_000
"""Skipped crystals that a job tells of one by one; the others are counted."""


COUNTING = 2.0
"""Seconds that the files of an upload may take to be counted."""


class BusyError(AtomsightError):
    """Too many jobs wait already."""


class Cancelled(Exception):  # no error: it was asked for
    """Raised inside a job that was cancelled, by `Job.advance`."""


@dataclass
class Job:
    """One piece of work.

    Attributes:
        identifier: random.
        kind: what it does.
        upload: what it works on.
        state: where it stands.
        handled, marked: crystals done; of these flagged, or kept.
        part: how far the crystal at hand is, 0 to 1.
        parent: the job whose crystal this one tries elements on; forgotten with it.
        files, read: structure files of the upload, those inside archives too, None where counting them takes
            too long; how many of them have been begun.
        skipped: (source, reason) of crystals left out, the first `MOST_SKIPS`.
        n_skipped: how many were left out.
        message: why it failed, or what to know.
        result: what it has found so far.
    """

    kind: Kind
    upload: Upload
    identifier: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "waiting"
    handled: int = 0
    marked: int = 0
    part: float = 0.0
    parent: Job | None = None
    files: int | None = None
    read: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    n_skipped: int = 0
    message: str = ""
    result: Any = None
    stop: Event = field(default_factory=Event)
    _file: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")

    def advance(self, marked: bool | None = None) -> None:
        """Tell that a crystal is done, and whether it is marked; None tells of no crystal.

        Raises:
            Cancelled: the job is to end.
        """
        if self.stop.is_set():
            raise Cancelled
        if marked is not None:
            self.handled += 1
            self.marked += marked
            self.part = 0.0

    def reach(self, progress: Progress) -> None:
        """Take over how far the crystal at hand is, and count it no further.

        Raises:
            Cancelled: the job is to end.
        """
        self.advance()
        self.part = progress.part

    def count(self) -> None:
        """Count the files of the upload, for the progress, and note those that could not be stored."""
        self.skipped.extend(self.upload.skipped[: MOST_SKIPS - len(self.skipped)])
        self.n_skipped += len(self.upload.skipped)
        until, files = monotonic() + COUNTING, 0

        def one(*unused: object) -> None:
            nonlocal files
            files += 1
            self.advance()

        for _ in iter_members(self.upload.paths, one):
            one()
            if monotonic() > until:
                return
        self.files = files

    def begin(self, source: str) -> None:
        """Tell which crystal is being read."""
        file = source.partition("#")[0]
        if file != self._file:
            self._file = file
            self.read += 1

    def skip(self, source: str, reason: str) -> None:
        """Tell of a crystal that was left out; an ``on_skip`` of the readers."""
        self.advance()
        self.begin(source)
        self.n_skipped += 1
        if len(self.skipped) < MOST_SKIPS:
            self.skipped.append((self.upload.shown(source), reason.replace(f"{self.upload.folder}/", "")))

    def status(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "job": self.identifier,
            "kind": self.kind,
            "state": self.state,
            "handled": self.handled,
            "marked": self.marked,
            "part": round(self.part, 2),
            "files": self.files,
            "read": self.read,
            "skipped": self.n_skipped,
            "message": self.message,
        }

    def _enter(self, state: State, message: str = "") -> None:
        self.message = message or self.message
        self.state = state


class Jobs:
    """The jobs of one server, one of each kind at a time. A context manager: at its end all are cancelled."""

    def __init__(self) -> None:
        self._held: dict[str, Job] = {}
        self._threads = {
            kind: ThreadPoolExecutor(1, thread_name_prefix=f"atomsight-{kind}") for kind in get_args(Kind)
        }

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *unused: object) -> None:
        for job in list(self._held.values()):
            job.stop.set()
        for threads in self._threads.values():
            threads.shutdown(wait=True, cancel_futures=True)

    def start(self, job: Job, work: Callable[[Job], None]) -> Job:
        """Begin a job, or let it wait for its turn.

        Raises:
            BusyError: too many wait.
        """
        waiting = sum(
            other.state == "waiting" and other.kind == job.kind for other in list(self._held.values())
        )
        if waiting >= MOST_WAITING:
            raise BusyError(f"{waiting} jobs wait already; cancel some")
        self._held[job.identifier] = job
        self._threads[job.kind].submit(_run, job, work)
        return job

    def get(self, identifier: str, kind: Kind | None = None) -> Job:
        """The job of that identifier.

        Raises:
            KeyError: there is none of that kind.
        """
        job = self._held[identifier]
        if kind is not None and job.kind != kind:
            raise KeyError(identifier)
        return job

    def uses(self, upload: Upload) -> bool:
        """Whether a job works on an upload."""
        return any(job.upload is upload for job in list(self._held.values()))

    def cancel(self, job: Job) -> None:
        """Ask a job to end; what it has found stays."""
        job.stop.set()
        if job.state == "waiting":
            job.state = "cancelled"

    def forget(self, job: Job) -> None:
        """Cancel a job and let go of what it found, and of the elements tried on its crystals."""
        self.cancel(job)
        self._held.pop(job.identifier, None)
        for other in self.children(job):
            self.forget(other)

    def children(self, job: Job) -> list[Job]:
        """The jobs that try elements on the crystals of a job, oldest first."""
        return [other for other in list(self._held.values()) if other.parent is job]


def _run(job: Job, work: Callable[[Job], None]) -> None:
    if job.stop.is_set():
        job._enter("cancelled")
        return
    job._enter("running")
    try:
        work(job)
    except Cancelled:
        job._enter("cancelled")
    except AtomsightError as error:
        job._enter("failed", str(error).replace(f"{job.upload.folder}/", ""))
    except MemoryError:
        job._enter("failed", "the memory does not suffice; take fewer or smaller crystals")
    except Exception as error:
        job._enter("failed", f"this should not happen ({type(error).__name__}: {error})")
    else:
        job._enter("done")
