"""Bonds among nearest neighbours: how far the nearest neighbour is from the shortest bond, which nearest
neighbours are bonds, and how the types of bonds share the distances of each element pair.

**How it is counted.** Every symmetry-unique site whose bonds are known counts once. Its nearest neighbour is
the first of its k, of whatever element. That neighbour is a bond when one of the site's bonds leads to the
same orbit at the same distance, within `SAME`. Pairs are ordered, centre first, as in `distances`. The shards
are read one row group after another, so that memory does not grow with the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.distances import Pair, present_elements
from atomsight.core.crystal import BOND_TYPES
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import DatasetError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from atomsight.dataset import Dataset

SAME = 0.005
"""Å within which a bond and a neighbour on the same orbit are the same one; both were rounded to float32."""

KINDS: tuple[str, ...] = (*BOND_TYPES, "no bond")
"""Types of bonds, and what a nearest neighbour without a bond counts as."""

LOW, HIGH, STEP = 0.5, 4.0, 0.005
"""Range and width of the bins of lengths, Å."""

DIFFERENCE_STEP, DIFFERENCE_HIGH = 0.01, 2.0
"""Width of the bins of differences and where they end, Å; the last one holds all that lies beyond."""

NEAREST, EVERY = 0, 1
"""The two ways of counting lengths: of nearest neighbours, and of every bond."""

_BINS = round((HIGH - LOW) / STEP) + 2
_MERGE_AT = 1 << 20


@dataclass(frozen=True)
class BondStudy:
    """Counts of one pass over a dataset.

    Attributes:
        sites: symmetry-unique sites looked at.
        known: those whose bonds are known.
        bonded: those with at least one bond.
        bonds: bonds of all these, each counted from both ends.
        beyond: bonds that are farther away than the k neighbours of the dataset; they are in no histogram.
        differences: (200 + 1,) bonded sites by shortest bond less nearest-neighbour distance, in bins of
            `DIFFERENCE_STEP`.
        threshold: Å.
        within: bonded sites whose shortest bond exceeds the nearest distance by no more than the threshold.
        rows: (n,) structured array with ``way`` (`NEAREST`, `EVERY`), ``centre``, ``neighbour`` (atomic
            numbers), ``kind`` (place in `KINDS`), ``bin`` (0 below the range, 701 above it) and ``sites``.
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
        """Ordered pairs with their counts, most frequent first."""
        rows = self.rows[self.rows["way"] == way]
        codes, inverse = np.unique(rows["centre"].astype(int) * 256 + rows["neighbour"], return_inverse=True)
        counts = np.bincount(inverse, weights=rows["sites"], minlength=len(codes)).astype(np.int64)
        return {
            Pair(*divmod(int(codes[i]), 256)): int(counts[i]) for i in np.lexsort((codes, -counts)).tolist()
        }

    def kinds(self, pair: Pair | None = None, way: int = NEAREST) -> dict[str, int]:
        """Counts by type, of one ordered pair or of all, those that occur, in the order of `KINDS`."""
        rows = self._of(pair, way)
        counts = np.bincount(rows["kind"], weights=rows["sites"], minlength=len(KINDS)).astype(np.int64)
        return {kind: int(n) for kind, n in zip(KINDS, counts, strict=True) if n}

    def histogram(self, pair: Pair, kind: str, way: int = NEAREST, both: bool = False) -> NDArray[np.int64]:
        """(700,) counts within the range; with ``both`` those of the reversed pair are added."""
        pairs = {pair, Pair(pair.neighbour, pair.centre)} if both else {pair}
        counts = np.zeros(_BINS, np.int64)
        for one in pairs:
            rows = self._of(one, way)
            rows = rows[rows["kind"] == KINDS.index(kind)]
            np.add.at(counts, rows["bin"], rows["sites"])
        return counts[1:-1]

    def nearest_bonded(self, pair: Pair | None = None) -> tuple[int, int]:
        """How many nearest neighbours there are, and how many of them are bonds."""
        counts = self.kinds(pair)
        total = sum(counts.values())
        return total, total - counts.get("no bond", 0)

    def _of(self, pair: Pair | None, way: int) -> NDArray[np.void]:
        chosen = self.rows["way"] == way
        if pair is not None:
            chosen &= (self.rows["centre"] == pair.centre) & (self.rows["neighbour"] == pair.neighbour)
        return self.rows[chosen]


