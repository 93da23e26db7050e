"""The sites of several crystals together, and what the networks say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.batch import Flat
from atomsight.core.crystal import Crystal
from atomsight.geometry.neighbours import surroundings_in
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Plausibility

LEAST = 1e-6
"""Smaller probabilities count as this."""


@dataclass(frozen=True)
class Sites:
    """The sites of some crystals, one after another.

    Attributes:
        distances, neighbours: (n, k) Å, and site within the crystal.
        directions: (n, k, 3), or None where no network looks at them.
        element, weight: (n,) atomic numbers and shares of the crystal's atoms.
        sizes, begins: (c,) sites of each crystal and its first row.
    """

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    directions: NDArray[np.int8] | None
    element: NDArray[np.int64]
    weight: NDArray[np.float64]
    sizes: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(cls, crystals: Sequence[Crystal], k: int, turned: bool) -> Sites:
        """The k nearest neighbours of every site, with their directions if asked for."""
        flat = Flat.of(crystals)
        distances, neighbours, directions = surroundings_in(flat, k)
        sizes = np.diff(flat.site_offsets)
        return cls(
            distances.astype(np.float32),
            neighbours.astype(np.int64),
            directions if turned else None,
            flat.site_numbers.astype(np.int64),
            flat.multiplicities / np.repeat(np.diff(flat.offsets), sizes),
            sizes,
            flat.site_offsets[:-1],
        )

    @property
    def first(self) -> NDArray[np.int64]:
        """(n,) the first row of each site's crystal."""
        return np.repeat(self.begins, self.sizes)

    def of_crystals(self, chosen: NDArray[np.bool_], lengths: NDArray[np.float32]) -> Sites:
        """The sites of the chosen crystals, at other distances."""
        rows = np.repeat(chosen, self.sizes)
        sizes = self.sizes[chosen]
        return Sites(
            lengths[rows],
            self.neighbours[rows],
            None if self.directions is None else self.directions[rows],
            self.element[rows],
            self.weight[rows],
            sizes,
            _begins(sizes),
        )


def _begins(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def judged(network: Plausibility, sites: Sites) -> NDArray[np.float32]:
    """(n,) log-odds of the sites by a plausibility network."""
    k = network.k
    ways = None if sites.directions is None else np.ascontiguousarray(sites.directions[:, :k])
    neighbours = sites.neighbours[:, :k] + sites.first[:, None]
    return network.site_logits(sites.distances[:, :k], neighbours, sites.element, sites.begins, ways)


def named(model: Model, sites: Sites) -> NDArray[np.float64]:
    """(n,) log p(element | geometry) of the sites by a model that names elements blindly."""
    seen: dict[str, NDArray] = {
        "distances": sites.distances,
        "neighbours": sites.neighbours,
        "site": np.arange(len(sites.element)) - sites.first,
    }
    if "directions" in model.columns and sites.directions is not None:
        seen["directions"] = sites.directions
    probabilities = model.probabilities(seen)
    place = np.full(256, -1)
    place[list(model.elements)] = np.arange(len(model.elements))
    known = place[sites.element]
    own = np.where(known >= 0, probabilities[np.arange(len(known)), np.maximum(known, 0)], 0)
    return np.log(np.maximum(own, LEAST))
