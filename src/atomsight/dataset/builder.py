"""The build: chunks out to workers, parts back; resumable, and the same bytes at the end however it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from atomsight.core.crystal import Crystal
from atomsight.core.errors import DatasetError, EngineError, InputError
from atomsight.core.version import __version__
from atomsight.dataset._files import GO_ON, locked
from atomsight.dataset.bonds_column import BondSource, checked_source
from atomsight.dataset.chunks import CHUNK_FILES, Chunk, chunks_of
from atomsight.dataset.corpora import licence_beside
from atomsight.dataset.finalise import finalise
from atomsight.dataset.naming import Source, group_sources
from atomsight.dataset.schema import INDEX_NAME, MANIFEST_NAME, SCHEMA_NAME, SCHEMA_VERSION
from atomsight.dataset.staging import StagedParts, Staging, refuse_other_settings, shortened
from atomsight.dataset.work import Header, prepare, process, process_crystals
from atomsight.geometry.neighbours import checked_k
from atomsight.io.policy import DEFAULT, QualityPolicy
from atomsight.io.sources import exists, is_remote
from atomsight.parallel.pool import Limits
from atomsight.parallel.scheduler import Scheduler


@dataclass
class Progress:
    """How far a build has come; the same object is updated and passed to ``on_progress`` each time.

    ``stage`` is ``reading``, then ``writing``, then ``done``. ``resumed`` counts the crystals of parts that
    an earlier, interrupted build had finished.
    """

    stage: str = "reading"
    crystals: int = 0
    sites: int = 0
    skipped: int = 0
    resumed: int = 0
    parts: int = 0
    parts_written: int = 0


@dataclass(frozen=True)
class Summary:
    """What a build made: ``index`` is the content of ``dataset.json``."""

    path: Path
    index: dict[str, Any] = field(repr=False)
    resumed: int
    complete_before: bool

    @property
    def crystals(self) -> int:
        """Crystals in the dataset."""
        return self.index["crystals"]

    @property
    def sites(self) -> int:
        """Symmetry-unique sites in the dataset."""
        return self.index["sites"]

    @property
    def skipped(self) -> dict[str, int]:
        """Crystals left out, by rule."""
        return self.index["skipped"]


def build(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    k: int = 24,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    policy: QualityPolicy = DEFAULT,
    one_per_refcode: bool = False,
    licence: str | Sequence[str] | None = None,
    bonds: str = "file",
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Build a dataset from CIFs, folders and archives, or go on with an interrupted build of the same.

    The result depends on the content of the sources, their order and names, k, the policy and
    ``one_per_refcode`` alone: the same bytes whatever the number of workers, the engine, and the
    interruptions. Finished chunks are not computed again; the sources are read past them, and a chunk whose
    files have changed since is done anew.

    Args:
        paths: sources in order; see `atomsight.io.read`.
        out: folder of the dataset; new, empty, or that of an earlier build with the same settings.
        k: neighbours of each site.
        workers: processes on this machine; default is one per available core. 1 works in this process, where
            a file that crashes it or never ends cannot be caught.
        executor: any `concurrent.futures.Executor`, instead of ``workers``. Its workers need atomsight, not
            the files.
        policy: which crystals are accepted, see `atomsight.io.policy`.
        one_per_refcode: a file whose published entry (a CSD refcode with its digits, or a CoRE MOF name) gave
            a crystal in an earlier source is skipped with the rule ``superseded``.
        licence: one for all sources, or one for each; default is what ``corpus.json`` beside a source says,
            see `corpora`.
        bonds: ``none``; ``file`` takes what the files' own tables list; ``perceive`` finds the others from
            the geometry, see `atomsight.geometry.bonds`.
        limits: of time and memory for a file in a worker process on this machine. A file that exceeds the
            time or ends its process is skipped with the rule ``timeout`` or ``crashed``.
        on_progress: called after every chunk with the one `Progress` of this build.

    Raises:
        InputError: k out of range, a missing path, a path given twice, or ``out`` holds something else.
        DatasetError: another build runs in ``out``, it holds a build with other settings, no crystal could be
            read, or the disk is full.
        EngineError: workers ended again and again, or a cluster was lost; the same call goes on.
    """
    bond_source = checked_source(bonds)
    k = checked_k(k)
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    sources, licences = checked_sources(paths, licence)
    names = [name for source in sources for name in source.names]
    out = _prepare(Path(out))
    settings: dict[str, Any] = {
        **_settings(k),
        "sources": names,
        "one_per_refcode": one_per_refcode,
        "bonds": bonds,
        "licences": licences,
        "policy": asdict(policy),
    }
    with locked(out):
        staging = Staging(out)
        index_path = out / INDEX_NAME
        if index_path.exists():
            from atomsight.dataset.store import read_index

            index = read_index(out)
            refuse_other_settings(out, index["build"], settings)
            staging.remove()
            return Summary(out, index, resumed=0, complete_before=True)
        staging.begin(settings)
        progress = Progress()
        run = Reading(staging, k, policy, bond_source, progress, on_progress)
        run.read(sources, one_per_refcode, executor, workers, limits)
        staging.drop_from(run.count)
        if progress.crystals == 0:
            reasons = run.reasons()
            staging.remove()
            raise DatasetError(f"no crystal could be read from {shortened(', '.join(names))}: {reasons}")
        progress.stage = "writing"

        def on_part() -> None:
            progress.parts_written += 1
            on_progress(progress)

        index = _finalised(staging, run.count, settings, on_part)
        staging.remove()
        progress.stage = "done"
        on_progress(progress)
        return Summary(out, index, resumed=progress.resumed, complete_before=False)


