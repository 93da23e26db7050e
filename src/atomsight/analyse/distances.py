"""Histograms of the n-th nearest-neighbour distance by element pair, aggregated by DuckDB over the shards.

**How pairs are counted.** Every symmetry-unique site (the *centre*) adds one to the pair (element of the
centre, element of its n-th nearest neighbour). The neighbour is the n-th of all atoms of the crystal, of any
element. Pairs are ordered: C-H counts carbons whose n-th neighbour is a hydrogen, H-C hydrogens whose n-th
neighbour is a carbon. The two differ, because the nearest neighbour of an atom can have a nearer neighbour
itself. Each site counts once (``sites``), or with its multiplicity in the unit cell of its file (``atoms``);
both are aggregated in one pass.
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
"""Å. Largest width of the bins in which peaks are found; those of the output can be wider."""

MEMORY_MB, MOST_THREADS = 400, 4
"""Memory limit of DuckDB, and its largest number of threads. Each thread holds one row group."""


class Ranks(NamedTuple):
    """Range of neighbours that are counted, each rank separately (``apart``) or all together."""

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
    """An ordered pair of elements: atomic numbers of the centre and of its neighbour; None is any."""

    centre: int | None
    neighbour: int | None

    def __str__(self) -> str:
        return "-".join("any" if z is None else SYMBOLS[z] for z in self)


ALL_PAIRS = Pair(None, None)
"""Every centre with every neighbour."""


@dataclass(frozen=True)
class DistanceCounts:
    """Counts by centre, neighbour, rank and bin, without zeros. The module explains how they are counted.

    Attributes:
        elements: Atomic numbers of the centres, in the order of the request.
        ranks: The neighbours.
        low, high: Range, Å. Distances outside are counted, but in no bin.
        bins: Number of bins in the output.
        finer: Number of fine bins in each of them. Peaks are found in the fine bins.
        rows: (n,) structured array with ``centre``, ``neighbour`` (atomic numbers), ``rank`` (0 where all
            ranks are counted together), ``bin`` (-1 below the range, bins x finer above it), ``sites``,
            ``atoms``; sorted.
    """

    elements: tuple[int, ...]
    ranks: Ranks
    low: float
    high: float
    bins: int
    finer: int
    rows: NDArray[np.void]

    def edges(self, fine: bool = False) -> NDArray[np.float64]:
        """Return the (bins + 1,) edges of the bins, Å; with ``fine`` those of the fine bins."""
        return np.linspace(self.low, self.high, self.bins * (self.finer if fine else 1) + 1)

    def total(self, pair: Pair = ALL_PAIRS, weight: Weight = "sites", rank: int | None = None) -> int:
        """Return the count of a pair at any distance."""
        return int(self._of(pair, rank)[weight].sum())

    def outside(self, pair: Pair = ALL_PAIRS, weight: Weight = "sites") -> tuple[int, int]:
        """Return the counts of a pair below and above the range."""
        rows = self._of(pair, None)
        below, above = rows["bin"] < 0, rows["bin"] >= self.bins * self.finer
        return int(rows[weight][below].sum()), int(rows[weight][above].sum())

    def histogram(
        self, pair: Pair = ALL_PAIRS, weight: Weight = "sites", rank: int | None = None, fine: bool = False
    ) -> NDArray[np.int64]:
        """Return the (bins,) counts of a pair within the range, of one rank or of all.

        With ``fine`` the counts are those of the fine bins.
        """
        rows = self._of(pair, rank)
        n = self.bins * self.finer
        inside = rows[(rows["bin"] >= 0) & (rows["bin"] < n)]
        counts = np.zeros(n, dtype=np.int64)
        np.add.at(counts, inside["bin"], inside[weight])
        return counts if fine else counts.reshape(self.bins, self.finer).sum(axis=1)

    def neighbours(self, centre: int | None = None, weight: Weight = "sites") -> dict[int, int]:
        """Return the counts by the neighbour's atomic number, most frequent first, of one centre or all."""
        rows = self._of(Pair(centre, None), None)
        counts = np.bincount(rows["neighbour"], weights=rows[weight], minlength=1).astype(np.int64)
        order = np.lexsort((np.arange(len(counts)), -counts))
        return {int(z): int(counts[z]) for z in order if counts[z]}

    def pairs(self, weight: Weight = "sites") -> list[tuple[int, int]]:
        """Return every ordered pair that occurs, most frequent first."""
        keys, inverse = np.unique(self._keys, return_inverse=True)
        counts = np.bincount(inverse, weights=self.rows[weight], minlength=len(keys))
        return [divmod(int(keys[i]), 256) for i in np.lexsort((keys, -counts))]

    def _of(self, pair: Pair, rank: int | None) -> NDArray[np.void]:
        rows = self.rows
        if pair.centre is not None:
            key = pair.centre * 256
            low, high = (
                (key, key + 256) if pair.neighbour is None else (key + pair.neighbour + i for i in (0, 1))
            )
            rows = rows[slice(*np.searchsorted(self._keys, (low, high)))]
        elif pair.neighbour is not None:
            rows = rows[rows["neighbour"] == pair.neighbour]
        return rows if rank is None else rows[rows["rank"] == rank]

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        return np.asarray(self.rows["centre"] * np.int64(256) + self.rows["neighbour"], dtype=np.int64)


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
    """Count the distances of sites to their n-th nearest neighbours, in bounded memory.

    Args:
        dataset: The dataset.
        elements: Atomic numbers of the centres. Neighbours have any element.
        ranks: The neighbours, from 1.
        split: ``train``, ``val`` or ``test``; None or ``all`` takes all.
        low: Lower end of the bins, Å.
        high: Upper end of the bins, Å.
        bins: Number of bins.
        memory_mb: Memory limit of DuckDB, which uses a temporary folder beyond it.
        threads: Threads of DuckDB; by default one per core, four at most.

    Raises:
        InputError: The split lacks one of the elements, a neighbour is beyond the dataset's k, or the range
            or the number of bins is not valid.
        DatasetError: The split is empty, or a shard is damaged.
    """
    check_elements(dataset, elements, split)
    if ranks.last > dataset.k:
        raise InputError(
            f"neighbour {ranks.last} was requested, but {dataset.path} holds k = {dataset.k} neighbours a "
            f"site; build it again with -k {ranks.last} or more"
        )
    repeats = [SYMBOLS[z] for z, n in Counter(elements).items() if n > 1]
    if repeats:
        raise InputError(f"named more than once: {', '.join(repeats)}")
    if not 0 <= low < high < np.inf:
        raise InputError(f"the range must go upwards from 0 Å or more, not from {low:g} to {high:g}")
    if not 1 <= bins <= 100_000:
        raise InputError(f"between 1 and 100000 bins, not {bins}")
    finer = max(1, int(np.ceil((high - low) / bins / FINEST - 1e-9)))
    query = _query(elements, ranks, low, high, bins * finer)
    columns = _run(dataset, query, [str(path) for path in dataset.shards(split)], memory_mb, threads)
    rows = np.empty(len(columns["bin"]), dtype="u1,u1,i4,i8,i8,i8")
    rows.dtype.names = ("centre", "neighbour", "rank", "bin", "sites", "atoms")
    for name in rows.dtype.names:
        rows[name] = columns[name]
    return DistanceCounts(tuple(elements), ranks, low, high, bins, finer, rows)


