"""The build: chunks out to workers, parts back; resumable, and the same bytes at the end however it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from atomsight.core.crystal import Crystal
from atomsight.core.errors import DatasetError, EngineError, InputError
from atomsight.core.progress import OnProgress, OnSkip, Progress
from atomsight.core.version import __version__
from atomsight.dataset._files import GO_ON, locked, prepare_folder, writing
from atomsight.dataset.bonds_column import checked_source
from atomsight.dataset.chunks import CHUNK_FILES, Chunk, chunks_of
from atomsight.dataset.corpora import licence_beside
from atomsight.dataset.finalise import finalise
from atomsight.dataset.naming import Source, group_sources
from atomsight.dataset.schema import INDEX_NAME, SCHEMA_NAME, SCHEMA_VERSION
from atomsight.dataset.staging import StagedParts, Staging, refuse_other_settings, shortened
from atomsight.dataset.store import open_dataset, read_index, split_sizes
from atomsight.dataset.work import Header, decode, prepare, process, process_crystals
from atomsight.geometry.neighbours import checked_k
from atomsight.io import read
from atomsight.io.formats import library_of
from atomsight.io.policy import DEFAULT, QualityPolicy, Reason
from atomsight.io.sources import exists, is_remote
from atomsight.parallel.scheduler import Scheduler, check_executor


@dataclass(frozen=True)
class Summary:
    """What a build made.

    Attributes:
        path: folder of the dataset.
        index: content of ``dataset.json``.
        resumed: crystals that an earlier, interrupted build had read.
        complete_before: the dataset was complete already, and nothing was done.
    """

    path: Path
    index: dict[str, Any] = field(repr=False)
    resumed: int
    complete_before: bool

    @property
    def crystals(self) -> int:
        """Crystals in the dataset."""
        return int(self.index["crystals"])

    @property
    def sites(self) -> int:
        """Symmetry-unique sites in the dataset."""
        return int(self.index["sites"])

    @property
    def skipped(self) -> dict[str, int]:
        """Crystals left out, by rule."""
        return dict(self.index["skipped"])

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight dataset build --json`` prints them, without the seconds."""
        index = self.index
        return {
            "dataset": str(self.path),
            "k": index["k"],
            "crystals": self.crystals,
            "sites": self.sites,
            "skipped": self.skipped,
            "splits": split_sizes(index),
            "resumed": self.resumed,
            "complete_before": self.complete_before,
            "fingerprint": index["fingerprint"],
        }