def edges() -> NDArray[np.float64]:
    """(701,) edges of the bins of lengths, Å."""
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
        dataset: built with bonds.
        elements: atomic numbers of the centres; None takes all.
        split: ``train``, ``val`` or ``test``; None takes all.
        threshold: Å, see `BondStudy.within`.
        on_rows: called after each row group with its number of sites.

    Raises:
        InputError: an element that the split does not hold, or a threshold below 0.
        DatasetError: the dataset holds no bonds, the split is empty, or a shard is damaged.
    """
    if not 0 <= threshold < np.inf:
        raise InputError(f"the threshold must be 0 Å or more, not {threshold:g}")
    present = present_elements(dataset, split)
    missing = [SYMBOLS[z] for z in elements or () if z not in present]
    if missing:
        held = ", ".join(SYMBOLS[z] for z in present)
        raise InputError(f"{dataset.path} holds no {', '.join(missing)}; it holds {held}")
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


def _row_groups(path: Path, k: int) -> Any:
    """The columns needed of one row group after another, as arrays; bonds flattened, with their offsets."""
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
    """Places in `BOND_TYPES` of an array of words; another word is ``unknown``."""
    words = types.dictionary_encode()
    known = {word: place for place, word in enumerate(BOND_TYPES)}
    places = np.array([known.get(word, 0) for word in words.dictionary.to_pylist()] or [0], np.int64)
    return places[words.indices.to_numpy()]


class _Tally:
    """Adds up row groups."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.sites = self.known = self.bonded = self.bonds = self.beyond = self.within = 0
        self.differences = np.zeros(round(DIFFERENCE_HIGH / DIFFERENCE_STEP) + 1, np.int64)
        self._codes: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.int64]] = []
        self._held = 0

    def add(self, columns: dict[str, NDArray[Any]], wanted: NDArray[np.bool_]) -> None:
        """Count one row group."""
        element = columns["element"]
        chosen = wanted[element]
        counts = columns["counts"]
        known = columns["known"] & chosen
        self.sites += int(chosen.sum())
        self.known += int(known.sum())
        rows = np.repeat(np.arange(len(element)), counts)
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
        place = same.argmax(axis=1)
        partner = columns["neighbour_elements"][rows, place]
        self._count(EVERY, element[rows][found], partner[found], types[found], lengths[found])

        kind = np.full(len(element), KINDS.index("no bond"))
        first = same[:, 0]
        kind[rows[first]] = types[first]
        self._count(
            NEAREST,
            element[known],
            columns["neighbour_elements"][known, 0],
            kind[known],
            distances[known, 0].astype(np.float64),
        )

    def _count(
        self,
        way: int,
        centre: NDArray[Any],
        neighbour: NDArray[Any],
        kind: NDArray[Any],
        length: NDArray[np.float64],
    ) -> None:
        bins = np.clip(np.floor((length - LOW) / STEP), -1, _BINS - 2).astype(np.int64) + 1
        code = ((way * 256 + centre.astype(np.int64)) * 256 + neighbour) * len(KINDS) + kind
        codes, counts = np.unique(code * _BINS + bins, return_counts=True)
        self._codes.append(codes)
        self._counts.append(counts)
        self._held += len(codes)
        if self._held > _MERGE_AT:
            self._merge()

    def _merge(self) -> None:
        codes, inverse = np.unique(np.concatenate(self._codes), return_inverse=True)
        counts = np.bincount(inverse, weights=np.concatenate(self._counts)).astype(np.int64)
        self._codes, self._counts, self._held = [codes], [counts], len(codes)

    def study(self) -> BondStudy:
        """What was counted."""
        self._merge()
        codes = self._codes[0]
        rows = np.empty(
            len(codes),
            dtype=[
                *((name, np.uint8) for name in ("way", "centre", "neighbour", "kind")),
                ("bin", np.int32),
                ("sites", np.int64),
            ],
        )
        codes, rows["bin"] = np.divmod(codes, _BINS)
        codes, rows["kind"] = np.divmod(codes, len(KINDS))
        codes, rows["neighbour"] = np.divmod(codes, 256)
        rows["way"], rows["centre"] = np.divmod(codes, 256)
        rows["sites"] = self._counts[0]
        counted = (self.sites, self.known, self.bonded, self.bonds, self.beyond, self.differences)
        return BondStudy(*counted, self.threshold, self.within, rows)
