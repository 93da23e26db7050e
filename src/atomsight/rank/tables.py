"""Tables of volumes, shortest distances and contacts, computed from the training crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.bonds.radii import COVALENT

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

SHORTEST = 0.002
"""Quantile of the distances of a pair of elements that is its shortest usual distance."""

FEWEST = 300
"""Number of pairs among the eight nearest neighbours below which the covalent radii are used instead."""

FALLBACK = 0.85
"""Shortest usual distance over the sum of the covalent radii, for rare pairs."""


@dataclass(frozen=True)
class Tables:
    """Tables of volumes, shortest distances and contacts.

    Attributes:
        volumes: (3, 128) Å³ of each element, by `crystal_class.CLASSES`.
        closest: (128, 128) shortest usual distances of pairs of elements, Å.
        potential: (PAIRS, BINS) log-likelihood ratio of a contact between molecules, see `contacts`.
    """

    volumes: NDArray[np.float64]
    closest: NDArray[np.float64]
    potential: NDArray[np.float64]


def shortest_distances(dataset: Dataset, split: str = "train") -> NDArray[np.float64]:
    """Compute the (128, 128) shortest usual distances of pairs of elements, Å, from a split of a dataset."""
    import duckdb

    shortest: NDArray[np.float64] = FALLBACK * (COVALENT[:, None] + COVALENT[None, :])
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