def checked_sources(
    paths: str | Path | Sequence[str | Path], licence: str | Sequence[str] | None
) -> tuple[list[Source], dict[str, str]]:
    """The sources of a build and the licence of each by its portable name, see `build`.

    Raises:
        InputError: none, a missing path, a path given twice, or another number of licences.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not given:
        raise InputError("no source given; name CIF files, folders or archives")
    for path in given:
        if not exists(path):
            raise InputError(f"{path} does not exist")
    if isinstance(licence, str):
        licence = [licence] * len(given)
    elif licence is None:
        licence = [licence_beside(path) for path in given]
    elif len(licence) != len(given):
        raise InputError(
            f"{len(licence)} licences for {len(given)} sources; give one for all, or one for each"
        )
    sources = group_sources(given)
    names = [name for source in sources for name in source.names]
    # The entries of a database do not say which question gave them: it has one licence.
    keys = [f"{name.partition(':')[0]}:" if is_remote(name) else name for name in names]
    return sources, {key: text for key, text in zip(keys, licence, strict=True) if text}


def build_from(
    crystals: Iterable[Crystal], out: str | Path, k: int = 24, *, licence: str = "", bonds: str = "file"
) -> Summary:
    """Build a dataset from crystals in memory, in this process; not resumable, since an iterable has no past.

    Args:
        crystals: any number; they are taken in portions and not kept.
        out: a new or empty folder.
        k: neighbours of each site.
        licence: of all crystals.
        bonds: as in `build`; ``file`` takes those that the crystals bring.

    Raises:
        InputError: k out of range, or ``out`` holds anything.
        DatasetError: no crystal was given, another build runs in ``out``, or the disk is full.
    """
    k = checked_k(k)
    out = Path(out)
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give a new folder")
    out = _prepare(out)
    bond_source = checked_source(bonds)
    settings = {
        **_settings(k),
        "sources": [],
        "licences": {"": licence} if licence else {},
        "bonds": bonds,
    }
    with locked(out):
        staging = Staging(out)
        staging.begin(settings)
        stream = iter(crystals)
        count = 0
        while portion := list(islice(stream, CHUNK_FILES)):
            staging.put(count, process_crystals(portion, k, bond_source))
            count += 1
        if not count:
            staging.remove()
            raise DatasetError("no crystal was given")
        index = _finalised(staging, count, settings)
        staging.remove()
        return Summary(out, index, resumed=0, complete_before=False)


def _finalised(
    staging: Staging, count: int, settings: dict[str, Any], *on_part: Callable[[], None]
) -> dict[str, Any]:
    try:
        return finalise(StagedParts(staging, count), staging.out, settings, *on_part)
    except OSError as error:
        raise DatasetError(f"{staging.out} cannot be written: {error.strerror or error}; {GO_ON}") from error


def _settings(k: int) -> dict[str, Any]:
    return {"atomsight": __version__, "schema": [SCHEMA_NAME, SCHEMA_VERSION], "k": k}


class Reading:
    """The reading stage of one build.

    Args:
        staging: where parts go.
        k, policy, bonds: see `build`.
        progress: updated with every chunk.
        on_progress: called with it.
        entries: entries (see `split.entry`) that count as accepted from an earlier source.
        known: files that are passed over, see `chunks.chunks_of`.

    Attributes:
        count: parts staged so far.
    """

    def __init__(
        self,
        staging: Staging,
        k: int,
        policy: QualityPolicy,
        bonds: BondSource,
        progress: Progress,
        on_progress: Callable[[Progress], None],
        entries: Iterable[str] = (),
        known: Callable[[str, str], bool] = lambda name, digest: False,
    ) -> None:
        self.count = 0
        self._known = known
        self._staging = staging
        self._k = k
        self._policy = policy
        self._bonds = bonds
        self._progress = progress
        self._on_progress = on_progress
        self._entries = set(entries)

    def read(
        self,
        sources: Sequence[Source],
        one_per_refcode: bool,
        executor: Executor | None,
        workers: int | None,
        limits: Limits | None = None,
    ) -> None:
        """Bring every chunk of every source into the staging area; for the arguments see `build`.

        Raises:
            EngineError: see `build`.
        """
        function = partial(process, k=self._k, policy=self._policy, bonds=self._bonds)
        try:
            with Scheduler[Chunk](
                function, prepare, executor=executor, workers=workers, limits=limits, ordered=False
            ) as scheduler:
                # With one per refcode, what earlier sources accepted must be complete before it decides.
                groups = [[source] for source in sources] if one_per_refcode else [sources]
                for group in groups:
                    accepted = frozenset(self._entries) if one_per_refcode else frozenset()
                    for chunk, (header, part) in scheduler.run(self._missing(group, accepted)):
                        self._staging.put(chunk.index, part)
                        self._done(header)
        except EngineError as error:
            raise EngineError(f"{error}; the same command goes on where it stopped") from error
        except KeyboardInterrupt as stop:
            done = self._progress
            stop.add_note(
                f"{done.parts} chunks with {done.crystals} crystals are kept in {self._staging.out}; "
                "the same command goes on"
            )
            raise

    def _missing(self, sources: Sequence[Source], accepted: frozenset[str]) -> Iterator[Chunk]:
        """The chunks of sources that are not staged yet."""
        for source in sources:
            superseded = accepted.__contains__
            for chunk in chunks_of(source, self.count, self._policy, superseded, self._known):
                self.count = chunk.index + 1
                header = self._staging.header(chunk.index)
                if header is not None and header.fingerprint == chunk.fingerprint:
                    self._progress.resumed += header.crystals
                    self._done(header)
                else:
                    yield chunk

    def reasons(self) -> str:
        """The skips of a build that accepted nothing, in a few words."""
        from atomsight.dataset.work import decode

        reasons: Counter[str] = Counter()
        for index in range(self.count):
            reasons.update(decode(self._staging.get(index))[1].column("reason").to_pylist())
        if not reasons:
            return "there is none"
        shown = "; ".join(f"{reason} ({n})" if n > 1 else reason for reason, n in reasons.most_common(3))
        return shown + (f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else "")

    def _done(self, header: Header) -> None:
        progress = self._progress
        progress.crystals += header.crystals
        progress.sites += header.sites
        progress.skipped += header.skipped
        progress.parts += 1
        self._entries.update(header.entries)
        self._on_progress(progress)


def _prepare(out: Path) -> Path:
    """The output folder, made if need be.

    Raises:
        InputError: it is a file, or holds something that no build put there.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the dataset")
    ours = {INDEX_NAME, MANIFEST_NAME, f"{MANIFEST_NAME}.tmp", "build.lock"}
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise InputError(f"{out} is not empty and holds no dataset; give a new folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror or error}") from error
    return out
