"""Worker processes on this machine, and the search for files that end or block them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, Self

from atomsight.core.errors import EngineError, InputError
from atomsight.io.policy import Reason, reason_of
from atomsight.parallel.worker import Worker, WorkerCrashError, WorkerTimeoutError


@dataclass(frozen=True)
class Limits:
    """Limits of a worker process on this machine, which untrusted files may not exceed.

    Attributes:
        seconds: time for one file.
        memory: bytes of memory of the process, where the platform has such a limit; None sets none.
    """

    seconds: float = 300.0
    memory: int | None = 16 * 2**30


class LocalWorkers(Executor):
    """Worker processes on this machine, with limits of time and memory for each file.

    Every function of atomsight that takes ``executor=`` accepts it. The processes start when they are needed
    and end with the work.

    Args:
        workers: number of processes; 1 is a process of its own too.
        limits: for each file. A file that exceeds them or ends its process is skipped.

    Raises:
        InputError: workers below 1, or a limit that is not positive.

    Example:
        >>> workers = LocalWorkers(2, Limits(seconds=60))
        >>> for crystal in atomsight.check("downloads/", executor=workers):  # doctest: +SKIP
        ...     print(crystal.crystal.name)
    """

    def __init__(self, workers: int, limits: Limits | None = None) -> None:
        self.workers = workers
        self.limits = limits or Limits()
        if workers < 1:
            raise InputError(f"workers must be at least 1, not {workers}")
        if self.limits.seconds <= 0 or (self.limits.memory is not None and self.limits.memory <= 0):
            raise InputError("limits of time and memory must be positive")


class Chunk(Protocol):
    """Files that go to a worker together."""

    @property
    def files(self) -> Sequence[str]:
        """Names of the files."""

    def size(self) -> int:
        """Bytes that the chunk holds."""

    def only(self, index: int) -> Self:
        """A chunk of one of the files."""

    def without(self, failures: Mapping[int, Reason]) -> Self:
        """The chunk with a skip in the place of some files, given by index."""


class Pool:
    """Worker processes, each kept by a thread of this process.

    A chunk that ends its process or takes longer than the limit of one file is tried again file by file. A
    file that ends a fresh process of its own, or takes too long alone, is replaced by a skip with the rule
    ``crashed`` or ``timeout``; then the others of the chunk are handled together, as they would have been
    without it.

    Args:
        workers: number of processes; they start with the first chunks.
        prepare: called once in each process before anything else, without limit of time.
        limits: for each file.
    """

    def __init__(self, workers: int, prepare: Callable[[], object], limits: Limits) -> None:
        self._prepare = prepare
        self._limits = limits
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="atomsight-worker")
        self._own = threading.local()
        self._workers: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, function: Callable[[Any], Any], chunk: Chunk) -> Future[Any]:
        """Have a chunk handled by any of the processes."""
        return self._threads.submit(self._handled, function, chunk)

    def submit_apart(self, function: Callable[[Any], Any], chunk: Chunk) -> Future[Any]:
        """As `submit`, for a chunk that is known to end its process."""
        return self._threads.submit(self._handled_apart, function, chunk)

    def close(self) -> None:
        """End all processes at once, whatever they do."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def _handled(self, function: Callable[[Any], Any], chunk: Chunk) -> Any:
        try:
            return self._call(function, chunk, self._limits.seconds)
        except WorkerTimeoutError as error:
            if len(chunk.files) == 1:
                return self._call(function, chunk.without({0: _reason(error)}), None)
        except (WorkerCrashError, MemoryError):
            pass
        return self._handled_apart(function, chunk)

    def _handled_apart(self, function: Callable[[Any], Any], chunk: Chunk) -> Any:
        files = chunk.files
        found = {index: self._failure(function, chunk.only(index)) for index in range(len(files))}
        failures = {index: reason for index, reason in found.items() if reason is not None}
        try:
            return self._call(function, chunk.without(failures), self._limits.seconds * (1 + len(files)))
        except (WorkerCrashError, WorkerTimeoutError, MemoryError) as error:
            raise EngineError(
                f"worker processes ended, perhaps for lack of memory, while {place_of([chunk])} was handled; "
                "use fewer workers"
            ) from error

    def _failure(self, function: Callable[[Any], Any], chunk: Chunk) -> Reason | None:
        """Why a chunk of one file cannot be handled; None where it can."""
        while True:
            fresh = not hasattr(self._own, "worker")
            try:
                self._call(function, chunk, self._limits.seconds)
            except (WorkerTimeoutError, MemoryError) as error:
                return _reason(error)
            except WorkerCrashError as error:
                # A process that handled other files before may have been damaged by one of them.
                if fresh:
                    return _reason(error)
            else:
                return None

    def _call(self, function: Callable[[Any], Any], chunk: Chunk, seconds: float | None) -> Any:
        """Have the process of this thread handle a chunk; one that ended is replaced with the next call."""
        try:
            if not hasattr(self._own, "worker"):
                self._own.worker = self._started()
            return self._own.worker.call(function, chunk, seconds=seconds)
        except (WorkerCrashError, WorkerTimeoutError) as error:
            with self._lock:
                self._workers.discard(self._own.worker)
                if self._closed:
                    raise CancelledError from error
            self._own.worker.kill()
            del self._own.worker
            raise

    def _started(self) -> Worker:
        with self._lock:
            if self._closed:
                raise CancelledError
            worker = Worker(self._limits.memory)
            self._workers.add(worker)
        try:
            worker.call(self._prepare)
        except (WorkerCrashError, MemoryError) as error:
            raise EngineError(
                "a worker process ended while it loaded what the work needs, perhaps for lack of memory; "
                "use fewer workers, or a higher limit of memory"
            ) from error
        return worker


def place_of(chunks: Sequence[Chunk]) -> str:
    """The files of chunks in a few words."""
    ranges = [(chunk.files[0], chunk.files[-1]) for chunk in chunks if chunk.files]
    if len(ranges) == 1 and len(set(ranges[0])) == 1:
        return ranges[0][0]
    return f"one of {', '.join(first if first == last else f'{first} to {last}' for first, last in ranges)}"


def _reason(error: Exception) -> Reason:
    # How a process ended can differ from time to time; what a build writes may not.
    if isinstance(error, MemoryError):
        return reason_of(error)
    if isinstance(error, WorkerTimeoutError):
        return Reason("timeout", str(error))
    return Reason("crashed", "it ended its worker process")
