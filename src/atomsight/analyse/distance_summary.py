"""Main figures of the distance counts by pair of elements, their peaks, and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.bond_types import bond_type
from atomsight.analyse.distances import DistanceCounts, Pair, Weight
from atomsight.analyse.peaks import Peak, find_peaks
from atomsight.core.elements import SYMBOLS
from atomsight.core.files import whole, write_csv, write_json

LEAST = 100
"""Smallest number of sites of a distribution in which peaks are searched."""


@dataclass(frozen=True)
class PairSummary:
    """One ordered pair of elements.

    Attributes:
        pair: The pair.
        sites, atoms: Counts at any distance, each site once or with its multiplicity.
        share: Share of the centre's neighbours (by the chosen weight) that have this element.
        below, above: Counts outside the range, by the chosen weight.
        mean, median: Mean and median distance in the range, Å, to a fine bin; None where there is none.
        peaks: Peaks with their bond types, by position.
    """

    pair: Pair
    sites: int
    atoms: int
    share: float
    below: int
    above: int
    mean: float | None
    median: float | None
    peaks: tuple[tuple[Peak, str | None], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; elements as symbols."""
        centre, neighbour = str(self.pair).split("-")
        peaks = [{**asdict(peak), "kind": name} for peak, name in self.peaks]
        own = {"pair": str(self.pair), "peaks": peaks}
        return {"centre": centre, "neighbour": neighbour, **vars(self), **own}


def summarise_pairs(
    counts: DistanceCounts, weight: Weight = "sites", resolution: float = 0.01
) -> list[PairSummary]:
    """Summarise every ordered pair that occurs, most frequent first.

    Args:
        counts: The counts.
        weight: Whether a site counts once or with its multiplicity.
        resolution: Resolution of the peaks, Å, see `find_peaks`.
    """
    edges = counts.edges(fine=True)
    of_centre = {z: counts.total(Pair(z, None), weight) for z in counts.elements}
    summaries = []
    for centre, neighbour in counts.pairs(weight):
        pair = Pair(centre, neighbour)
        sites = counts.total(pair, "sites")
        total = counts.total(pair, weight)
        histogram = counts.histogram(pair, weight, fine=True)
        peaks: list[Peak] = []
        if sites >= LEAST:
            inside = histogram.sum() * sites / total
            peaks = find_peaks(histogram, edges, resolution=resolution, observations=inside)
        mean, median = _middle(histogram, edges)
        typed = tuple((peak, bond_type(centre, neighbour, peak.position)) for peak in peaks)
        atoms, share = counts.total(pair, "atoms"), total / of_centre[centre]
        outside = counts.outside(pair, weight)
        summaries.append(PairSummary(pair, sites, atoms, share, *outside, mean, median, typed))
    return summaries


def write_distances(
    counts: DistanceCounts, pairs: Sequence[PairSummary], summary: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write the counts, the pairs and their peaks into a folder.

    The files are ``distances.parquet`` and ``distances.csv`` (a row per pair, rank and bin with counts),
    ``pairs.csv``, ``peaks.csv`` and ``summary.json``.

    Returns:
        The paths of the files.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pa.table(_histogram_columns(counts))
    with whole(folder / "distances.parquet") as place:
        pq.write_table(table, place, compression="zstd")
    with whole(folder / "distances.csv") as place:
        pa.csv.write_csv(table, place)
    records = [pair.as_dict() for pair in pairs]
    peaks = [record | peak for record in records for peak in record["peaks"]]
    for name, keys, rows in (("pairs.csv", _PAIR_COLUMNS, records), ("peaks.csv", _PEAK_COLUMNS, peaks)):
        write_csv(folder / name, keys, ([row[key] for key in keys] for row in rows), ".6g")
    write_json(folder / "summary.json", {**summary, "pairs": records}, indent=2)
    names = ("distances.parquet", "distances.csv", "pairs.csv", "peaks.csv", "summary.json")
    return [folder / name for name in names]


_PAIR_COLUMNS = ("centre", "neighbour", "sites", "atoms", "share", "below", "above", "mean", "median")
_PEAK_COLUMNS = (*_PAIR_COLUMNS[:2], "position", "width", "share", "fitted_share", "start", "end", "kind")


def _histogram_columns(counts: DistanceCounts) -> dict[str, Any]:
    """Return the columns of the bins with counts inside the range, the fine bins added up."""
    rows = counts.rows[(counts.rows["bin"] >= 0) & (counts.rows["bin"] < counts.bins * counts.finer)]
    place = rows["bin"] // counts.finer
    key = ((rows["centre"].astype(np.int64) * 256 + rows["neighbour"]) * 65536 + rows["rank"]) * 2**20 + place
    unique, first = np.unique(key, return_index=True)
    edges = counts.edges()
    symbols = np.array(SYMBOLS)

    def added(name: str) -> Any:
        return np.add.reduceat(rows[name], first) if len(first) else np.zeros(0, dtype=np.int64)

    return {
        "centre": symbols[rows["centre"][first]],
        "neighbour": symbols[rows["neighbour"][first]],
        **({"rank": rows["rank"][first]} if counts.ranks.apart else {}),
        "start": np.round(edges[unique % 2**20], 9),
        "end": np.round(edges[unique % 2**20 + 1], 9),
        "sites": added("sites"),
        "atoms": added("atoms"),
    }


def _middle(histogram: NDArray[np.int64], edges: NDArray[np.float64]) -> tuple[float | None, float | None]:
    total = histogram.sum()
    if total == 0:
        return None, None
    centres = (edges[:-1] + edges[1:]) / 2
    median = centres[np.searchsorted(np.cumsum(histogram), total / 2)]
    return float((centres * histogram).sum() / total), float(median)