def build(
    source: Any,
    out: str | Path,
    k: int = 24,
    *,
    policy: QualityPolicy = DEFAULT,
    one_per_refcode: bool = False,
    licence: str | Sequence[str] | None = None,
    bonds: str = "file",
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
    executor: Executor | int | None = None,
) -> Summary:
    """Build a dataset from files or crystals, or continue an interrupted build of the same files.

    The result depends on the content of the sources, their order and names, k, the policy and
    ``one_per_refcode`` alone: the same bytes whatever the executor and the interruptions. Finished chunks are
    not computed again; the sources are read past them, and a chunk whose files have changed since is computed
    again. A build from crystals in memory runs in this process and cannot be continued.

    Args:
        source: paths in order, or crystals and objects, see `atomsight.read`. Crystals are taken in portions
            and not kept.
        out: folder of the dataset; new, empty, or, for paths, that of an earlier build with the same
            settings.
        k: neighbours of each site.
        policy: which crystals are accepted, see `atomsight.io.policy`.
        one_per_refcode: skip a file with the rule ``superseded`` if its published entry (a CSD refcode with
            its digits, or a CoRE MOF name) gave a crystal in an earlier path.
        licence: one for all paths, or one for each; default is what ``corpus.json`` beside a path says, see
            `atomsight.dataset.corpora`.
        bonds: ``none``; ``file`` takes what the files' own tables list; ``perceive`` finds the others from
            the geometry, see `atomsight.geometry.bonds`.
        on_skip: receives ``(source, reason)`` of every crystal that was left out, when the dataset is
            complete. The dataset keeps them too, see `Dataset.skipped`.
        progress: receives the progress after every chunk, with the stages ``reading`` and ``writing``.
        executor: None works in this process, where a file that crashes it or never ends cannot be caught. A
            number starts so many worker processes; a file that takes one too long, too much memory or ends
            it is skipped with the rule ``timeout``, ``memory`` or ``crashed``, and
            `atomsight.parallel.LocalWorkers` changes these limits. Else any `concurrent.futures.Executor`,
            whose workers need atomsight, not the files. For paths only.

    Returns:
        What the dataset holds; `open_dataset` opens it.

    Raises:
        InputError: k out of range, a missing path, a path that occurs twice, an option that crystals in
            memory do not have, or ``out`` holds something else.
        DatasetError: another build runs in ``out``, it holds a build with other settings, no crystal could be
            read, or the disk is full.
        EngineError: workers ended again and again, or a cluster was lost; the same call continues.

    Example:
        >>> atomsight.build("examples/crystals.tar.xz", "crystals", k=24).crystals  # doctest: +SKIP
        60
    """
    checked_source(bonds)
    k = checked_k(k)
    check_executor(executor)
    paths, crystals = _split(source)
    if crystals is not None:
        if executor is not None or one_per_refcode or not isinstance(licence, str | None):
            raise InputError(
                "crystals in memory are handled in this process and have one licence; leave out executor and "
                "one_per_refcode, or give paths"
            )
        stream = read(crystals, policy=policy, on_skip=on_skip, progress=progress)
        return _build_from(stream, Path(out), k, licence, bonds)
    sources, licences = checked_sources(paths, licence)
    names = [name for source in sources for name in source.names]
    out = Path(out)
    prepare_folder(out)
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
        complete = (out / INDEX_NAME).exists()
        resumed = 0
        if complete:
            index = read_index(out)
            refuse_other_settings(out, index["build"], settings)
        else:
            staging.begin(settings)
            run = Reading(staging, settings, policy, progress)
            parts = run.read(sources, executor)
            if run.crystals == 0:
                reasons = run.reasons()
                staging.remove()
                raise DatasetError(f"no crystal could be read from {shortened(', '.join(names))}: {reasons}")
            with writing(out, f"; {GO_ON}"):
                index = finalise([parts], out, settings, run.writing(run.count))
            resumed = run.resumed
        staging.remove()
    if on_skip is not None:
        report_skips(open_dataset(out).skipped(), on_skip)
    return Summary(out, index, resumed, complete)


def report_skips(skipped: pa.Table, on_skip: OnSkip) -> None:
    """Pass each row of a skipped table on as ``(source, Reason)``."""
    for record in skipped.to_pylist():
        on_skip(record["source"], Reason(record["rule"], record["reason"]))


def _split(source: Any) -> tuple[list[Path], Iterable[Any] | None]:
    """The paths of a source, or its crystals and objects; a stream is decided by its first item."""
    if isinstance(source, str | Path):
        return [Path(source)], None
    if library_of(source) is not None:
        return [], [source]
    if not isinstance(source, Iterable):
        raise InputError(f"a dataset is built from paths or crystals, not {type(source).__name__}")
    stream = iter(source)
    first = list(islice(stream, 1))
    if first and not isinstance(first[0], str | Path):
        return [], chain(first, stream)
    items = [*first, *stream]
    paths = [Path(item) for item in items if isinstance(item, str | Path)]
    return (paths, None) if len(paths) == len(items) else ([], items)


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
    if licence is None or isinstance(licence, str):
        licence = [licence_beside(path) if licence is None else licence for path in given]
    elif len(licence) != len(given):
        raise InputError(
            f"{len(licence)} licences for {len(given)} sources; give one for all, or one for each"
        )
    sources = group_sources(given)
    names = [name for source in sources for name in source.names]
    # The entries of a database do not say which question gave them: it has one licence.
    keys = [f"{name.partition(':')[0]}:" if is_remote(name) else name for name in names]
    return sources, {key: text for key, text in zip(keys, licence, strict=True) if text}


def _build_from(crystals: Iterator[Crystal], out: Path, k: int, licence: str | None, bonds: str) -> Summary:
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give a new folder")
    prepare_folder(out)
    settings = {
        **_settings(k),
        "sources": [],
        "licences": {"": licence} if licence else {},
        "bonds": bonds,
    }
    with locked(out):
        staging = Staging(out)
        staging.begin(settings)
        parts = 0
        while portion := list(islice(crystals, CHUNK_FILES)):
            staging.put(parts, process_crystals(portion, k, checked_source(bonds)))
            parts += 1
        if not parts:
            staging.remove()
            raise DatasetError("no crystal was given")
        with writing(out, f"; {GO_ON}"):
            index = finalise([StagedParts(staging, parts)], out, settings)
        staging.remove()
        return Summary(out, index, resumed=0, complete_before=False)


