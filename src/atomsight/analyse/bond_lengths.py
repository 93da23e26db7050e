"""Bonds among nearest neighbours.

The study answers three questions: by how much the shortest bond exceeds the distance to the nearest
neighbour, which nearest neighbours are bonds, and which types of bonds make up the distances of each element
pair.

**How bonds are counted.** Every symmetry-unique site whose bonds are known counts once. Its nearest neighbour
is the first of its k, of any element. That neighbour is a bond when one of the site's bonds leads to the same
orbit at the same distance, within `SAME`. Pairs are ordered, centre first, as in `distances`. The shards are
read one row group after another, so that memory does not grow with the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.distances import Pair, check_elements
from atomsight.core.crystal import BOND_TYPES
from atomsight.core.errors import DatasetError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from atomsight.dataset import Dataset

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SAME = 0.005
"""Å. Tolerance for a bond and a neighbour on the same orbit; both lengths were rounded to float32."""

TYPES: tuple[str, ...] = (*BOND_TYPES, "no bond")
"""Types of bonds, and the type of a nearest neighbour without a bond."""

LOW, HIGH, STEP = 0.5, 4.0, 0.005
"""Range and width of the bins of lengths, Å."""

DIFFERENCE_STEP, DIFFERENCE_HIGH = 0.01, 2.0
"""Width and upper end of the bins of differences, Å. The last bin holds all larger differences."""

NEAREST, EVERY = 0, 1
"""The two ways of counting lengths: those of nearest neighbours, and those of all bonds."""

_BINS = round((HIGH - LOW) / STEP) + 2
_MERGE_AT = 1 << 20
_KEYS = ("way", "centre", "neighbour", "type", "bin")


@dataclass(frozen=True)
class BondStudy:
    """Counts of one pass over a dataset.

    Attributes:
        sites: Symmetry-unique sites.
        known: Sites whose bonds are known.
        bonded: Sites with at least one bond.
        bonds: Bonds of these sites, each counted from both ends.
        beyond: Bonds that are longer than the distances to the k neighbours. They are in no histogram.
        differences: (200 + 1,) bonded sites by shortest bond less nearest-neighbour distance, in bins of
            `DIFFERENCE_STEP`.
        threshold: Threshold on the difference, Å.
        within: Bonded sites with a difference of at most the threshold.
        rows: (n,) structured array with ``way`` (`NEAREST`, `EVERY`), ``centre``, ``neighbour`` (atomic
            numbers), ``type`` (index in `TYPES`), ``bin`` (0 below the range, 701 above it) and ``sites``.
    """

    sites: int
    known: int
    bonded: int
    bonds: int
    beyond: int
    differences: NDArray[np.int64]
    threshold: float
    within: int
    rows: NDArray[np.void]

    def pairs(self, way: int = NEAREST) -> dict[Pair, int]:
        """Return the ordered pairs with their counts, most frequent first."""
        rows = self._of(None, way)
        codes, inverse = np.unique(rows["centre"].astype(int) * 256 + rows["neighbour"], return_inverse=True)
        counts = np.bincount(inverse, weights=rows["sites"], minlength=len(codes)).astype(np.int64)
        order = np.lexsort((codes, -counts)).tolist()
        return {Pair(*divmod(int(codes[i]), 256)): int(counts[i]) for i in order}

    def type_counts(self, pair: Pair | None = None, way: int = NEAREST) -> dict[str, int]:
        """Return the counts by type, of one ordered pair or of all, in the order of `TYPES`."""
        rows = self._of(pair, way)
        counts = np.bincount(rows["type"], weights=rows["sites"], minlength=len(TYPES)).astype(np.int64)
        return {name: int(n) for name, n in zip(TYPES, counts, strict=True) if n}

    def histogram(self, pair: Pair, name: str, way: int = NEAREST, both: bool = False) -> NDArray[np.int64]:
        """Return the (700,) counts of a type within the range, with ``both`` also of the reversed pair."""
        counts = np.zeros(_BINS, np.int64)
        for one in {pair, Pair(pair.neighbour, pair.centre)} if both else {pair}:
            rows = self._of(one, way)
            rows = rows[rows["type"] == TYPES.index(name)]
            np.add.at(counts, rows["bin"], rows["sites"])
        return counts[1:-1]

    def nearest_bonded(self, pair: Pair | None = None) -> tuple[int, int]:
        """Return the number of nearest neighbours, and the number of bonds among them."""
        counts = self.type_counts(pair)
        total = sum(counts.values())
        return total, total - counts.get("no bond", 0)

    def _of(self, pair: Pair | None, way: int) -> Any:
        chosen = self.rows["way"] == way
        if pair is not None:
            chosen &= (self.rows["centre"] == pair.centre) & (self.rows["neighbour"] == pair.neighbour)
        return self.rows[chosen]


def edges() -> NDArray[np.float64]:
    """Return the (701,) edges of the bins of lengths, Å."""
    return np.linspace(LOW, HIGH, _BINS - 1)


def study_bonds(
    dataset: Dataset,
    elements: Sequence[int] | None = None,
    *,
    split: str | None = None,
    threshold: float = 0.05,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> BondStudy:
    """Count the bonds among nearest neighbours of a dataset.

    Args:
        dataset: A dataset that was built with bonds.
        elements: Atomic numbers of the centres; None takes all.
        split: ``train``, ``val`` or ``test``; None takes all.
        threshold: Threshold on the difference, Å, see `BondStudy.within`.
        on_rows: Called after each row group with its number of sites.

    Raises:
        InputError: The split lacks one of the elements, or the threshold is negative.
        DatasetError: The dataset has no bonds, the split is empty, or a shard is damaged.
    """
    if not 0 <= threshold < np.inf:
        raise InputError(f"the threshold must be 0 Å or more, not {threshold:g}")
    present = check_elements(dataset, elements or (), split)
    wanted = np.isin(np.arange(256), list(present if elements is None else elements))
    tally = _Tally(threshold)
    for path in dataset.shards(split):
        for columns in _row_groups(path, dataset.k):
            tally.add(columns, wanted)
            on_rows(len(columns["element"]))
    if not tally.bonds:
        source = dataset.metadata.get("build", {}).get("bonds", "none")
        raise DatasetError(
            f"{dataset.path} holds no bonds of these sites (built with --bonds {source}); "
            "build it again with --bonds perceive"
        )
    return tally.study()


def _row_groups(path: Path, k: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Read the columns of one row group after another, as arrays; bonds flattened, with their counts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            for group in range(file.num_row_groups):
                names = ["element", "distances", "neighbours", "neighbour_elements", "bonds"]
                table = file.read_row_group(group, columns=names).combine_chunks()
                column: dict[str, Any] = {name: table.column(name).chunk(0) for name in names}
                bonds = column["bonds"]
                flat = bonds.flatten()
                yield {
                    "element": column["element"].to_numpy(),
                    **{name: column[name].flatten().to_numpy().reshape(-1, k) for name in names[1:4]},
                    "known": bonds.is_valid().to_numpy(zero_copy_only=False),
                    "counts": bonds.value_lengths().fill_null(0).to_numpy(),
                    "site": flat.field("site").to_numpy(),
                    "length": flat.field("length").to_numpy(),
                    "type": _codes(flat.field("type")),
                }
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} is damaged ({error}); build the dataset again") from error


def _codes(types: Any) -> NDArray[np.int64]:
    """Return indices in `BOND_TYPES` of an Arrow array of words; another word is ``unknown``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(types, pa.array(BOND_TYPES)).fill_null(0)
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