def parse_ranks(text: str, k: int) -> Ranks:
    """Parse ``1`` (the nearest), ``2-4`` (each rank separately) or ``any`` (all k neighbours together).

    Raises:
        InputError: The text is none of these.
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
    """Return the sites by atomic number, most abundant first.

    Raises:
        DatasetError: The split is empty; the message names the splits with sites.
    """
    present = dataset.element_counts(split)
    if not present:
        held = {name: dataset.n_sites(name) for name in ("train", "val", "test")}
        words = ", ".join(f"{name} ({counted(n, 'site')})" for name, n in held.items() if n) or "no site"
        raise DatasetError(f"the split {split!r} of {dataset.path} is empty; the dataset holds {words}")
    return present


def check_elements(dataset: Dataset, elements: Iterable[int], split: str | None) -> dict[int, int]:
    """Make sure that a split holds some elements, and return its `present_elements`.

    Raises:
        InputError: The split lacks one of the elements; the message names those that it holds.
        DatasetError: The split is empty.
    """
    present = present_elements(dataset, split)
    missing = [SYMBOLS[z] for z in elements if z not in present]
    if missing:
        place = str(dataset.path) if split in (None, "all") else f"the {split} split of {dataset.path}"
        held = ", ".join(SYMBOLS[z] for z in present)
        raise InputError(f"{place} holds no {', '.join(missing)}; it holds {held}")
    return present


def _query(elements: Sequence[int], ranks: Ranks, low: float, high: float, bins: int) -> str:
    """Return the SQL query over the shards. Only numbers are inserted; lists in DuckDB start at 1."""
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
        GROUP BY ALL ORDER BY ALL
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
