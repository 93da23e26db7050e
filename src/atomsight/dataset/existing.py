"""The rows of finished datasets, brought back into the order and the form in which a build stages them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.core.errors import DatasetError
from atomsight.dataset.chunks import Skip
from atomsight.dataset.naming import plain_name
from atomsight.dataset.rows import STAGED_CRYSTALS_SCHEMA, skipped_table, staged_sites_schema
from atomsight.dataset.schema import CRYSTALS_SCHEMA, SKIPPED_SCHEMA, SPLITS, sites_schema
from atomsight.dataset.split import entry
from atomsight.dataset.store import Dataset
from atomsight.io.formats import stem

PORTION = 512
"""Crystals taken at a time."""

_KEPT = pa.schema([f for f in CRYSTALS_SCHEMA if f.name == "licence" or f in STAGED_CRYSTALS_SCHEMA])


def file_stem(source: str) -> str:
    """Stem of the file that a crystal's ``source`` names, ``x`` for ``a.tar::b/x.cif#block``."""
    return stem(re.sub(r"(\.\w+)#.*", r"\1", source.rpartition("::")[2]))


class ExistingParts:
    """Crystals, skips and sites of datasets one after another, see `finalise.Parts`.

    What an earlier dataset holds already is left out of a later one.

    Args:
        datasets: in order.
        one_per_refcode: leave out crystals whose entry an earlier dataset holds, as a build does.
        leave: tells by its name whether a crystal is left out.

    Attributes:
        done: crystals seen by `tables`.
        duplicates, superseded: crystals left out, see `merge.MergeSummary`.
        left: those that ``leave`` left out.
        names: ids of the crystals that are taken.
        portion: most crystals in one portion.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        *,
        one_per_refcode: bool = False,
        leave: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._datasets = datasets
        self._one_per_refcode = one_per_refcode
        self._leave = leave
        self._chosen: list[NDArray[np.bool_]] = []
        self._skips: list[pa.Table] = []
        self.names: list[str] = []
        self.done = self.duplicates = self.superseded = self.left = 0
        self.portion = PORTION
        self._choose()

    def _choose(self) -> None:
        """Decide which crystals are taken; this needs ids and hashes only."""
        seen: set[tuple[str, str]] = set()
        entries: set[str | None] = set()
        for dataset in self._datasets:
            table = dataset.crystals(["crystal", "source", "sha256"])
            columns = (table.column(name).to_pylist() for name in ("crystal", "source", "sha256"))
            chosen = np.ones(len(table), dtype=bool)
            own: set[tuple[str, str]] = set()
            own_entries: set[str | None] = set()
            skips = []
            for row, (name, source, digest) in enumerate(zip(*columns, strict=True)):
                key = (plain_name(name, source), digest)
                stands_for = entry(file_stem(source)) if self._one_per_refcode else None
                if digest and key in seen:
                    self.duplicates += 1
                elif stands_for and stands_for in entries:
                    skips.append(Skip.superseded(source, stands_for))
                elif self._leave(key[0]):
                    self.left += 1
                else:
                    own.add(key)
                    own_entries.add(stands_for)
                    continue
                chosen[row] = False
            seen |= own
            entries |= own_entries
            self.superseded += len(skips)
            self._chosen.append(chosen)
            self._skips.append(skipped_table(skips))
            self.names.extend(np.asarray(table.column("crystal"), dtype=object)[chosen])

    def crystals(self) -> Iterator[pa.Table]:
        """The crystals of each portion."""
        for dataset, chosen in zip(self._datasets, self._chosen, strict=True):
            for table, mask in _portions(dataset, chosen):
                yield table.filter(pa.array(mask)).select(_KEPT.names)

    def tables(self) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
        """Crystals, skipped and sites of each portion.

        Raises:
            DatasetError: a shard does not hold the sites that the crystals table says.
        """
        for dataset, chosen, skips in zip(self._datasets, self._chosen, self._skips, strict=True):
            skipped = pa.concat_tables([dataset.skipped().cast(SKIPPED_SCHEMA), skips])
            shards = [_Rows(dataset, split) for split in SPLITS]
            for table, mask in _portions(dataset, chosen):
                sites = _sites_of(dataset, table, mask, shards)
                crystals = table.filter(pa.array(mask)).select(_KEPT.names)
                self.done += len(table)
                yield crystals, skipped, sites
                skipped = skipped.slice(0, 0)
            if len(skipped):
                yield _KEPT.empty_table(), skipped, staged_sites_schema(dataset.k).empty_table()


def _pieces(path: Path, rows: int) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows):
            yield pa.Table.from_batches([batch]).replace_schema_metadata()


def _portions(dataset: Dataset, chosen: NDArray[np.bool_]) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
    """Crystals, each portion with its piece of the mask."""
    start = 0
    for table in _pieces(dataset.path / "crystals.parquet", PORTION):
        yield table, chosen[start : start + len(table)]
        start += len(table)


class _Rows:
    """The rows of one split, taken from the front."""

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset = dataset
        self._tables = (table for shard in dataset.shards(split) for table in _pieces(shard, 16_384))
        self._rest = sites_schema(dataset.k).empty_table()

    def take(self, count: int) -> pa.Table:
        """The next rows."""
        while len(self._rest) < count:
            table = next(self._tables, None)
            if table is None:
                raise DatasetError(f"{self._dataset.path} holds fewer sites than its crystals have")
            self._rest = pa.concat_tables([self._rest, table])
        taken = self._rest.slice(0, count)
        self._rest = self._rest.slice(count)
        return taken


def _sites_of(
    dataset: Dataset, crystals: pa.Table, chosen: NDArray[np.bool_], shards: Sequence[_Rows]
) -> pa.Table:
    """Sites of some crystals in their order, as they are staged, those of crystals not chosen left out."""
    counts = crystals.column("n_sites").to_numpy().astype(np.int64)
    split = crystals.column("split").cast(pa.string()).to_numpy(zero_copy_only=False)
    pieces: list[pa.Table] = []
    starts = np.zeros(len(counts), dtype=np.int64)
    offset = 0
    for name, rows in zip(SPLITS, shards, strict=True):
        mine = np.flatnonzero(split == name)
        ends = offset + np.cumsum(counts[mine])
        starts[mine] = ends - counts[mine]
        pieces.append(rows.take(int(counts[mine].sum())))
        offset += int(counts[mine].sum())
    table = pa.concat_tables(pieces).combine_chunks()
    shift = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    order = pa.array(np.arange(len(table)) + shift)
    row = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    found = table.column("crystal").combine_chunks().take(order)
    if not found.equals(crystals.column("crystal").combine_chunks().take(pa.array(row))):
        raise DatasetError(f"{dataset.path}: the sites in its shards are not those of its crystals table")
    keep = chosen[row]
    new_row = (np.cumsum(chosen) - 1).astype(np.uint32)[row[keep]]
    schema = staged_sites_schema(dataset.k)
    sites = table.select(schema.names[1:]).take(order.filter(pa.array(keep)) if not keep.all() else order)
    return pa.table([pa.array(new_row), *sites.columns], schema=schema)
