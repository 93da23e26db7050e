"""Damaged shards made again from their sources: the same bytes, or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomsight.core.errors import DatasetError
from atomsight.core.files import sync_folder
from atomsight.core.progress import OnProgress
from atomsight.dataset._files import locked, writing
from atomsight.dataset.builder import Reading, checked_sources
from atomsight.dataset.existing import file_stem
from atomsight.dataset.finalise import file_metadata
from atomsight.dataset.naming import plain_name
from atomsight.dataset.rows import ROW
from atomsight.dataset.schema import sites_schema
from atomsight.dataset.shards import final_sites, write_shard
from atomsight.dataset.staging import StagedParts, Staging
from atomsight.dataset.store import damaged_files, policy_of, read_index


@dataclass(frozen=True)
class _Wanted:
    """One crystal of a damaged shard: its id, and the name and file hash by which it is known again."""

    id: str
    name: str
    file: str
    digest: str
    sites: int


def repair(
    dataset: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    executor: Executor | int | None = None,
    progress: OnProgress | None = None,
) -> list[str]:
    """Make damaged or missing shards of a dataset again; the result is the names of those mended.

    Only files that have crystals in such a shard are read again, known by name and SHA-256 wherever they lie
    now. A mended shard takes its place only if its checksum is the one that was written at first.
    Interrupted, the same call goes on.

    Args:
        dataset: folder of the dataset.
        paths: where its files are.
        executor: as in `build`.
        progress: as in `build`.

    Raises:
        DatasetError: another file than a shard is damaged, a file cannot be found again, the rows come out
            otherwise (another version of atomsight or of Arrow), or the disk is full.
        EngineError: see `build`.
    """
    folder = Path(dataset)
    index = read_index(folder)
    settings = index["build"]
    damaged = damaged_files(folder, index)
    if not damaged:
        return []
    if other := [name for name in damaged if not name.startswith("sites/")]:
        raise DatasetError(
            f"{folder / other[0]} is damaged, and shards alone can be mended, by what it says; build the "
            "dataset again"
        )
    policy = policy_of(folder, settings)
    wanted = {name: list(_wanted(folder, index, name)) for name in damaged}
    every = [crystal for crystals in wanted.values() for crystal in crystals]
    files = {(name, crystal.digest) for crystal in every for name in (crystal.file, crystal.name)}
    sources, _ = checked_sources(paths, None)
    work = folder.with_name(folder.name + ".repairing")
    work.mkdir(exist_ok=True)
    with locked(work):
        staging = Staging(work)
        staging.begin({"fingerprint": index["fingerprint"]})
        every_file = {**settings, "one_per_refcode": False}
        reading = Reading(
            staging, every_file, policy, progress, known=lambda name, digest: (name, digest) not in files
        )
        parts = reading.read(sources, executor)
        for name, crystals in wanted.items():
            _mend(folder, index, name, crystals, parts, work)
        shutil.rmtree(work, ignore_errors=True)
    return damaged


def _wanted(folder: Path, index: dict[str, Any], shard: str) -> Iterator[_Wanted]:
    """The crystals of a shard in its order: shards of a split follow one another in that of the table."""
    split = shard.removeprefix("sites/").rpartition("-")[0]
    names = sorted(name for name in index["files"] if name.startswith(f"sites/{split}-"))
    start = sum(index["files"][name]["rows"] for name in names[: names.index(shard)])
    end = start + index["files"][shard]["rows"]
    columns = ["crystal", "source", "sha256", "n_sites", "split"]
    table = pq.read_table(folder / "crystals.parquet", columns=columns)
    table = table.filter(pc.equal(table.column("split").cast(pa.string()), split))
    row = 0
    for record in table.select(columns[:-1]).to_pylist():
        name, source, digest, sites = record.values()
        if start <= row < end:
            yield _Wanted(name, plain_name(name, source), file_stem(source), digest, sites)
        row += sites


def _mend(
    folder: Path,
    index: dict[str, Any],
    shard: str,
    wanted: Sequence[_Wanted],
    parts: StagedParts,
    work: Path,
) -> None:
    found = _sites(parts, {(crystal.name, crystal.digest) for crystal in wanted})
    tables = []
    for crystal in wanted:
        sites = found.get((crystal.name, crystal.digest))
        if sites is None or len(sites) != crystal.sites:
            raise DatasetError(
                f"{crystal.id}, which {folder / shard} holds, is not among the given files as it was; "
                "give all sources of the dataset, or build it again"
            )
        tables.append(sites)
    schema = sites_schema(index["k"]).with_metadata(file_metadata(index["build"]))
    ids = np.repeat([crystal.id for crystal in wanted], [crystal.sites for crystal in wanted])
    split = shard.removeprefix("sites/").rpartition("-")[0]
    rows = final_sites(pa.concat_tables(tables), schema, pa.array(ids, pa.string()), split)
    draft = work / Path(shard).name
    with writing(folder / shard):
        record = write_shard(rows, draft)
        if record != index["files"][shard]:
            raise DatasetError(
                f"{folder / shard} came out otherwise than it was written, by atomsight "
                f"{index['build']['atomsight']} and perhaps another pyarrow; build the dataset again"
            )
        (folder / "sites").mkdir(exist_ok=True)
        os.replace(draft, folder / shard)
        sync_folder(folder / "sites")


def _sites(parts: StagedParts, keys: set[tuple[str, str]]) -> dict[tuple[str, str], pa.Table]:
    """Staged sites of some crystals, by name and file hash."""
    found = {}
    for crystals, _, sites in parts.tables():
        rows = sites.column(ROW).to_numpy()
        names, digests = (crystals.column(name).to_pylist() for name in ("crystal", "sha256"))
        bounds = np.searchsorted(rows, np.arange(len(names) + 1))
        for row, key in enumerate(zip(names, digests, strict=True)):
            if key in keys:
                found[key] = sites.slice(bounds[row], bounds[row + 1] - bounds[row])
    return found
