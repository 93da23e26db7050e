"""Crystals judged by many workers: sources go out in chunks, results come back in their order.

One process cuts the same chunks, so that what shares a run of the network does not depend on the engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from atomsight.crystal import Crystal
from atomsight.errors import EngineError, InputError
from atomsight.readers import Member, crystals_of_many, iter_members
from atomsight.readers.member import OnSkip
from atomsight.readers.sources import Paths

if TYPE_CHECKING:
    from atomsight.dataset.engines import Engine

CHUNK_BYTES = 16 * 2**20
"""A chunk is closed once it holds this many bytes."""

MOST_IN_FLIGHT = 256 * 2**20
"""Bytes of sources that are with workers at a time, so that memory stays flat however many there are."""

RETRIES = 3
"""Times that local processes are started anew for one chunk, after one of them was killed."""


@dataclass(frozen=True)
class Skipped:
    """What could not be read or judged, in its place among the others."""

    source: str
    reason: str


Source = Member | Crystal | Skipped
Work = Callable[[Iterator[Crystal], OnSkip | None], Iterator[Any]]


class Job(Hashable, Protocol):
    """What is done to crystals: a small, hashable object that travels; models are loaded where it arrives."""

    @property
    def files(self) -> int:
        """Most sources of a chunk; 1 for work that looks at crystals one by one."""

    def open(self) -> Work:
        """Load what the work needs. Called once in every worker process."""


def sources_of(paths: Paths) -> Iterator[Source]:
    """The files of paths, unread, with what was skipped while listing them; see `readers.iter_members`."""
    skips: list[Skipped] = []
    for member in iter_members(paths, lambda source, reason: skips.append(Skipped(source, reason))):
        yield from skips
        skips.clear()
        yield member
    yield from skips


def spread(
    sources: Crystal | Iterable[Source],
    job: Job,
    on_skip: OnSkip | None = None,
    *,
    executor: Executor | None = None,
    workers: int = 1,
) -> Iterator[Any]:
    """What a job finds, in the order of the sources; memory does not grow with their number.

    Args:
        sources: crystals, or files that are read where the work is done.
        job: the work.
        on_skip: receives (source, reason) of what was left out; without it, a crystal that the job cannot
            judge raises.
        executor: any `concurrent.futures.Executor`, instead of ``workers``. Its workers need atomsight and
            the models and datasets that the job names, not the sources.
        workers: processes on this machine; 1 works in this process.

    Raises:
        InputError: workers below 1.
        EngineError: workers died again and again, or a cluster was lost.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    chunks = _chunks([sources] if isinstance(sources, Crystal) else sources, job.files)
    strict = on_skip is None
    alone = executor is None and workers == 1
    for event in _alone(chunks, job, strict) if alone else _shared(chunks, job, strict, executor, workers):
        if not isinstance(event, Skipped):
            yield event
        elif on_skip is not None:
            on_skip(event.source, event.reason)


def _chunks(sources: Iterable[Source], files: int) -> Iterator[tuple[Source, ...]]:
    held: list[Source] = []
    size = 0
    for source in sources:
        held.append(source)
        size += _bytes_of(source)
        if len(held) == files or size >= CHUNK_BYTES:
            yield tuple(held)
            held, size = [], 0
    if held:
        yield tuple(held)


def _bytes_of(source: Source) -> int:
    if isinstance(source, Member):
        return len(source.data)
    return 64 * source.n_atoms if isinstance(source, Crystal) else len(source.reason)


def _events(work: Work, chunk: tuple[Source, ...], strict: bool) -> Iterator[Any]:
    """What the work finds in a chunk, and what it skips."""
    skips: list[Skipped] = []

    def on_skip(source: str, reason: str) -> None:
        skips.append(Skipped(source, reason))

    def crystals() -> Iterator[Crystal]:
        read = crystals_of_many([one for one in chunk if isinstance(one, Member)], on_skip=on_skip)
        for source in chunk:
            if isinstance(source, Skipped):
                skips.append(source)
            elif isinstance(source, Crystal):
                yield source
            else:
                yield from next(read)[1]

    for found in work(crystals(), None if strict else on_skip):
        yield from skips
        skips.clear()
        yield found
    yield from skips


def _alone(chunks: Iterator[tuple[Source, ...]], job: Job, strict: bool) -> Iterator[Any]:
    work = job.open()
    for chunk in chunks:
        yield from _events(work, chunk, strict)


@lru_cache(maxsize=1)
def _opened(job: Job) -> Work:
    return job.open()


def _task(job: Job, chunk: tuple[Source, ...], strict: bool) -> list[Any]:
    """What a worker does; a list, since generators do not travel."""
    return list(_events(_opened(job), chunk, strict))


def _shared(
    chunks: Iterator[tuple[Source, ...]], job: Job, strict: bool, executor: Executor | None, workers: int
) -> Iterator[Any]:
    from atomsight.dataset.engines import Engine

    with ExitStack() as stack:
        flight = _Flight(Engine(stack, executor, workers), job, strict)
        stack.callback(flight.cancel)
        for chunk in chunks:
            yield from flight.land(flight.engine.in_flight, chunk)
            flight.start(chunk)
        yield from flight.land(0)


class _Flight:
    """The chunks that are with workers, first out, first back; kept until their results are here."""

    def __init__(self, engine: Engine, job: Job, strict: bool) -> None:
        self.engine = engine
        self._job = job
        self._strict = strict
        self._pending: deque[tuple[tuple[Source, ...], Future[Any]]] = deque()
        self._bytes = 0

    def start(self, chunk: tuple[Source, ...]) -> None:
        self._bytes += sum(map(_bytes_of, chunk))
        self._pending.append((chunk, self._submitted(chunk)))

    def land(self, most: int, following: tuple[Source, ...] = ()) -> Iterator[Any]:
        """Results in order, until at most so many chunks are out and there is room for the following one."""
        room = MOST_IN_FLIGHT - sum(map(_bytes_of, following))
        while self._pending and (len(self._pending) > most or self._bytes > room):
            events = self._first()
            chunk, _ = self._pending.popleft()
            self._bytes -= sum(map(_bytes_of, chunk))
            yield from events

    def cancel(self) -> None:
        for _, future in self._pending:
            future.cancel()

    def _submitted(self, chunk: tuple[Source, ...]) -> Future[Any]:
        from atomsight.dataset.engines import engine_failed

        try:
            return self.engine.submit(True, _task, self._job, chunk, self._strict)
        except (RuntimeError, OSError) as error:
            if not engine_failed(error):
                raise
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def _first(self) -> list[Any]:
        """The result of the first chunk; done again, with all that is not back, where a process was
        killed."""
        from atomsight.dataset.engines import engine_failed

        for left in reversed(range(RETRIES + 1)):
            chunk, future = self._pending[0]
            try:
                return future.result()
            except (Exception, CancelledError) as error:
                if not engine_failed(error):
                    raise
                if not left or not self.engine.restart():
                    raise _died(chunk) from error
            self._pending = deque(
                (chunk, future if _is_back(future) else self._submitted(chunk))
                for chunk, future in self._pending
            )
        raise AssertionError("the last attempt returns or raises")


def _is_back(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _died(chunk: tuple[Source, ...]) -> EngineError:
    names = [source.name if isinstance(source, Crystal) else source.source for source in chunk]
    place = names[0] if len(names) == 1 else f"one of {names[0]} to {names[-1]}"
    return EngineError(
        f"workers died, perhaps for lack of memory, at {place} or what came next; use fewer workers"
    )
