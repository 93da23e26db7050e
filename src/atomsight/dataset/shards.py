"""Parquet files of a dataset: the same rows give the same bytes, however they arrived."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.dataset._files import sha256_of
from atomsight.dataset.rows import ROW
from atomsight.dataset.schema import ROW_GROUP_ROWS, SPLITS

SHARD_BYTES = 64 * 2**20
"""About how much of the sites table, unpacked, goes into one shard."""


class Writers(ThreadPoolExecutor):
    """Threads that write shards, few at a time, so that memory does not grow.

    Parquet is written without the GIL.
    """

    MOST_WAITING = 2

    def __init__(self) -> None:
        super().__init__(2)
        self._running: deque[Future[dict[str, Any]]] = deque()

    def write(self, table: pa.Table, path: Path) -> Future[dict[str, Any]]:
        """Write a shard soon; the result is its record in the index."""
        while len(self._running) > self.MOST_WAITING:
            self._running.popleft().result()
        self._running.append(self.submit(write_shard, table, path))
        return self._running[-1]


def write_shard(table: pa.Table, path: Path) -> dict[str, Any]:
    """Write rows of the sites table; the result is the file's record in the index."""
    pq.write_table(
        # Pages end where pieces of the table do, and pieces follow the chunks of the build.
        table.combine_chunks(),
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
            "directions.list.element",
        ],
        column_encoding={"distances.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=["crystal", "element"],
    )
    return file_record(path)


class Shards:
    """Shards of one split: filled part by part, cut between two crystals once they are large enough."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, writers: Writers) -> None:
        self._folder = folder
        self._split = split
        self._writers = writers
        row_bytes = 9 * schema.field("distances").type.list_size + 40
        self._capacity = max(ROW_GROUP_ROWS, SHARD_BYTES // row_bytes // ROW_GROUP_ROWS * ROW_GROUP_ROWS)
        self._pending = schema.empty_table()
        self._written: list[tuple[str, Future[dict[str, Any]]]] = []

    def add(self, sites: pa.Table, ids: pa.Array) -> None:
        """Add staged rows of this split; ``ids`` are those of the chunk's crystals."""
        rows = sites.column(ROW).to_numpy()
        ends = len(self._pending) + np.append(np.flatnonzero(np.diff(rows)) + 1, len(rows))
        table = final_sites(sites, self._pending.schema, ids.take(pa.array(rows)), self._split)
        self._pending = pa.concat_tables([self._pending, table])
        while len(self._pending) >= self._capacity:
            cut = int(ends[np.searchsorted(ends, self._capacity)])
            self._write(cut)
            ends -= cut

    def close(self) -> None:
        """Write what is left."""
        if len(self._pending):
            self._write(len(self._pending))

    def records(self) -> list[tuple[str, dict[str, Any]]]:
        """Names of the shards and their records in the index, once they are written."""
        return [(name, future.result()) for name, future in self._written]

    def _write(self, rows: int) -> None:
        name = f"{self._split}-{len(self._written):05d}.parquet"
        self._written.append((name, self._writers.write(self._pending.slice(0, rows), self._folder / name)))
        self._pending = self._pending.slice(rows)


class TableFile:
    """A table written as it comes, in row groups of the usual size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._pending = schema.empty_table()

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._pending = pa.concat_tables([self._pending, table])
        while len(self._pending) >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and end the file."""
        if len(self._pending):
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(self._pending.slice(0, ROW_GROUP_ROWS).combine_chunks())
        self._pending = self._pending.slice(ROW_GROUP_ROWS)


def completed(table: pa.Table, schema: pa.Schema, known: dict[str, pa.Array]) -> pa.Table:
    """A table of this schema: columns that are known, the others from the table."""
    columns = [known[name] if name in known else table.column(name) for name in schema.names]
    return pa.table(columns, schema=schema)


def final_sites(sites: pa.Table, schema: pa.Schema, ids: pa.Array, split: str) -> pa.Table:
    """Staged sites of one split with the id of its crystal in each row."""
    codes = np.full(len(sites), SPLITS.index(split), dtype=np.int8)
    return completed(sites, schema, {"crystal": ids, "split": split_column(codes)})


def split_column(codes: NDArray[np.int8]) -> pa.DictionaryArray:
    """The column ``split`` of some rows, from the places of their splits in `SPLITS`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(SPLITS, pa.string()))


def file_record(path: Path) -> dict[str, Any]:
    """Rows, bytes and SHA-256 of a finished file, after making it durable."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
    return {
        "rows": pq.read_metadata(path).num_rows,
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
    }
