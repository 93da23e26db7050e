"""The sites as a stream of arrays: filtered, capped, shuffled in a bounded buffer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.core.errors import DatasetError

Arrays = dict[str, NDArray[Any]]
Block = tuple[int, int]
"""Number of a shard, and of a row group in it."""

POOL_ROWS = 2**19
"""Rows that are shuffled together. They come from row groups chosen at random from the whole split, so that
rows which lie together in the table end up in many different batches."""


def stream(
    paths: Sequence[Path],
    columns: list[str],
    batch_size: int,
    shuffle: int | None,
    elements: NDArray[np.bool_] | None,
    cap: CapSelection | None,
    whole_crystals: bool,
    per_crystal: int | None,
) -> Iterator[Arrays]:
    """Batches of some shards; see `store.Dataset.batches`. ``elements`` is a mask over atomic numbers."""
    needed = list(dict.fromkeys([*columns, "site"])) if whole_crystals else columns
    held = _Pieces()
    with _Shards(paths) as shards:

        def read(block: Block) -> Arrays:
            if whole_crystals:
                return _crystals_from(shards, block, needed)
            return _selected(shards, block, needed, elements, cap)

        permute = partial(_permuted_crystals, per_crystal=per_crystal) if whole_crystals else _permuted
        for piece in _shuffled(shards, shuffle, read, permute):
            held.add(piece)
            if held.rows < batch_size:
                continue
            rows, done = held.rows, 0
            whole = held.all()
            ends = np.append(np.flatnonzero(whole["site"] == 0)[1:], rows) if whole_crystals else None
            while rows - done >= batch_size:
                end = done + batch_size
                end = end if ends is None else int(ends[np.searchsorted(ends, end)])
                yield {name: whole[name][done:end] for name in columns}
                done = end
            held.add({name: values[done:].copy() for name, values in whole.items()})  # no view of it all
            del piece, whole
    if held.rows:
        whole = held.all()
        yield {name: whole[name] for name in columns}


def _shuffled(
    shards: _Shards,
    seed: int | None,
    read: Callable[[Block], Arrays],
    permute: Callable[[Arrays, np.random.Generator], Arrays],
) -> Iterator[Arrays]:
    """The rows of all blocks: in their order without a seed, else blocks at random and pools permuted."""
    blocks = shards.blocks()
    if seed is None:
        yield from map(read, blocks)
        return
    generator = np.random.default_rng(seed)
    pool = _Pieces()
    for position in generator.permutation(len(blocks)):
        pool.add(read(blocks[position]))
        if pool.rows >= POOL_ROWS:
            yield permute(pool.all(), generator)
    if pool.rows:
        yield permute(pool.all(), generator)


def _crystals_from(shards: _Shards, block: Block, columns: list[str]) -> Arrays:
    """All rows of the crystals whose first row is in a block; the last one may go on in the next."""
    arrays = _selected(shards, block, columns)
    starts = np.flatnonzero(arrays["site"] == 0)
    if not len(starts):
        return {name: values[:0] for name, values in arrays.items()}
    pieces = _Pieces()
    pieces.add({name: values[starts[0] :] for name, values in arrays.items()})
    shard, group = block
    while (following := (shard, group := group + 1)) in shards:
        arrays = _selected(shards, following, columns)
        rest = int(np.argmax(np.append(arrays["site"], 0) == 0))
        pieces.add({name: values[:rest] for name, values in arrays.items()})
        if rest < len(arrays["site"]):
            break
    return pieces.all()


def _permuted_crystals(
    arrays: Arrays, generator: np.random.Generator, per_crystal: int | None = None
) -> Arrays:
    """Crystals in random order; with ``per_crystal`` one of n rows stays with chance ``per_crystal`` / n."""
    starts = np.flatnonzero(arrays["site"] == 0)
    sizes = np.diff(starts, append=len(arrays["site"]))
    order = generator.permutation(len(starts))
    if per_crystal is not None:
        order = order[generator.random(len(order)) * sizes[order] < per_crystal]
    sizes = sizes[order]
    begins = np.cumsum(sizes) - sizes
    rows = np.arange(sizes.sum()) + np.repeat(starts[order] - begins, sizes)
    return {name: arrays.pop(name)[rows] for name in list(arrays)}


class CapSelection:
    """Which sites belong to the ``cap`` of each element with the least hash of (crystal, site, seed).

    One pass over three narrow columns finds each element's threshold; the mask of a block is computed when it
    is first asked for and kept, one bit a row.
    """

    def __init__(self, paths: Sequence[Path], cap: int, seed: int) -> None:
        self._seed = seed
        self._masks: dict[Block, tuple[NDArray[np.uint8], int]] = {}
        candidates: list[list[NDArray[np.uint64]]] = [[] for _ in range(256)]
        held = np.zeros(256, dtype=np.int64)
        seen = np.zeros(256, dtype=np.int64)
        with _Shards(paths) as shards:
            for block in shards.blocks():
                table = shards.read(block, ["crystal", "site", "element"])
                numbers = table.column("element").to_numpy()
                hashes = self._hashes(table)
                order = np.argsort(numbers, kind="stable")
                present, starts = np.unique(numbers[order], return_index=True)
                for z, part in zip(present, np.split(hashes[order], starts[1:]), strict=True):
                    candidates[z].append(part)
                    held[z] += len(part)
                    seen[z] += len(part)
                    if held[z] > 2 * cap + len(numbers):
                        candidates[z] = [np.partition(np.concatenate(candidates[z]), cap - 1)[:cap]]
                        held[z] = cap
        self._threshold = np.full(256, np.iinfo(np.uint64).max, dtype=np.uint64)
        for z in np.flatnonzero(seen > cap):
            self._threshold[z] = np.partition(np.concatenate(candidates[z]), cap - 1)[cap - 1]

    def mask(self, shards: _Shards, block: Block) -> NDArray[np.bool_]:
        """Which rows of a block are selected."""
        if block not in self._masks:
            table = shards.read(block, ["crystal", "site", "element"])
            chosen = self._hashes(table) <= self._threshold[table.column("element").to_numpy()]
            self._masks[block] = np.packbits(chosen), len(chosen)
        bits, rows = self._masks[block]
        return np.unpackbits(bits, count=rows).view(bool)

    def _hashes(self, table: pa.Table) -> NDArray[np.uint64]:
        """A 64-bit hash of crystal, site and seed for each row; its order is a random order of the sites."""
        crystal = table.column("crystal").combine_chunks().dictionary_encode()
        crystal = crystal.chunk(0) if isinstance(crystal, pa.ChunkedArray) else crystal
        salt = self._seed.to_bytes(8, "little", signed=True)
        names = b"".join(
            hashlib.blake2b(name.encode(), digest_size=8, salt=salt).digest()
            for name in crystal.dictionary.to_pylist()
        )
        mixed = np.frombuffer(names, dtype="<u8")[crystal.indices.to_numpy()]
        # splitmix64 (Steele, Lea and Flood, OOPSLA 2014, 10.1145/2714064.2660195)
        mixed = mixed + (table.column("site").to_numpy().astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
        return hashes


class _Shards(AbstractContextManager["_Shards"]):
    """Open shards, mapped into memory; at most a few at a time."""

    MOST_OPEN = 64

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: dict[int, pq.ParquetFile] = {}

    def __exit__(self, *error: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def blocks(self) -> list[Block]:
        """Every row group of every shard, in order."""
        return [
            (shard, group)
            for shard in range(len(self._paths))
            for group in range(self._file(shard).num_row_groups)
        ]

    def __contains__(self, block: Block) -> bool:
        """Whether there is such a row group in a shard that there is."""
        return bool(block[1] < self._file(block[0]).num_row_groups)

    def read(self, block: Block, columns: list[str]) -> pa.Table:
        """Some columns of one row group."""
        try:
            return self._file(block[0]).read_row_group(block[1], columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(block[0], error) from error

    def _file(self, shard: int) -> pq.ParquetFile:
        if shard not in self._open:
            if len(self._open) >= self.MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            path = self._paths[shard]
            try:
                self._open[shard] = pq.ParquetFile(path, memory_map=True, read_dictionary=["crystal"])
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(shard, error) from error
        return self._open[shard]

    def _damaged(self, shard: int, error: Exception) -> DatasetError:
        return DatasetError(f"{self._paths[shard]} is damaged ({error}); build the dataset again")


class _Pieces:
    """Rows waiting to become batches."""

    def __init__(self) -> None:
        self.rows = 0
        self._pieces: list[Arrays] = []

    def add(self, piece: Arrays) -> None:
        """Append rows."""
        rows = len(next(iter(piece.values()), ()))
        if rows:
            self._pieces.append(piece)
            self.rows += rows

    def all(self) -> Arrays:
        """Remove and return everything."""
        pieces = self._pieces
        self._pieces = []
        self.rows = 0
        if len(pieces) == 1:
            return pieces[0]
        # column by column, each let go of as it is joined: the pool is what a reader holds most of
        return {name: np.concatenate([piece.pop(name) for piece in pieces]) for name in list(pieces[0])}


def _permuted(arrays: Arrays, generator: np.random.Generator) -> Arrays:
    order = generator.permutation(len(next(iter(arrays.values()))))
    return {name: arrays.pop(name)[order] for name in list(arrays)}


def _selected(
    shards: _Shards,
    block: Block,
    columns: list[str],
    elements: NDArray[np.bool_] | None = None,
    cap: CapSelection | None = None,
) -> Arrays:
    """The chosen columns and rows of one block as arrays."""
    needed = columns if elements is None or "element" in columns else [*columns, "element"]
    table = shards.read(block, needed)
    arrays = {name: _array(table.column(name)) for name in columns}
    mask = None if cap is None else cap.mask(shards, block)
    if elements is not None:
        wanted = elements[_array(table.column("element"))]
        mask = wanted if mask is None else mask & wanted
    if mask is None or mask.all():
        return arrays
    return {name: values[mask] for name, values in arrays.items()}


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as an array: (n, k) for fixed-size lists, objects for strings and variable lists."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        # flatten() heeds the offset and length of a slice; .values would not.
        parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        empty: NDArray[Any] = np.empty(0, kind.value_type.to_pandas_dtype())
        joined = parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])
        return joined.reshape(-1, kind.list_size)
    if pa.types.is_list(kind):
        return np.fromiter(column.to_pylist(), dtype=object, count=len(column))
    plain = column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column
    return np.asarray(plain.to_numpy())
