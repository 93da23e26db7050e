"""Histograms of the n-th nearest-neighbour distance by element pair, aggregated by DuckDB over the shards.

**How a pair is counted.** For every symmetry-unique site (the *centre*) its n-th nearest neighbour among all
points of the crystal is looked at, whatever that neighbour's element: it adds one to the pair (element of the
centre, element of the neighbour). Nothing is filtered before the n-th neighbour is chosen. Pairs are ordered:
C-H counts carbons whose n-th neighbour is a hydrogen, H-C hydrogens whose n-th neighbour is a carbon, and the
two differ, because being nearest is not mutual. Each site counts once (``sites``), or as often as it has
copies in the unit cell of its file (``atoms``); both are aggregated at once.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

Weight = Literal["sites", "atoms"]

FINEST = 0.0025
"""Å. Counts are taken in bins no wider than this, whatever is drawn, because peaks are found in them."""

MEMORY_MB, MOST_THREADS = 400, 4
"""What DuckDB may hold at a time, and its threads, each of which holds one row group."""


class Ranks(NamedTuple):
    """Which neighbours are counted: the first to the last of them, each rank apart or all together."""

    first: int
    last: int
    apart: bool = True

    def __str__(self) -> str:
        if self.first == self.last:
            return _ordinal(self.first)
        return f"{_ordinal(self.first)} to {_ordinal(self.last)}"


NEAREST = Ranks(1, 1)
"""The nearest neighbour alone."""


class Pair(NamedTuple):
    """An ordered pair of elements: atomic numbers of the centre and of its neighbour; None stands for any."""

    centre: int | None
    neighbour: int | None

    def __str__(self) -> str:
        return "-".join("any" if z is None else SYMBOLS[z] for z in self)


ALL_PAIRS = Pair(None, None)
"""Every centre with every neighbour."""


@dataclass(frozen=True)
class DistanceCounts:
    """Counts by centre, neighbour, rank and bin, without the empty ones; see the module on how they are
    counted.

    Attributes:
        elements: atomic numbers of the centres, in the order asked for.
        ranks: which neighbours.
        low, high: the range, Å; distances outside are counted but in no bin.
        bins: number of bins drawn and written.
        finer: each of them is divided into so many, in which peaks are found.
        rows: (n,) structured array with ``centre``, ``neighbour`` (atomic numbers), ``rank`` (0 where the
            ranks are not apart), ``bin`` (-1 below the range, bins x finer above it), ``sites``, ``atoms``;
            sorted.
    """

    elements: tuple[int, ...]
    ranks: Ranks
    low: float
    high: float
    bins: int
    finer: int
    rows: NDArray[np.void]

    def edges(self, fine: bool = False) -> NDArray[np.float64]:
        """(bins + 1,) edges of the bins, Å; with ``fine`` those of the finer ones."""
        return np.linspace(self.low, self.high, self.bins * (self.finer if fine else 1) + 1)

    def total(self, pair: Pair = ALL_PAIRS, weight: Weight = "sites", rank: int | None = None) -> int:
        """Count of a pair at any distance."""
        return int(self._of(pair, rank)[weight].sum())

    def outside(self, pair: Pair = ALL_PAIRS, weight: Weight = "sites") -> tuple[int, int]:
        """Counts of a pair below and above the range."""
        rows = self._of(pair, None)
        below, above = rows["bin"] < 0, rows["bin"] >= self.bins * self.finer
        return int(rows[weight][below].sum()), int(rows[weight][above].sum())

    def histogram(
        self,
        pair: Pair = ALL_PAIRS,
        weight: Weight = "sites",
        rank: int | None = None,
        fine: bool = False,
    ) -> NDArray[np.int64]:
        """(bins,) counts of a pair within the range, of one rank or of all; with ``fine`` in the finer
        bins."""
        rows = self._of(pair, rank)
        n = self.bins * self.finer
        inside = rows[(rows["bin"] >= 0) & (rows["bin"] < n)]
        counts = np.zeros(n, dtype=np.int64)
        np.add.at(counts, inside["bin"], inside[weight])
        return counts if fine else counts.reshape(self.bins, self.finer).sum(axis=1)

    def neighbours(self, centre: int | None = None, weight: Weight = "sites") -> dict[int, int]:
        """Counts by atomic number of the neighbour, most frequent first, of one centre or of all."""
        rows = self._of(Pair(centre, None), None)
        counts = np.bincount(rows["neighbour"], weights=rows[weight], minlength=1).astype(np.int64)
        order = np.lexsort((np.arange(len(counts)), -counts))
        return {int(z): int(counts[z]) for z in order if counts[z]}

    def pairs(self, weight: Weight = "sites") -> list[tuple[int, int]]:
        """Every ordered pair that occurs, most frequent first."""
        keys, inverse = np.unique(self._keys, return_inverse=True)
        counts = np.bincount(inverse, weights=self.rows[weight], minlength=len(keys))
        return [divmod(int(keys[i]), 256) for i in np.lexsort((keys, -counts))]

    def _of(self, pair: Pair, rank: int | None) -> NDArray[np.void]:
        rows = self.rows
        if pair.centre is not None:
            key = pair.centre * 256
            ends = (key, key + 255) if pair.neighbour is None else (key + pair.neighbour,) * 2
            rows = rows[
                slice(np.searchsorted(self._keys, ends[0]), np.searchsorted(self._keys, ends[1], "right"))
            ]
        elif pair.neighbour is not None:
            rows = rows[rows["neighbour"] == pair.neighbour]
        return rows if rank is None else rows[rows["rank"] == rank]

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        return self.rows["centre"].astype(np.int64) * 256 + self.rows["neighbour"]


def count_distances(
    dataset: Dataset,
    elements: Sequence[int],
    ranks: Ranks = NEAREST,
    *,
    split: str | None = None,
    low: float = 0.0,
    high: float = 4.0,
    bins: int = 800,
    memory_mb: int = MEMORY_MB,
    threads: int | None = None,
) -> DistanceCounts:
    """Count the distances from the sites of some elements to their n-th nearest neighbours, in bounded
    memory.

    Args:
        elements: atomic numbers of the centres; neighbours are of any element.
        ranks: which neighbours, from 1.
        split: ``train``, ``val`` or ``test``; None or ``all`` takes all.
        low, high: range of the bins, Å.
        bins: how many.
        memory_mb: what DuckDB may hold; past it, it spills to a temporary folder.
        threads: of DuckDB; by default one per core, four at most.

    Raises:
        InputError: an element that the split does not hold, a neighbour beyond the dataset's k, a range or a
            number of bins that makes no sense.
        DatasetError: the split is empty, or a shard is damaged.
    """
    _check(dataset, elements, ranks, split, low, high, bins)
    finer = max(1, int(np.ceil((high - low) / bins / FINEST - 1e-9)))
    query = _query(elements, ranks, low, high, bins * finer)
    columns = _run(dataset, query, [str(path) for path in dataset.shards(split)], memory_mb, threads)
    types = {
        "centre": np.uint8,
        "neighbour": np.uint8,
        "rank": np.int32,
        "bin": np.int64,
        "sites": np.int64,
        "atoms": np.int64,
    }
    rows = np.empty(len(columns["bin"]), dtype=list(types.items()))
    for name in types:
        rows[name] = columns[name]
    rows.sort(order=["centre", "neighbour", "rank", "bin"])
    return DistanceCounts(tuple(elements), ranks, low, high, bins, finer, rows)


def parse_ranks(text: str, k: int) -> Ranks:
    """``1`` the nearest, ``2-4`` a range with each rank apart, ``any`` all k neighbours together.

    Raises:
        InputError: anything else, or a neighbour beyond k.
    """
    if text.strip().lower() == "any":
        return Ranks(1, k, apart=False)
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", text)
    if match is None:
        raise InputError(f"--neighbour takes a number such as 1, a range such as 1-4, or any, not {text!r}")
    ranks = Ranks(int(match[1]), int(match[2] or match[1]))
    if not 1 <= ranks.first <= ranks.last:
        raise InputError(f"--neighbour {text}: neighbours are counted from 1, and a range goes upwards")
    return ranks


def present_elements(dataset: Dataset, split: str | None) -> dict[int, int]:
    """Sites by atomic number, most abundant first.

    Raises:
        DatasetError: the split is empty; the message says what the dataset holds.
    """
    present = dataset.element_counts(split)
    if not present:
        held = {name: dataset.n_sites(name) for name in ("train", "val", "test")}
        words = (
            ", ".join(f"{name} ({counted(n, 'site')})" for name, n in held.items() if n) or "no site at all"
        )
        raise DatasetError(f"the split {split!r} of {dataset.path} is empty; the dataset holds {words}")
    return present


def _check(
    dataset: Dataset,
    elements: Iterable[int],
    ranks: Ranks,
    split: str | None,
    low: float,
    high: float,
    bins: int,
) -> None:
    present = present_elements(dataset, split)
    missing = [z for z in elements if z not in present]
    if missing:
        place = str(dataset.path) if split in (None, "all") else f"the {split} split of {dataset.path}"
        held = ", ".join(SYMBOLS[z] for z in present)
        absent = ", ".join(SYMBOLS[z] for z in missing)
        raise InputError(f"{place} holds no {absent}; it holds {held}")
    if ranks.last > dataset.k:
        raise InputError(
            f"neighbour {ranks.last} asked for, but {dataset.path} holds k = {dataset.k} neighbours a site; "
            f"build it again with -k {ranks.last} or more"
        )
    repeats = [SYMBOLS[z] for z, n in Counter(elements).items() if n > 1]
    if repeats:
        raise InputError(f"named more than once: {', '.join(repeats)}")
    if not 0 <= low < high < np.inf:
        raise InputError(f"the range must go upwards from 0 Å or more, not from {low:g} to {high:g}")
    if not 1 <= bins <= 100_000:
        raise InputError(f"between 1 and 100000 bins, not {bins}")


def _query(elements: Sequence[int], ranks: Ranks, low: float, high: float, bins: int) -> str:
    """Aggregation over the shards. All that goes into the text are numbers; lists in DuckDB count from 1."""
    first, last = ranks.first, ranks.last
    if first == last:
        parts = f"distances[{first}] AS d, neighbour_elements[{first}] AS neighbour, {first} AS rank"
    else:
        rank = f"unnest(range({first}, {last + 1}))" if ranks.apart else "0"
        parts = (
            f"unnest(distances[{first}:{last}]) AS d, "
            f"unnest(neighbour_elements[{first}:{last}]) AS neighbour, {rank} AS rank"
        )
    place = f"CAST(floor((CAST(d AS DOUBLE) - {low!r}) * {bins / (high - low)!r}) AS BIGINT)"
    return f"""
        SELECT centre, neighbour, rank,
               CASE WHEN d < {low!r} THEN -1 WHEN d >= {high!r} THEN {bins}
                    ELSE least({place}, {bins - 1}) END AS bin,
               count(*) AS sites, CAST(sum(multiplicity) AS BIGINT) AS atoms
        FROM (SELECT element AS centre, multiplicity, {parts}
              FROM read_parquet(?) WHERE element IN ({", ".join(str(int(z)) for z in elements)}))
        GROUP BY ALL
    """


def _run(
    dataset: Dataset, query: str, shards: list[str], memory_mb: int, threads: int | None
) -> dict[str, NDArray[Any]]:
    import duckdb

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="atomsight-duckdb-") as spill:
        settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads or min(cores, MOST_THREADS),
            "temp_directory": spill,
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
        }
        try:
            with duckdb.connect(config=settings) as connection:
                return connection.execute(query, [shards]).fetchnumpy()
        except duckdb.OutOfMemoryException as error:
            raise InputError(
                f"{memory_mb} MB are not enough for so many elements, neighbours and bins; "
                "allow more, or ask for fewer"
            ) from error
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise DatasetError(f"{dataset.path} is damaged ({first}); build it again") from error


def _ordinal(n: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{ending}"
