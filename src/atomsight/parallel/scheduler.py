"""The scheduler: chunks go out to workers, results come back, and a bounded number of bytes is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Any, Generic, TypeVar

from atomsight.core.errors import EngineError, InputError
from atomsight.parallel.executors import engine_failed, in_flight, worker_was_killed
from atomsight.parallel.pool import Chunk, LocalWorkers, Pool, place_of

CHUNK_BYTES = 16 * 2**20
"""A chunk is closed once it holds this many bytes."""

MOST_IN_FLIGHT = 256 * 2**20
"""Bytes of files that are with workers at a time, so that memory stays flat however many there are."""

WATCH_SECONDS = 0.1
"""Interval between two calls of the watch function of a `Scheduler`."""

C = TypeVar("C", bound=Chunk)


def check_executor(executor: Executor | int | None) -> None:
    """Refuse a number of worker processes below 1.

    Raises:
        InputError: there is none.
    """
    if isinstance(executor, int) and executor < 1:
        raise InputError(f"executor: at least 1 worker process is needed, not {executor}")


class Scheduler(Generic[C]):
    """Applies a function to chunks; a context, which ends all local processes when it is left.

    Args:
        function: what is done to a chunk; picklable, unless it runs in this process.
        prepare: called once in every local worker process before the function.
        executor: None works in this process, where a file that crashes or never ends cannot be caught. A
            number starts so many worker processes on this machine. `LocalWorkers` adds limits. Else any
            `concurrent.futures.Executor`. A chunk that killed its workers again and again on a Dask cluster
            is handled on this machine, in a process of its own.
        ordered: results come in the order of the chunks; else as they are ready.
        watch: called every `WATCH_SECONDS` while results of other processes are awaited; an exception that
            it raises ends the work.

    Raises:
        InputError: a number of processes below 1.
    """

    def __init__(
        self,
        function: Callable[[C], Any],
        prepare: Callable[[], object],
        *,
        executor: Executor | int | None = None,
        ordered: bool = True,
        watch: Callable[[], object] = lambda: None,
    ) -> None:
        self._function = function
        self._prepare = prepare
        self._executor = LocalWorkers(executor) if isinstance(executor, int) else executor
        self._ordered = ordered
        self._watch = watch
        self._pool: Pool | None = None
        self._pending: dict[Future[Any], C] = {}
        self._bytes = 0

    def __enter__(self) -> Scheduler[C]:
        return self

    def __exit__(self, *error: object) -> None:
        for future in self._pending:
            future.cancel()
        if self._pool is not None:
            self._pool.close()

    def run(self, chunks: Iterable[C]) -> Iterator[tuple[C, Any]]:
        """Each chunk with its result.

        Raises:
            EngineError: the executor failed, or local processes ended again and again; the message names the
                files.
        """
        if self._executor is None:
            for chunk in chunks:
                yield chunk, self._function(chunk)
            return
        for chunk in chunks:
            # A cluster may grow meanwhile.
            yield from self._landed(in_flight(self._executor), MOST_IN_FLIGHT - chunk.size())
            self._pending[self._submitted(chunk)] = chunk
            self._bytes += chunk.size()
        yield from self._landed(0, MOST_IN_FLIGHT)

    def _local(self) -> Pool:
        if self._pool is None:
            local = self._executor if isinstance(self._executor, LocalWorkers) else LocalWorkers(1)
            self._pool = Pool(local.workers, self._prepare, local.limits)
        return self._pool

    def _submitted(self, chunk: C) -> Future[Any]:
        if self._executor is None or isinstance(self._executor, LocalWorkers):
            return self._local().submit(self._function, chunk)
        try:
            return self._executor.submit(self._function, chunk)
        except (RuntimeError, OSError) as error:
            future: Future[Any] = Future()
            future.set_exception(error if engine_failed(error) else EngineError(str(error)))
            return future

    def _landed(self, most: int, room: int) -> Iterator[tuple[C, Any]]:
        """Results, until at most so many chunks of at most so many bytes are under way."""
        while self._pending and (len(self._pending) > most or self._bytes > room):
            for future in self._next():
                result = self._result(future)
                chunk = self._pending.pop(future)
                self._bytes -= chunk.size()
                yield chunk, result

    def _next(self) -> list[Future[Any]]:
        awaited = [next(iter(self._pending))] if self._ordered else list(self._pending)
        while not (done := wait(awaited, WATCH_SECONDS, FIRST_COMPLETED).done):
            self._watch()
        # What succeeded is handed over before an error of another chunk ends the work.
        return sorted(done, key=lambda future: future.cancelled() or future.exception() is not None)

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except (Exception, CancelledError) as error:
            if isinstance(self._executor, LocalWorkers) or not engine_failed(error):
                raise
            if not worker_was_killed(error):
                raise EngineError(
                    f"a worker died, perhaps for lack of memory, or the executor was lost, while "
                    f"{place_of(list(self._pending.values()))} was handled"
                ) from error
        return self._local().submit_apart(self._function, self._pending[future]).result()
