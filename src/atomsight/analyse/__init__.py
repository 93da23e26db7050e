"""What a dataset holds and what a model gets wrong: distances, their peaks, misclassified sites.

| module | what it holds |
|---|---|
| `distances` | counts of the n-th nearest-neighbour distance by element pair, aggregated over the shards |
| `peaks` | peaks of a distribution: position, width, share |
| `bond_kinds` | names of peaks, from the literature |
| `distance_summary` | what the counts say, pair by pair, and as files |
| `evaluation` | reading back the mistakes of an evaluation |
| `profiles` | the distance to the n-th neighbour, by element |
| `mistakes`, `mistakes_traits` | what misclassified sites share against the right ones |
| `mistake_tables` | the same as rows and files |
| `mistakes_duplicates` | near duplicates of the crystals that they lie in |
| `site` | one site opened |
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
