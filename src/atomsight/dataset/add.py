"""A finished dataset grows by what is new in its sources, as databases do every week.

```
DATASET               whole all the time: the old one, then in one step the new one
DATASET.adding/       beside it while work is under way: staged parts, then the new dataset in whole/
```
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from atomsight.core.files import sync_folder
from atomsight.core.progress import OnProgress, OnSkip
from atomsight.core.version import __version__
from atomsight.dataset._files import GO_ON, locked, writing
from atomsight.dataset.builder import Reading, checked_sources, report_skips
from atomsight.dataset.existing import ExistingParts, file_stem
from atomsight.dataset.finalise import Parts, finalise
from atomsight.dataset.merge import joined_settings, refuse_damaged
from atomsight.dataset.naming import plain_name
from atomsight.dataset.schema import INDEX_NAME, MANIFEST_NAME, SKIPPED_SCHEMA
from atomsight.dataset.split import entry
from atomsight.dataset.staging import StagedParts, Staging
from atomsight.dataset.store import Dataset, open_dataset, policy_of


@dataclass(frozen=True)
class AddSummary:
    """What adding did: ``index`` is the content of ``dataset.json`` now.

    Attributes:
        path: folder of the dataset.
        added: crystals that are new.
        changed: those among them whose name the dataset held already, with other content.
        replaced: crystals that gave way to them.
        known: files passed over, since the dataset holds their crystals.
        resumed: new crystals of parts that an interrupted run had finished.
    """

    path: Path
    index: dict[str, Any] = field(repr=False)
    added: int
    changed: int
    replaced: int
    known: int
    resumed: int


def add(
    dataset: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    replace: bool = False,
    executor: Executor | int | None = None,
    licence: str | Sequence[str] | None = None,
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
) -> AddSummary:
    """Add to a dataset the crystals of files that it does not hold, by name and SHA-256.

    New files are read with the dataset's own settings. The result is the one that a build of the old sources
    and then the new ones gives. Whatever happens, ``kill -9`` included, the folder holds the old dataset or
    the new one, whole; the same call goes on where it stopped. The new dataset is written beside the old,
    so the disk must hold both for a moment. Processes that read the dataset should end first.

    Args:
        dataset: folder of a dataset made by `build`, `merge` or `add`.
        paths: sources in order, see `build`; known files in them are passed over.
        replace: a crystal whose name comes again with other content gives way to the new one. Otherwise both
            are kept, the new one under a longer id.
        executor: as in `build`.
        licence: as in `build`.
        on_skip: receives ``(source, reason)`` of what was left out of the new files, once they are added.
        progress: as in `build`.

    Raises:
        InputError: a missing path, or one given twice.
        DatasetError: no dataset or a damaged one, one built from crystals in memory, another call works on
            it, an interrupted call had other arguments, or the disk is full.
        EngineError: see `build`.
    """
    folder = Path(dataset)
    folder = folder.resolve() if folder.exists() else folder.absolute()
    work = folder.with_name(folder.name + ".adding")
    _recover(folder, work)
    old = open_dataset(folder)
    settings = old.metadata["build"]
    policy = policy_of(folder, settings)
    sources, licences = checked_sources(paths, licence)
    names = [name for source in sources for name in source.names]
    more = {
        **settings,
        "atomsight": __version__,
        "sources": [name for name in names if name not in settings["sources"]],
        "licences": licences,
    }
    joined = joined_settings([old], [more])
    work.mkdir(exist_ok=True)
    with locked(work):
        staging = Staging(work)
        staging.begin({**joined, "policy": asdict(policy), "onto": old.fingerprint, "replace": replace})
        have = _Have(old)
        reading = Reading(staging, settings, policy, progress, have.entries, have.known)
        fresh = _Fresh(reading.read(sources, executor), old.skipped())
        changed = have.names.intersection(name for t in fresh.crystals() for name in t["crystal"].to_pylist())
        index = old.metadata
        replaced = 0
        if reading.crystals or fresh.has_skips():
            refuse_damaged(old)
            before = ExistingParts([old], leave=changed.__contains__ if replace else lambda name: False)
            replaced = before.left
            on_part = reading.writing(reading.count - (-old.n_crystals // before.portion))
            index = _written(work / "whole", [before, fresh], joined, on_part)
            exchange(work / "whole", folder)
        if on_skip is not None:
            report_skips(fresh.skipped(), on_skip)
        shutil.rmtree(work, ignore_errors=True)
    return AddSummary(
        folder, index, reading.crystals, len(changed), replaced, have.passed_over, reading.resumed
    )


def _recover(folder: Path, work: Path) -> None:
    """Finish what a call that was killed in its last moments left undone."""
    manifest, aside = work / MANIFEST_NAME, work / "whole"
    if (work / "old").is_dir():
        if folder.exists():
            shutil.rmtree(work)
        else:
            os.replace(work / "old", folder)
    if not (manifest.is_file() and (aside / INDEX_NAME).is_file()):
        return
    onto = json.loads(manifest.read_text(encoding="utf-8")).get("onto")
    if open_dataset(aside).fingerprint == onto:
        # The two were exchanged: what lies aside is the old one.
        shutil.rmtree(work)


def _written(
    folder: Path, parts: Sequence[Parts], settings: dict[str, Any], on_part: Callable[[], None]
) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    with writing(folder, f"; the dataset is as it was, {GO_ON}"):
        try:
            folder.mkdir()
            return finalise(parts, folder, settings, on_part)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def exchange(new: Path, old: Path) -> None:
    """Put a folder in the place of another, in one step where the system can (Linux).

    Elsewhere there is a moment in which the place is empty and its folder lies beside ``new`` as ``old``.
    """
    if not _exchange_at_once(new, old):
        os.replace(old, new.with_name("old"))
        os.replace(new, old)
    sync_folder(new.parent)
    sync_folder(old.parent)


def _exchange_at_once(one: Path, other: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    here, rename_exchange = -100, 2
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library older than the call
        return False
    return bool(call(here, os.fsencode(one), here, os.fsencode(other), rename_exchange) == 0)


class _Have:
    """What a dataset holds already."""

    def __init__(self, dataset: Dataset) -> None:
        table = dataset.crystals(["crystal", "source", "sha256"])
        ids, sources, digests = (table.column(name).to_pylist() for name in table.column_names)
        stems = [file_stem(source) for source in sources]
        # A file is called by its stem, a structure among many in one file as its crystal is.
        self._files = {
            *zip(stems, digests, strict=True),
            *zip(map(plain_name, ids, sources), digests, strict=True),
        }
        self.names = set(ids)
        self.entries = {found for name in stems if (found := entry(name)) is not None}
        self.passed_over = 0

    def known(self, name: str, digest: str) -> bool:
        """Whether a file gave crystals of the dataset."""
        found = (name, digest) in self._files
        self.passed_over += found
        return found


class _Fresh:
    """Staged parts without the skips that the dataset holds already."""

    def __init__(self, parts: StagedParts, skipped: pa.Table) -> None:
        self._parts = parts
        self._old = pa.array(set(_marks(skipped).to_pylist()), pa.string())

    def crystals(self) -> Iterator[pa.Table]:
        """The crystals of each part."""
        return self._parts.crystals()

    def tables(self) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
        """Crystals, new skips and sites of each part."""
        for crystals, skipped, sites in self._parts.tables():
            yield crystals, skipped.filter(pc.invert(pc.is_in(_marks(skipped), self._old))), sites

    def skipped(self) -> pa.Table:
        """All skips, those that the dataset holds included."""
        return pa.concat_tables(
            [SKIPPED_SCHEMA.empty_table(), *(skipped for _, skipped, _ in self._parts.tables())]
        )

    def has_skips(self) -> bool:
        """Whether there is a skip that the dataset does not hold."""
        return any(len(skipped) for _, skipped, _ in self.tables())


def _marks(skipped: pa.Table) -> pa.ChunkedArray:
    """One string for each row of a skipped table."""
    return pc.binary_join_element_wise(*(skipped.column(name) for name in ("source", "rule", "reason")), "\n")