def _settings(k: int) -> dict[str, Any]:
    return {"atomsight": __version__, "schema": [SCHEMA_NAME, SCHEMA_VERSION], "k": k}


@dataclass
class Reading:
    """The reading stage of one build.

    Attributes:
        staging: where parts go.
        settings: ``build`` of the dataset's index: k, the source of bonds, ``one_per_refcode``.
        policy: see `build`.
        progress: receives the progress after every chunk.
        entries: entries (see `split.entry`) that count as accepted from an earlier source.
        known: files that are passed over, see `chunks.chunks_of`.
        count: parts staged so far.
        done: chunks handled so far.
        crystals, sites, skipped: rows of their tables.
        resumed: crystals of parts that an earlier, interrupted build had finished.
    """

    staging: Staging
    settings: dict[str, Any]
    policy: QualityPolicy
    progress: OnProgress | None
    entries: set[str] = field(default_factory=set)
    known: Callable[[str, str], bool] = lambda name, digest: False
    count: int = 0
    done: int = 0
    crystals: int = 0
    sites: int = 0
    skipped: int = 0
    resumed: int = 0

    def read(self, sources: Sequence[Source], executor: Executor | int | None) -> StagedParts:
        """Bring every chunk of every source into the staging area; for the arguments see `build`.

        Raises:
            EngineError: see `build`.
        """
        bonds = checked_source(self.settings["bonds"])
        function = partial(process, k=self.settings["k"], policy=self.policy, bonds=bonds)
        one_per_refcode = self.settings["one_per_refcode"]
        try:
            with Scheduler[Chunk](function, prepare, executor=executor, ordered=False) as scheduler:
                # With one per refcode, what earlier sources accepted must be complete before it decides.
                groups = [[source] for source in sources] if one_per_refcode else [sources]
                for group in groups:
                    accepted = frozenset(self.entries) if one_per_refcode else frozenset()
                    for chunk, (header, part) in scheduler.run(self._missing(group, accepted)):
                        self.staging.put(chunk.index, part)
                        self._done(header)
        except EngineError as error:
            raise EngineError(f"{error}; the same command goes on where it stopped") from error
        except KeyboardInterrupt as stop:
            stop.add_note(
                f"{self.done} chunks with {self.crystals} crystals are kept in {self.staging.out}; "
                "the same command goes on"
            )
            raise
        self.staging.drop_from(self.count)
        return StagedParts(self.staging, self.count)

    def writing(self, parts: int) -> Callable[[], None]:
        """A function that reports one more written part of so many."""
        written = count(1)
        return lambda: self._report("writing", next(written), parts)

    def _missing(self, sources: Sequence[Source], accepted: frozenset[str]) -> Iterator[Chunk]:
        """The chunks of sources that are not staged yet."""
        for source in sources:
            superseded = accepted.__contains__
            for chunk in chunks_of(source, self.count, self.policy, superseded, self.known):
                self.count = chunk.index + 1
                header = self.staging.header(chunk.index)
                if header is not None and header.fingerprint == chunk.fingerprint:
                    self.resumed += header.crystals
                    self._done(header)
                else:
                    yield chunk

    def reasons(self) -> str:
        """The skips of a build that accepted nothing, in a few words."""
        reasons: Counter[str] = Counter()
        for index in range(self.count):
            reasons.update(decode(self.staging.get(index))[1].column("reason").to_pylist())
        if not reasons:
            return "there is none"
        shown = "; ".join(f"{reason} ({n})" if n > 1 else reason for reason, n in reasons.most_common(3))
        return shown + (f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else "")

    def _done(self, header: Header) -> None:
        self.crystals += header.crystals
        self.sites += header.sites
        self.skipped += header.skipped
        self.done += 1
        self.entries.update(header.entries)
        self._report("reading", self.crystals)

    def _report(self, stage: str, done: int, total: int | None = None) -> None:
        if self.progress is not None:
            self.progress(Progress(stage, done, total, self.skipped, sites=self.sites, resumed=self.resumed))
