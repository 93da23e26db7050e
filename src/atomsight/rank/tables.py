"""Tables that the ranking takes from the training crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.bonds.radii import COVALENT

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

SHORTEST = 0.002
"""Quantile of the distances of a pair of elements that counts as what such pairs keep."""

FEWEST = 300
"""Pairs among the eight nearest neighbours, below which the covalent radii tell the shortest distance."""

FALLBACK = 0.85
"""Times the sum of the covalent radii."""


@dataclass(frozen=True)
class Tables:
    """What is known of volumes, closest distances and contacts.

    Attributes:
        volumes: (3, 128) Å³ of each element in crystals of each of `crystal_class.CLASSES`.
        closest: (128, 128) Å, the distance that pairs of elements keep.
        potential: (PAIRS, BINS) log-likelihood ratio of a contact, see `contacts`.
    """

    volumes: NDArray[np.float64]
    closest: NDArray[np.float64]
    potential: NDArray[np.float64]


def shortest_distances(dataset: Dataset, split: str = "train") -> NDArray[np.float64]:
    """(128, 128) Å: what all but `SHORTEST` of the sites keep to their nearest neighbour of an element."""
    import duckdb

    shortest = FALLBACK * (COVALENT[:, None] + COVALENT[None, :])
    rows = duckdb.execute(
        """SELECT element, neighbour, quantile_disc(distance, ?), count(*) FROM (
               SELECT element, unnest(neighbour_elements[1:8]) AS neighbour, unnest(distances[1:8]) distance
               FROM read_parquet(?)) GROUP BY ALL""",
        [SHORTEST, [str(path) for path in dataset.shards(split)]],
    ).fetchall()
    for one, other, distance, pairs in sorted(rows):
        if pairs >= FEWEST and one <= other:
            shortest[one, other] = shortest[other, one] = distance
    return shortest