class _Tally:
    """Adds up row groups."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.sites = self.known = self.bonded = self.bonds = self.beyond = self.within = 0
        self.differences = np.zeros(round(DIFFERENCE_HIGH / DIFFERENCE_STEP) + 1, np.int64)
        self._tables: list[Any] = []
        self._held = 0

    def add(self, columns: dict[str, NDArray[Any]], wanted: NDArray[np.bool_]) -> None:
        """Count one row group."""
        element = columns["element"]
        chosen = wanted[element]
        known = columns["known"] & chosen
        self.sites += int(chosen.sum())
        self.known += int(known.sum())
        rows = np.repeat(np.arange(len(element)), columns["counts"])
        keep = chosen[rows]
        rows, sites = rows[keep], columns["site"][keep]
        lengths, types = columns["length"][keep].astype(np.float64), columns["type"][keep]
        self.bonds += len(rows)
        distances, neighbours = columns["distances"], columns["neighbours"]

        shortest = np.full(len(element), np.inf)
        np.minimum.at(shortest, rows, lengths)
        some = np.isfinite(shortest)
        self.bonded += int(some.sum())
        gap = np.maximum(shortest[some] - distances[some, 0], 0.0)
        self.within += int((gap <= self.threshold).sum())
        # A millionth of an ångström keeps differences that rounding left just below an edge in their bin.
        places = np.minimum((gap + 1e-6) / DIFFERENCE_STEP, len(self.differences) - 1).astype(np.int64)
        self.differences += np.bincount(places, minlength=len(self.differences))

        same = (neighbours[rows] == sites[:, None]) & (np.abs(distances[rows] - lengths[:, None]) <= SAME)
        found = same.any(axis=1)
        self.beyond += int((~found).sum())
        partner = columns["neighbour_elements"][rows, same.argmax(axis=1)]
        self._count(EVERY, element[rows][found], partner[found], types[found], lengths[found])

        of_nearest = np.full(len(element), TYPES.index("no bond"))
        first = same[:, 0]
        of_nearest[rows[first]] = types[first]
        nearest, length = columns["neighbour_elements"][known, 0], distances[known, 0].astype(np.float64)
        self._count(NEAREST, element[known], nearest, of_nearest[known], length)

    def _count(self, way: int, centre: Bytes, neighbour: Bytes, types: Ints, length: Floats) -> None:
        import pyarrow as pa

        bins = np.clip(np.floor((length - LOW) / STEP), -1, _BINS - 2).astype(np.int32) + 1
        columns = (np.full(len(bins), way, np.uint8), centre, neighbour, types.astype(np.uint8), bins)
        rows = pa.table([*columns, np.ones(len(bins), np.int64)], names=[*_KEYS, "sites"])
        self._tables.append(_add_up([rows]))
        self._held += len(self._tables[-1])
        if self._held > _MERGE_AT:
            self._tables = [_add_up(self._tables)]
            self._held = len(self._tables[0])

    def study(self) -> BondStudy:
        """Return the counts."""
        table = _add_up(self._tables).sort_by([(key, "ascending") for key in _KEYS])
        fields = [*((key, np.uint8) for key in _KEYS[:4]), ("bin", np.int32), ("sites", np.int64)]
        rows = np.empty(len(table), dtype=fields)
        for name, _ in fields:
            rows[name] = table[name].to_numpy()
        counts = (self.sites, self.known, self.bonded, self.bonds, self.beyond, self.differences)
        return BondStudy(*counts, self.threshold, self.within, rows)


def _add_up(tables: list[Any]) -> Any:
    """Add up the sites of rows with the same keys."""
    import pyarrow as pa

    sums = pa.concat_tables(tables).group_by(_KEYS).aggregate([("sites", "sum")])
    return sums.rename_columns([*_KEYS, "sites"])
