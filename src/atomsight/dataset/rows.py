"""Crystals to rows: the tables of one chunk, columns filled for many crystals at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atomsight.core.batch import Flat
from atomsight.core.crystal import Bonds, Crystal
from atomsight.core.labels import Labels
from atomsight.dataset.bonds_column import BondSource, bonds_column, bonds_of
from atomsight.dataset.chunks import Skip
from atomsight.dataset.schema import CRYSTALS_SCHEMA, SKIPPED_SCHEMA, sites_schema
from atomsight.dataset.split import family
from atomsight.geometry.neighbours import surroundings_in

ROW = "row"
"""Staged sites carry the row of their crystal in the chunk instead of its id: ids and splits come last."""

AT_ONCE = 2048
"""Sites whose neighbours are searched in one call: many small crystals cost few calls, and the arrays still
fit into a core's cache."""


class ChunkRows:
    """Collects the crystals of one chunk and turns them into three tables.

    Neighbours are searched for several crystals at once, `AT_ONCE` sites or so.

    Attributes:
        k: number of neighbours.
        source: where the bonds come from, see `bonds.column`.
        crystals: those whose rows are made.
        failed: those whose rows could not be made, and why.
    """

    def __init__(self, k: int, source: BondSource = "file") -> None:
        self.k = k
        self.source = source
        self.crystals: list[Crystal] = []
        self.failed: list[tuple[Crystal, Exception]] = []
        self._waiting: list[tuple[Crystal, str]] = []
        self._waiting_sites = 0
        self._digests: list[str] = []
        self._numbers: list[NDArray[np.uint8]] = []
        self._multiplicities: list[NDArray[np.int64]] = []
        self._distances: list[NDArray[np.float32]] = []
        self._neighbours: list[NDArray[np.uint32]] = []
        self._directions: list[NDArray[np.int8]] = []
        self._elements: list[NDArray[np.uint8]] = []
        self._bonds: list[Bonds | None] = []

    def add(self, crystal: Crystal, digest: str) -> None:
        """Take a crystal; ``digest`` is the SHA-256 of its file."""
        self._waiting.append((crystal, digest))
        self._waiting_sites += crystal.n_sites
        if self._waiting_sites >= AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Make the rows of all crystals that were added."""
        waiting, self._waiting, self._waiting_sites = self._waiting, [], 0
        if not waiting:
            return
        try:
            self._settle(waiting)
        except Exception:  # one crystal that no rule foresaw must not stop the others
            for one in waiting:
                try:
                    self._settle([one])
                except Exception as error:
                    self.failed.append((one[0], error))

    def _settle(self, some: list[tuple[Crystal, str]]) -> None:
        crystals = [crystal for crystal, _ in some]
        bonds = [bonds_of(crystal, self.source) for crystal in crystals]
        flat = Flat.of(crystals)
        distances, neighbours, directions = surroundings_in(flat, self.k)
        numbers = flat.site_numbers
        starts = np.repeat(flat.site_offsets[:-1], np.diff(flat.site_offsets))
        self._elements.append(numbers[neighbours + starts[:, None]])
        self._distances.append(distances.astype(np.float32))
        self._neighbours.append(neighbours)
        self._directions.append(directions)
        self._numbers.append(numbers)
        self._multiplicities.append(flat.multiplicities)
        self._bonds += bonds
        self._digests += [digest for _, digest in some]
        self.crystals += crystals

    def sites(self) -> pa.Table:
        """The sites table without ids and splits, see `ROW`."""
        self.settle()
        counts = np.array([crystal.n_sites for crystal in self.crystals], dtype=np.int64)
        total = int(counts.sum())
        starts = np.cumsum(counts) - counts
        schema = staged_sites_schema(self.k)
        columns = {
            ROW: np.repeat(np.arange(len(counts), dtype=np.uint32), counts),
            "site": (np.arange(total) - np.repeat(starts, counts)).astype(np.uint32),
            "label": _label_column(self.crystals),
            "element": _joined(self._numbers, np.uint8),
            "multiplicity": _joined(self._multiplicities, np.uint16),
            "distances": self._lists(self._distances, np.float32),
            "neighbours": self._lists(self._neighbours, np.uint32),
            "neighbour_elements": self._lists(self._elements, np.uint8),
            "directions": self._lists(self._directions, np.int8, 3),
            "bonds": bonds_column(self.crystals, self._bonds, self.source, schema.field("bonds").type),
        }
        return pa.table(
            {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema
        )

    def _lists(self, parts: Sequence[NDArray], dtype: type, each: int = 1) -> pa.FixedSizeListArray:
        return pa.FixedSizeListArray.from_arrays(pa.array(_joined(parts, dtype).ravel()), each * self.k)

    def crystals_table(self) -> pa.Table:
        """The crystals table without ids made unique, groups and splits: these are found when all are
        known."""
        self.settle()
        crystals = self.crystals
        lattices = np.array([crystal.lattice for crystal in crystals], dtype=np.float64).reshape(-1, 3, 3)
        lengths, angles = cell_parameters(lattices)
        columns = {
            "crystal": [crystal.name for crystal in crystals],
            "source": [crystal.source for crystal in crystals],
            "formula": [crystal.formula for crystal in crystals],
            "family": [family(crystal.name) for crystal in crystals],
            "lattice": pa.FixedSizeListArray.from_arrays(pa.array(lattices.ravel()), 9),
            **{name: lengths[:, axis].astype(np.float32) for axis, name in enumerate("abc")},
            **{
                name: angles[:, axis].astype(np.float32)
                for axis, name in enumerate(("alpha", "beta", "gamma"))
            },
            "volume": np.abs(np.linalg.det(lattices)).astype(np.float32),
            "space_group": [crystal.space_group for crystal in crystals],
            "n_sites": np.array([crystal.n_sites for crystal in crystals], dtype=np.uint32),
            "n_atoms": np.array([crystal.n_atoms for crystal in crystals], dtype=np.uint32),
            "flags": [sorted(crystal.flags) for crystal in crystals],
            "sha256": self._digests,
        }
        schema = STAGED_CRYSTALS_SCHEMA
        return pa.table(
            {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema
        )


def skipped_table(skips: Sequence[Skip]) -> pa.Table:
    """The skipped table of some skips."""
    columns = {name: [getattr(skip, name) for skip in skips] for name in SKIPPED_SCHEMA.names}
    return pa.table(columns, SKIPPED_SCHEMA)


def staged_sites_schema(k: int) -> pa.Schema:
    """The sites schema with `ROW` in place of ``crystal`` and without ``split``."""
    return pa.schema(
        [(ROW, pa.uint32()), *(f for f in sites_schema(k) if f.name not in ("crystal", "split"))]
    )


STAGED_CRYSTALS_SCHEMA = pa.schema(
    [f for f in CRYSTALS_SCHEMA if f.name not in ("licence", "group", "split")]
)


def cell_parameters(lattices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths (n, 3) in Å and angles (n, 3) in degrees (alpha, beta, gamma) of lattices (n, 3, 3) with row
    vectors."""
    lengths = np.linalg.norm(lattices, axis=2)
    cosines = np.stack(
        [
            (lattices[:, i] * lattices[:, j]).sum(axis=1) / (lengths[:, i] * lengths[:, j])
            for i, j in ((1, 2), (0, 2), (0, 1))
        ],
        axis=1,
    )
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def _label_column(crystals: Sequence[Crystal]) -> pa.StringArray:
    labels = [Labels.of(crystal.labels) for crystal in crystals]
    first, last = ([int(one.bounds[end]) for one in labels] for end in (0, -1))
    ends = [0, *accumulate([b - a for a, b in zip(first, last, strict=True)])]
    bounds = np.concatenate([np.zeros(1, np.int64), *[one.bounds[1:] for one in labels]])
    moved = np.array(ends[:-1], np.int64) - np.array(first, np.int64)
    bounds[1:] += np.repeat(moved, np.array([len(one) for one in labels], np.int64))
    data = _joined([one.data[a:b] for one, a, b in zip(labels, first, last, strict=True)], np.uint8)
    return pa.StringArray.from_buffers(
        len(bounds) - 1, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data)
    )


def _joined(parts: Sequence[NDArray], dtype: type) -> NDArray:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)
