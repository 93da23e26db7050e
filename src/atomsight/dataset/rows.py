"""Crystals to rows: the tables of one chunk, columns filled for many crystals at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atomsight.core.batch import Flat
from atomsight.core.crystal import Crystal
from atomsight.dataset.bonds_column import BondSource, bonds_column, bonds_of
from atomsight.dataset.chunks import Skip
from atomsight.dataset.schema import CELL, CRYSTALS_SCHEMA, SKIPPED_SCHEMA, sites_schema
from atomsight.dataset.split import family
from atomsight.geometry.neighbours import surroundings_in

ROW = "row"
"""Staged sites carry the row of their crystal in the chunk instead of its id: ids and splits come last."""

AT_ONCE = 2048
"""Sites whose neighbours are searched in one call: many small crystals cost few calls, and the arrays still
fit into a core's cache."""


class ChunkRows:
    """Collects the crystals of one chunk and makes three tables of them.

    Neighbours are searched for several crystals at once, `AT_ONCE` sites or so.

    Args:
        k: number of neighbours.
        source: where the bonds come from, see `bonds_column.BondSource`.

    Attributes:
        crystals: those whose rows are made.
        failed: those whose rows could not be made, and why.
    """

    def __init__(self, k: int, source: BondSource = "file") -> None:
        self.crystals: list[Crystal] = []
        self.failed: list[tuple[Crystal, Exception]] = []
        self._k = k
        self._source = source
        self._schema = staged_sites_schema(k)
        self._digests: list[str] = []
        self._sites = [self._schema.empty_table()]
        self._waiting: list[tuple[Crystal, str]] = []
        self._waiting_sites = 0

    def add(self, crystal: Crystal, digest: str) -> None:
        """Add a crystal; ``digest`` is the SHA-256 of its file."""
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
        bonds = [bonds_of(crystal, self._source) for crystal in crystals]
        flat = Flat.of(crystals)
        distances, neighbours, directions = surroundings_in(flat, self._k)
        numbers, offsets = flat.site_numbers, flat.site_offsets
        counts = np.diff(offsets)
        starts = np.repeat(offsets[:-1], counts)
        columns = {
            ROW: np.repeat(np.arange(len(crystals)) + len(self.crystals), counts),
            "site": np.arange(len(numbers)) - starts,
            "label": [label for crystal in crystals for label in crystal.labels],
            "element": numbers,
            "multiplicity": flat.multiplicities,
            "distances": self._lists(distances.astype(np.float32)),
            "neighbours": self._lists(neighbours),
            "neighbour_elements": self._lists(numbers[neighbours + starts[:, None]]),
            "directions": self._lists(directions, 3),
            "bonds": bonds_column(crystals, bonds, self._source, self._schema.field("bonds").type),
        }
        self._sites.append(_table(columns, self._schema))
        self._digests += [digest for _, digest in some]
        self.crystals += crystals

    def _lists(self, values: NDArray[Any], each: int = 1) -> pa.FixedSizeListArray:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), each * self._k)

    def sites(self) -> pa.Table:
        """The sites table without ids and splits, see `ROW`."""
        self.settle()
        return pa.concat_tables(self._sites).combine_chunks()

    def crystals_table(self) -> pa.Table:
        """The crystals table without unique ids, groups and splits, which follow from all crystals."""
        self.settle()
        crystals = self.crystals
        lattices = np.array([crystal.lattice for crystal in crystals], dtype=np.float64).reshape(-1, 3, 3)
        columns = {
            "crystal": [crystal.name for crystal in crystals],
            "source": [crystal.source for crystal in crystals],
            "formula": [crystal.formula for crystal in crystals],
            "family": [family(crystal.name) for crystal in crystals],
            "lattice": pa.FixedSizeListArray.from_arrays(pa.array(lattices.ravel()), 9),
            **dict(zip(CELL, np.hstack(cell_parameters(lattices)).T.astype(np.float32), strict=True)),
            "volume": np.abs(np.linalg.det(lattices)).astype(np.float32),
            "space_group": [crystal.space_group for crystal in crystals],
            "n_sites": np.array([crystal.n_sites for crystal in crystals], dtype=np.uint32),
            "n_atoms": np.array([crystal.n_atoms for crystal in crystals], dtype=np.uint32),
            "flags": [sorted(crystal.flags) for crystal in crystals],
            "sha256": self._digests,
        }
        return _table(columns, STAGED_CRYSTALS_SCHEMA)


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}, schema)


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
    """Lengths, (n, 3) in Å, and angles alpha, beta and gamma, (n, 3) in degrees, of lattices (n, 3, 3)."""
    lengths = np.linalg.norm(lattices, axis=2)
    cosines = np.stack(
        [
            (lattices[:, i] * lattices[:, j]).sum(axis=1) / (lengths[:, i] * lengths[:, j])
            for i, j in ((1, 2), (0, 2), (0, 1))
        ],
        axis=1,
    )
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
