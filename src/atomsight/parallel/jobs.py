"""A job applied to crystals by one process or many, with the results in the order of the sources.

One process cuts the same chunks, so that what shares a run of the network does not depend on the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from atomsight.core.crystal import Crystal
from atomsight.core.errors import EngineError
from atomsight.core.progress import OnSkip, Tracker
from atomsight.core.results import Record, Results
from atomsight.io import Member, Reason, crystals_of, iter_structures
from atomsight.parallel.scheduler import CHUNK_BYTES, Scheduler, check_executor

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Skipped:
    """What could not be read or judged, in its place among the others."""

    source: str
    reason: str


@dataclass(frozen=True)
class Failed(Skipped):
    """What ended its worker process or took too long."""


Source = Member | Crystal | Skipped
Work = Callable[[Iterator[Crystal], OnSkip | None], Iterator[Any]]


class Job(Hashable, Protocol):
    """What is done to crystals: a small, hashable object that travels; models are loaded where it arrives."""

    @property
    def files(self) -> int:
        """Most sources of a chunk; 1 for work that looks at crystals one by one."""

    def open(self) -> Work:
        """Load what the work needs. Called once in every worker process."""


def sources_of(source: Any) -> Iterator[Source]:
    """The crystals and unread files of a source, with what was skipped while listing them.

    Args:
        source: paths, crystals or objects, see `atomsight.io.read`.
    """
    skips: list[Skipped] = []
    for item in iter_structures(source, lambda *skip: skips.append(Skipped(*skip))):
        yield from skips
        skips.clear()
        yield item
    yield from skips


def results_of(
    source: Any,
    job: Job,
    of: type[R],
    tracker: Tracker,
    executor: Executor | int | None,
) -> Results[R]:
    """The results of a verb: a job applied to what `sources_of` gives.

    What cannot be handled is skipped, except where the source is one crystal: then its error is raised if
    nothing else receives it.

    Args:
        source: see `sources_of`.
        job: the work.
        of: class of its results.
        tracker: counts results and skips.
        executor: see `spread`.
    """

    def records() -> Iterator[R]:
        on_skip = None if isinstance(source, Crystal) and not tracker.listens else tracker.skip
        for record in spread(sources_of(source), job, on_skip, executor=executor):
            tracker.advance()
            yield record
        tracker.close(stacklevel=3)

    check_executor(executor)
    return Results(records(), of)


def spread(
    sources: Iterable[Source],
    job: Job,
    on_skip: OnSkip | None = None,
    *,
    executor: Executor | int | None = None,
    watch: Callable[[], object] = lambda: None,
) -> Iterator[Any]:
    """Results of a job, in the order of the sources; memory does not grow with their number.

    Args:
        sources: crystals, or files that are read where the work is done.
        job: the work.
        on_skip: receives (source, reason) of what was left out; without it, a crystal that the job cannot
            handle raises.
        executor: None works in this process, where a file that crashes or never ends cannot be caught. A
            number starts so many worker processes on this machine. Else any `concurrent.futures.Executor`,
            whose workers need atomsight and the models and datasets that the job names, not the sources.
        watch: called about ten times a second while other processes work; an exception that it raises ends
            the work.

    Raises:
        InputError: a number of processes below 1.
        EngineError: workers ended again and again, a cluster was lost, or, without ``on_skip``, a file ended
            its worker process or took too long.
    """
    chunks = _chunks(sources, job.files)
    strict = on_skip is None
    work = job.open() if executor is None else None
    # In this process results are passed on one by one; generators do not travel.
    function = partial(_events, work, strict) if work else partial(_listed, job, strict)
    with Scheduler[_Chunk](function, partial(_prepare, job), executor=executor, watch=watch) as scheduler:
        for _, events in scheduler.run(chunks):
            for event in events:
                if not isinstance(event, Skipped):
                    yield event
                elif on_skip is not None:
                    on_skip(event.source, event.reason)
                elif isinstance(event, Failed):
                    raise EngineError(f"{event.source}: {event.reason}")


@dataclass(frozen=True)
class _Chunk:
    """Consecutive sources."""

    sources: tuple[Source, ...]

    @property
    def files(self) -> Sequence[str]:
        return [_name(source) for source in self.sources]

    def size(self) -> int:
        return sum(map(_bytes_of, self.sources))

    def only(self, index: int) -> _Chunk:
        return _Chunk((self.sources[index],))

    def without(self, failures: Mapping[int, Reason]) -> _Chunk:
        return _Chunk(
            tuple(
                Failed(_name(source), failures[place]) if place in failures else source
                for place, source in enumerate(self.sources)
            )
        )


def _chunks(sources: Iterable[Source], files: int) -> Iterator[_Chunk]:
    held: list[Source] = []
    size = 0
    for source in sources:
        held.append(source)
        size += _bytes_of(source)
        if len(held) == files or size >= CHUNK_BYTES:
            yield _Chunk(tuple(held))
            held, size = [], 0
    if held:
        yield _Chunk(tuple(held))


def _name(source: Source) -> str:
    return source.source or source.name if isinstance(source, Crystal) else source.source


def _bytes_of(source: Source) -> int:
    if isinstance(source, Member):
        return len(source.data)
    return 64 * source.n_atoms if isinstance(source, Crystal) else len(source.reason)


def _events(work: Work, strict: bool, chunk: _Chunk) -> Iterator[Any]:
    """What the work finds in a chunk, and what it skips."""
    skips: list[Skipped] = []

    def on_skip(source: str, reason: str) -> None:
        skips.append(Skipped(source, reason))

    def crystals() -> Iterator[Crystal]:
        for source in chunk.sources:
            if isinstance(source, Skipped):
                skips.append(source)
            elif isinstance(source, Crystal):
                yield source
            else:
                yield from crystals_of(source, on_skip=on_skip)

    for found in work(crystals(), None if strict else on_skip):
        yield from skips
        skips.clear()
        yield found
    yield from skips


@lru_cache(maxsize=1)
def _opened(job: Job) -> Work:
    return job.open()


def _prepare(job: Job) -> None:
    _opened(job)


def _listed(job: Job, strict: bool, chunk: _Chunk) -> list[Any]:
    """What a worker does with a chunk."""
    return list(_events(_opened(job), strict, chunk))
