"""Distance profiles: for each element, the distribution of the distance to its n-th neighbour, n = 1 .. k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import InputError

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

LONGEST, STEP = 12.0, 0.01
"""Å. Range and width of the bins. The last bin holds all larger distances."""


@dataclass(frozen=True)
class Profiles:
    """Counts of distances by element and rank.

    Attributes:
        elements: e atomic numbers.
        split: Split of the dataset; None for all.
        counts: (e, k, bins) int64, each unique site once.
    """

    elements: tuple[int, ...]
    split: str | None
    counts: NDArray[np.int64]

    @property
    def k(self) -> int:
        """Number of ranks."""
        return len(self.counts[0])

    def of(self, element: int) -> NDArray[np.int64]:
        """Return the (k, bins) counts of an element.

        Raises:
            InputError: The profiles have no such element.
        """
        if element not in self.elements:
            raise InputError(f"the profiles hold no element {element}; they hold {self.elements}")
        return np.asarray(self.counts[self.elements.index(element)])

    def quantile(self, element: int, share: float) -> NDArray[np.float64]:
        """Return the (k,) quantiles of the distances to the n-th neighbour, Å, within half a bin.

        They are NaN where the element has no site.
        """
        counts = self.of(element)
        total = counts.sum(axis=1, keepdims=True)
        place = (np.cumsum(counts, axis=1) < share * total).sum(axis=1)
        return np.where(total[:, 0] > 0, (place + 0.5) * STEP, np.nan)

    def share_below(self, element: int, distances: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the (k,) share of an element's sites whose n-th neighbour is nearer than ``distances[n]``.

        Args:
            element: Atomic number.
            distances: (k,) Å.

        Returns:
            The shares; NaN where the element has no site.
        """
        counts = self.of(element)[: len(distances)]
        below = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
        exact = np.clip(np.asarray(distances, dtype=np.float64) / STEP, 0, counts.shape[1])
        place = np.minimum(exact.astype(np.int64), counts.shape[1] - 1)
        rows = np.arange(len(counts))
        part = below[rows, place] + (exact - place) * counts[rows, place]
        return np.where(below[:, -1] > 0, part / np.maximum(below[:, -1], 1), np.nan)


def distance_profiles(
    dataset: Dataset, elements: Sequence[int], k: int, *, split: str | None = None
) -> Profiles:
    """Count the profiles of some elements over a split in one stream, for the first k neighbours.

    Raises:
        InputError: k is larger than the dataset's.
    """
    if k > dataset.k:
        raise InputError(f"k = {k} was requested, but {dataset.path} holds k = {dataset.k} neighbours a site")
    bins = round(LONGEST / STEP)
    counts = np.zeros((len(elements), k, bins), dtype=np.int64)
    index = np.full(256, -1)
    index[list(elements)] = np.arange(len(elements))
    ranks = np.arange(k)
    for batch in dataset.batches(["element", "distances"], split=split, elements=elements):
        place = np.minimum((batch["distances"][:, :k] * (1 / STEP)).astype(np.int64), bins - 1)
        key = (index[batch["element"]][:, None] * k + ranks) * bins + place
        counts += np.bincount(key.ravel(), minlength=counts.size).reshape(counts.shape)
    return Profiles(tuple(elements), split, counts)
