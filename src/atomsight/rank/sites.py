"""The sites of several crystals as flat arrays, and the networks applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.neighbours import surroundings_of
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Plausibility, first_rows

LEAST = 1e-6
"""Lower bound of a probability before its logarithm is taken."""


@dataclass(frozen=True)
class Sites:
    """The sites of some crystals, one crystal after another.

    Attributes:
        distances: (n, k) Å, ascending.
        neighbours: (n, k) index of the neighbour's site within the crystal.
        directions: (n, k, 3) int8, see `geometry.neighbours.Surroundings`.
        element: (n,) atomic numbers.
        weight: (n,) share of the crystal's atoms that a site stands for.
        sizes: (c,) sites of each crystal.
    """

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    directions: NDArray[np.int8]
    element: NDArray[np.int64]
    weight: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, crystals: Sequence[Crystal], k: int) -> Sites:
        """Collect the sites of crystals with their k nearest neighbours."""
        distances, neighbours, directions = surroundings_of(crystals, k)
        return cls(
            distances.astype(np.float32),
            neighbours.astype(np.int64),
            directions,
            np.concatenate([crystal.site_numbers for crystal in crystals]).astype(np.int64),
            np.concatenate([crystal.multiplicities / crystal.n_atoms for crystal in crystals]),
            np.array([crystal.n_sites for crystal in crystals]),
        )

    @property
    def begins(self) -> NDArray[np.int64]:
        """(c,) first row of each crystal."""
        return first_rows(self.sizes)

    @property
    def first(self) -> NDArray[np.int64]:
        """(n,) first row of each site's crystal."""
        return np.repeat(self.begins, self.sizes)

    def select(self, chosen: NDArray[np.bool_], distances: NDArray[np.float32]) -> Sites:
        """Take the sites of the chosen crystals, with other distances.

        Args:
            chosen: (c,) which crystals.
            distances: (n, k) Å, of all sites.
        """
        rows = np.repeat(chosen, self.sizes)
        own: tuple[NDArray[Any], ...] = (self.neighbours, self.directions, self.element, self.weight)
        columns = [distances[rows], *(column[rows] for column in own), self.sizes[chosen]]
        return Sites(*columns)


def site_log_odds(network: Plausibility, sites: Sites) -> NDArray[np.float32]:
    """Compute (n,) log-odds of real against decoy for each site."""
    k = network.k
    directions = np.ascontiguousarray(sites.directions[:, :k]) if network.sees_directions else None
    neighbours = sites.neighbours[:, :k] + sites.first[:, None]
    return network.site_logits(sites.distances[:, :k], neighbours, sites.element, sites.begins, directions)


def element_log_probs(model: Model, sites: Sites) -> NDArray[np.float64]:
    """Compute (n,) log p(element | geometry) for each site."""
    columns: dict[str, NDArray[Any]] = {
        "distances": sites.distances,
        "neighbours": sites.neighbours,
        "directions": sites.directions,
        "site": np.arange(len(sites.element)) - sites.first,
    }
    probabilities = model.probabilities(columns)
    place = np.full(256, -1)
    place[list(model.elements)] = np.arange(len(model.elements))
    known = place[sites.element]
    own = np.where(known >= 0, probabilities[np.arange(len(known)), np.maximum(known, 0)], 0)
    return np.log(np.maximum(own, LEAST))
