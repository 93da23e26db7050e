"""From staged parts to the finished dataset: unique ids, groups, splits, final shards, checksums.

A pure function of the parts in their order: stopped half-way it is simply done again, with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.dataset._files import sha256_of, sync_folder, write_json
from atomsight.dataset.naming import unique_ids
from atomsight.dataset.rows import ROW
from atomsight.dataset.schema import (
    CRYSTALS_SCHEMA,
    INDEX_NAME,
    ROW_GROUP_ROWS,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    SKIPPED_SCHEMA,
    SPLITS,
    sites_schema,
)
from atomsight.dataset.split import groups, split_of
from atomsight.dataset.staging import Staging
from atomsight.dataset.work import decode, decode_crystals

SHARD_BYTES = 64 * 2**20
"""About how much of the sites table, unpacked, goes into one shard."""


def finalise(
    staging: Staging, count: int, settings: dict[str, Any], on_part: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Write the dataset from parts 0 .. count - 1 and return what ``dataset.json`` holds.

    ``on_part`` is called after each part. The order of rows is that of the parts within each split; the
    shards of the splits are apart, so that reading one split does not read the others.
    """
    out = staging.out
    names = _Names(staging, count, settings["licences"])
    k = settings["k"]
    # The list of sources can be long; it is in dataset.json only.
    brief = {name: value for name, value in settings.items() if name not in ("sources", "licences")}
    metadata = {
        b"atomsight.schema": SCHEMA_NAME.encode(),
        b"atomsight.schema_version": str(SCHEMA_VERSION).encode(),
        b"atomsight.k": str(k).encode(),
        b"atomsight.settings": json.dumps(brief, ensure_ascii=False).encode(),
    }
    folder = out / "sites"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    elements = {split: np.zeros(256, dtype=np.int64) for split in SPLITS}
    rules: Counter[str] = Counter()
    with (
        _Writers() as writers,
        closing(
            _TableFile(out / "crystals.parquet", CRYSTALS_SCHEMA.with_metadata(metadata))
        ) as crystal_file,
        closing(_TableFile(out / "skipped.parquet", SKIPPED_SCHEMA.with_metadata(metadata))) as skip_file,
    ):
        schema = sites_schema(k).with_metadata(metadata)
        shards = {split: _Shards(folder, split, schema, writers) for split in SPLITS}
        for index in range(count):
            crystals, skipped, sites = decode(staging.get(index))
            ids, codes = names.of_part(index)
            if len(crystals):
                crystal_file.add(names.complete(index, crystals))
                rows = sites.column(ROW).to_numpy()
                for code, split in enumerate(SPLITS):
                    chosen = np.flatnonzero(codes[rows] == code)
                    if len(chosen):
                        part = sites if len(chosen) == len(sites) else sites.take(pa.array(chosen))
                        shards[split].add(part, ids)
                        elements[split] += np.bincount(part.column("element").to_numpy(), minlength=256)
            if len(skipped):
                skip_file.add(skipped)
                rules.update(skipped.column("rule").to_pylist())
            on_part()
        for split in SPLITS:
            shards[split].close()
        files = {f"sites/{name}": record for split in SPLITS for name, record in shards[split].records()}
    sync_folder(folder)
    files |= {name: _record(out / name) for name in ("crystals.parquet", "skipped.parquet")}
    index_record = {
        "schema": {"name": SCHEMA_NAME, "version": SCHEMA_VERSION},
        "k": k,
        "crystals": len(names.ids),
        "sites": sum(int(counts.sum()) for counts in elements.values()),
        "skipped": dict(sorted(rules.items())),
        "splits": {
            split: {
                "crystals": int((names.codes == code).sum()),
                "sites": int(elements[split].sum()),
                "elements": {str(z): int(elements[split][z]) for z in np.flatnonzero(elements[split])},
            }
            for code, split in enumerate(SPLITS)
        },
        "families": names.n_families,
        "groups": names.n_groups,
        "largest_group": names.largest_group,
        "build": settings,
        "files": files,
    }
    index_record["fingerprint"] = hashlib.sha256(
        json.dumps(index_record, sort_keys=True).encode()
    ).hexdigest()
    write_json(out / INDEX_NAME, index_record)
    return index_record


