"""What the counts of distances say, pair by pair: how often, how far, which peaks; and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.analyse.bond_kinds import bond_kind
from atomsight.analyse.distances import DistanceCounts, Pair, Weight
from atomsight.analyse.peaks import Peak, find_peaks
from atomsight.core.elements import SYMBOLS
from atomsight.core.files import whole, write_csv, write_json

LEAST = 100
"""Peaks are looked for in distributions of at least so many sites."""


@dataclass(frozen=True)
class PairSummary:
    """One ordered pair of elements.

    Attributes:
        pair: the pair.
        sites, atoms: counts at any distance, each site once and each site as often as it has copies.
        share: share of the centre's neighbours (by the weight chosen) that are of this element.
        below, above: of the counts by weight, those outside the range.
        mean, median: of the distances in the range, Å, to a fine bin; None where there is none.
        peaks: with their names, by position.
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
        """Plain values, ready for JSON; elements as symbols."""
        names = dict(zip(("centre", "neighbour"), str(self.pair).split("-"), strict=True))
        peaks = [{**asdict(peak), "kind": kind} for peak, kind in self.peaks]
        return (
            names
            | {name: value for name, value in vars(self).items() if name not in names}
            | {
                "pair": str(self.pair),
                "peaks": peaks,
            }
        )


def summarise_pairs(
    counts: DistanceCounts, weight: Weight = "sites", resolution: float = 0.01
) -> list[PairSummary]:
    """Every ordered pair that occurs, most frequent first.

    Args:
        weight: whether a site counts once or as often as it has copies in its cell.
        resolution: of the peaks, Å, see `find_peaks`.
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
        named = [(peak, bond_kind(centre, neighbour, peak.position)) for peak in peaks]
        summaries.append(
            PairSummary(
                pair,
                sites,
                counts.total(pair, "atoms"),
                total / of_centre[centre],
                *counts.outside(pair, weight),
                mean,
                median,
                tuple(named),
            )
        )
    return summaries


def write_distances(
    counts: DistanceCounts, pairs: Sequence[PairSummary], summary: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write ``distances.parquet`` and ``distances.csv`` (a row per pair, rank and bin that is not empty),
    ``pairs.csv``, ``peaks.csv`` and ``summary.json`` into a folder, which must exist; the paths written."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pa.table(_histogram_columns(counts))
    with whole(folder / "distances.parquet") as place:
        pq.write_table(table, place, compression="zstd")
    with whole(folder / "distances.csv") as place:
        pa.csv.write_csv(table, place)
    keys = ("centre", "neighbour", "sites", "atoms", "share", "below", "above", "mean", "median")
    records = [pair.as_dict() for pair in pairs]
    write_csv(folder / "pairs.csv", keys, ([record[key] for key in keys] for record in records), ".6g")
    fields = ("position", "width", "share", "fitted_share", "start", "end", "kind")
    write_csv(
        folder / "peaks.csv",
        ("centre", "neighbour", *fields),
        (
            [record["centre"], record["neighbour"], *(peak[key] for key in fields)]
            for record in records
            for peak in record["peaks"]
        ),
        ".6g",
    )
    write_json(folder / "summary.json", {**summary, "pairs": records}, indent=2)
    names = ("distances.parquet", "distances.csv", "pairs.csv", "peaks.csv", "summary.json")
    return [folder / name for name in names]


def _histogram_columns(counts: DistanceCounts) -> dict[str, Any]:
    """Rows of the bins that are written, the finer ones added up; those outside the range are left out."""
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


def _middle(histogram: np.ndarray, edges: np.ndarray) -> tuple[float | None, float | None]:
    total = histogram.sum()
    if total == 0:
        return None, None
    centres = (edges[:-1] + edges[1:]) / 2
    median = centres[np.searchsorted(np.cumsum(histogram), total / 2)]
    return float((centres * histogram).sum() / total), float(median)
