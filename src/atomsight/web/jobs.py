"""Jobs: long work in threads, with progress and cancellation."""

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
Task = Literal["check", "rank", "try"]

MOST_WAITING = 50
"""Largest number of waiting jobs of each task."""

MOST_SKIPS = 2_000
"""Largest number of skips that a job lists; the others are only counted."""

COUNTING_SECONDS = 2.0
"""Time limit for counting the files of an upload."""


class BusyError(AtomsightError):
    """Too many jobs are waiting."""


class Cancelled(Exception):
    """Raised by `Job.advance` inside a job after the user cancelled it."""


@dataclass
class Job:
    """One job.

    Attributes:
        task: what the job does.
        upload: the files that it works on.
        identifier: random text.
        state: state of the job.
        handled: number of crystals that are done.
        marked: number of crystals that are flagged (check) or kept (rank).
        part: completed share of the current crystal, 0 to 1.
        parent: the check whose crystal this job tries elements on; forgotten together with it.
        files: number of structure files of the upload, including those in archives; None if counting them
            takes too long.
        read: number of files that were started.
        skipped: source and reason of the first `MOST_SKIPS` skipped crystals.
        n_skipped: number of skipped crystals.
        message: reason of a failure, or a notice.
        result: results so far.
        stop: set when the job is to end.
    """

    task: Task
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

    def advance(self, marked: bool | None = None) -> None:
        """Count a crystal.

        Args:
            marked: whether the crystal is flagged or kept; None counts no crystal.

        Raises:
            Cancelled: the job was cancelled.
        """
        if self.stop.is_set():
            raise Cancelled
        if marked is not None:
            self.handled += 1
            self.marked += marked
            self.part = 0.0

    def reach(self, progress: Progress) -> None:
        """Store the completed share of the current crystal.

        Raises:
            Cancelled: the job was cancelled.
        """
        self.advance()
        self.part = progress.part

    def count(self) -> None:
        """Count the files of the upload, and add those that could not be stored to the skips."""
        self.skipped.extend(self.upload.skipped[: MOST_SKIPS - len(self.skipped)])
        self.n_skipped += len(self.upload.skipped)
        until, files = monotonic() + COUNTING_SECONDS, 0

        def one(*unused: object) -> None:
            nonlocal files
            files += 1
            self.advance()

        for _ in iter_members(self.upload.paths, one):
            one()
            if monotonic() > until:
                return
        self.files = files

    def start_file(self, source: str) -> None:
        """Count the file of a crystal when its first crystal is read."""
        file = source.partition("#")[0]
        if file != self._file:
            self._file = file
            self.read += 1

    def skip(self, source: str, reason: str) -> None:
        """Record a skipped crystal; passed as ``on_skip``."""
        self.advance()
        self.start_file(source)
        self.n_skipped += 1
        if len(self.skipped) < MOST_SKIPS:
            self.skipped.append((self.upload.shown(source), reason.replace(f"{self.upload.folder}/", "")))

    def status(self) -> dict[str, Any]:
        """Return the status as values for JSON."""
        return {
            "job": self.identifier,
            "kind": self.task,
            **{key: getattr(self, key) for key in ("state", "handled", "marked", "files", "read", "message")},
            "part": round(self.part, 2),
            "skipped": self.n_skipped,
        }


class Jobs:
    """The jobs of one server; one job of each task runs at a time.

    A context manager: at its end all jobs are cancelled.
    """

    def __init__(self) -> None:
        self._held: dict[str, Job] = {}
        self._threads = {
            task: ThreadPoolExecutor(1, thread_name_prefix=f"atomsight-{task}") for task in get_args(Task)
        }

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *unused: object) -> None:
        for job in list(self._held.values()):
            job.stop.set()
        for threads in self._threads.values():
            threads.shutdown(wait=True, cancel_futures=True)

    def start(self, job: Job, work: Callable[[Job], None]) -> Job:
        """Start a job, or let it wait until earlier jobs of its task have ended.

        Raises:
            BusyError: too many jobs are waiting.
        """
        jobs = list(self._held.values())
        waiting = sum(other.state == "waiting" and other.task == job.task for other in jobs)
        if waiting >= MOST_WAITING:
            raise BusyError(f"{waiting} jobs are waiting; cancel some of them")
        self._held[job.identifier] = job
        self._threads[job.task].submit(_run, job, work)
        return job

    def get(self, identifier: str, task: Task | None = None) -> Job:
        """Return the job with an identifier.

        Raises:
            KeyError: there is no such job with this task.
        """
        job = self._held[identifier]
        if task not in (None, job.task):
            raise KeyError(identifier)
        return job

    def uses(self, upload: Upload) -> bool:
        """Return whether a job works on an upload."""
        return any(job.upload is upload for job in list(self._held.values()))

    def cancel(self, job: Job) -> None:
        """Ask a job to end; its results so far are kept."""
        job.stop.set()
        if job.state == "waiting":
            job.state = "cancelled"

    def forget(self, job: Job) -> None:
        """Cancel and delete a job together with the trials of elements on its crystals."""
        self.cancel(job)
        self._held.pop(job.identifier, None)
        for other in self.children(job):
            self.forget(other)

    def children(self, job: Job) -> list[Job]:
        """Return the jobs that try elements on the crystals of a job, oldest first."""
        return [other for other in list(self._held.values()) if other.parent is job]


def _run(job: Job, work: Callable[[Job], None]) -> None:
    end: State = "failed"
    try:
        job.advance()
        job.state = "running"
        work(job)
        end = "done"
    except Cancelled:
        end = "cancelled"
    except AtomsightError as error:
        job.message = str(error).replace(f"{job.upload.folder}/", "") or job.message
    except MemoryError:
        job.message = "not enough memory; use fewer or smaller crystals"
    except Exception as error:
        job.message = f"unexpected error ({type(error).__name__}: {error})"
    job.state = end
