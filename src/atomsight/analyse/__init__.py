"""Analysis of datasets and mistakes: neighbour distances, their peaks, bonds, misclassified sites.

| module | what it holds |
|---|---|
| `distances` | counts of the n-th nearest-neighbour distance by element pair, aggregated over the shards |
| `peaks` | peaks of a distribution: position, width, share |
| `bond_types` | bond types of peaks, from the literature |
| `distance_summary` | main figures of the counts by pair, and their files |
| `bond_lengths`, `bond_summary` | bonds among nearest neighbours, and their files |
| `evaluation` | reading the mistakes of an evaluation |
| `profiles` | the distance to the n-th neighbour, by element |
| `mistakes`, `mistakes_traits` | traits of misclassified sites, compared with the right ones |
| `mistake_tables` | the same as rows and files |
| `mistakes_duplicates` | near duplicates of crystals |
| `mistakes_opened`, `site` | distances and neighbours of misclassified sites, and of one site |
"""

from __future__ import annotations

from atomsight.analyse.distance_summary import PairSummary, summarise_pairs, write_distances
from atomsight.analyse.distances import DistanceCounts, Pair, Ranks, count_distances, parse_ranks
from atomsight.analyse.peaks import Peak, find_peaks

__all__ = [
    "DistanceCounts",
    "Pair",
    "PairSummary",
    "Peak",
    "Ranks",
    "count_distances",
    "find_peaks",
    "parse_ranks",
    "summarise_pairs",
    "write_distances",
]