class _Names:
    """Ids, groups and splits of all crystals: what can only be known when all parts are there."""

    def __init__(self, staging: Staging, count: int, licences: dict[str, str]) -> None:
        columns: dict[str, list[str]] = {name: [] for name in ("crystal", "source", "formula", "family")}
        self._starts = [0]
        for index in range(count):
            table = decode_crystals(staging.get(index))
            for name, values in columns.items():
                values.extend(table.column(name).to_pylist())
            self._starts.append(len(columns["crystal"]))
        self.ids = unique_ids(columns["crystal"], columns["source"])
        self.groups = groups(columns["formula"], columns["family"])
        split = {group: SPLITS.index(split_of(group)) for group in set(self.groups)}
        self.codes: NDArray[np.int8] = np.array([split[group] for group in self.groups], dtype=np.int8)
        self._licences = licences
        self.n_families = len(set(columns["family"]))
        sizes = Counter(self.groups)
        self.n_groups = len(sizes)
        self.largest_group = max(sizes.values(), default=0)

    def of_part(self, index: int) -> tuple[pa.Array, NDArray[np.int8]]:
        """Ids and split codes of the crystals of one part."""
        chosen = slice(self._starts[index], self._starts[index + 1])
        return pa.array(self.ids[chosen], pa.string()), self.codes[chosen]

    def complete(self, index: int, crystals: pa.Table) -> pa.Table:
        """The crystals of one part with unique ids, licences, groups and splits."""
        ids, codes = self.of_part(index)
        group = self.groups[self._starts[index] : self._starts[index + 1]]
        known = {
            "crystal": ids,
            "licence": pa.array(
                [self._licence(s) for s in crystals.column("source").to_pylist()], pa.string()
            ),
            "group": pa.array(group, pa.string()),
            "split": _split_column(codes),
        }
        columns = [known[name] if name in known else crystals.column(name) for name in CRYSTALS_SCHEMA.names]
        return pa.table(columns, schema=CRYSTALS_SCHEMA)

    def _licence(self, source: str) -> str:
        """Licence of the path that a crystal came from; that of ``""`` is for all."""
        if not self._licences:
            return ""
        file = source.partition("::")[0]
        places = (source, file, file.rpartition("#")[0], *map(str, PurePosixPath(file).parents), "")
        return next((self._licences[place] for place in places if place in self._licences), "")


class _Writers:
    """Threads that encode shards, since Parquet is written without the GIL; few at a time, so that memory
    stays flat."""

    MOST_WAITING = 2

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._running: deque[Future[dict[str, Any]]] = deque()

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, table: pa.Table, path: Path) -> Future[dict[str, Any]]:
        """Write a shard soon; the result is its record in the index."""
        while len(self._running) > self.MOST_WAITING:
            self._running.popleft().result()
        future = self._pool.submit(_write_shard, table, path)
        self._running.append(future)
        return future


def _write_shard(table: pa.Table, path: Path) -> dict[str, Any]:
    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        use_dictionary=[
            "crystal",
            "label",
            "element",
            "multiplicity",
            "split",
            "neighbour_elements.list.element",
        ],
        column_encoding={"distances.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=["crystal", "element"],
    )
    return _record(path)


class _Shards:
    """Shards of one split: filled part by part, cut between two crystals once they are large enough."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, writers: _Writers) -> None:
        self._folder = folder
        self._split = split
        self._schema = schema
        self._writers = writers
        row_bytes = 9 * schema.field("distances").type.list_size + 40
        self._capacity = max(ROW_GROUP_ROWS, SHARD_BYTES // row_bytes // ROW_GROUP_ROWS * ROW_GROUP_ROWS)
        self._pending: list[pa.Table] = []
        self._rows = 0
        self._written: list[tuple[str, Future[dict[str, Any]]]] = []

    def add(self, sites: pa.Table, ids: pa.Array) -> None:
        """Add staged rows of this split; ``ids`` are those of the chunk's crystals."""
        rows = sites.column(ROW).to_numpy()
        known = {
            "crystal": ids.take(pa.array(rows)),
            "split": _split_column(np.full(len(rows), SPLITS.index(self._split), dtype=np.int8)),
        }
        columns = [known[name] if name in known else sites.column(name) for name in self._schema.names]
        table = pa.table(columns, schema=self._schema)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1, [len(rows)]])
        done = 0
        while self._rows + len(rows) - done >= self._capacity:
            cut = int(starts[np.searchsorted(starts, done + self._capacity - self._rows)])
            self._pending.append(table.slice(done, cut - done))
            self._write()
            done = cut
        self._pending.append(table.slice(done))
        self._rows += len(rows) - done

    def close(self) -> None:
        """Write what is left."""
        if self._rows:
            self._write()

    def records(self) -> list[tuple[str, dict[str, Any]]]:
        """Names of the shards and their records in the index, once they are written."""
        return [(name, future.result()) for name, future in self._written]

    def _write(self) -> None:
        name = f"{self._split}-{len(self._written):05d}.parquet"
        self._written.append(
            (name, self._writers.submit(pa.concat_tables(self._pending), self._folder / name))
        )
        self._pending = []
        self._rows = 0


class _TableFile:
    """A table written as it comes, in row groups of the usual size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._pending: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._pending.append(table)
        self._rows += len(table)
        if self._rows >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(
            pa.concat_tables(self._pending).replace_schema_metadata(self._schema.metadata)
        )
        self._pending = []
        self._rows = 0


def _split_column(codes: NDArray[np.int8]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(SPLITS, pa.string()))


def _record(path: Path) -> dict[str, Any]:
    """Rows, bytes and SHA-256 of a finished file, after making it durable."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
    return {
        "rows": pq.read_metadata(path).num_rows,
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
    }
