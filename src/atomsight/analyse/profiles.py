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
"""Å. Range and width of the bins; what lies further counts in the last one."""


@dataclass(frozen=True)
class Profiles:
    """Counts of distances by element and rank.

    Attributes:
        elements: e atomic numbers.
        split: of which split; None where of all.
        counts: (e, k, bins) int64, each unique site once.
    """

    elements: tuple[int, ...]
    split: str | None
    counts: NDArray[np.int64]

    @property
    def k(self) -> int:
        """Number of ranks."""
        return self.counts.shape[1]

    def of(self, element: int) -> NDArray[np.int64]:
        """(k, bins) counts of an element.

        Raises:
            InputError: it is not among the elements.
        """
        if element not in self.elements:
            raise InputError(f"the profiles hold no element {element}; they hold {self.elements}")
        return self.counts[self.elements.index(element)]

    def quantile(self, element: int, share: float) -> NDArray[np.float64]:
        """(k,) distance below which this share of the element's sites have their n-th neighbour, Å, within
        half a bin; NaN where the element has no site."""
        counts = self.of(element)
        total = counts.sum(axis=1, keepdims=True)
        place = (np.cumsum(counts, axis=1) < share * total).sum(axis=1)
        return np.where(total[:, 0] > 0, (place + 0.5) * STEP, np.nan)

    def share_below(self, element: int, distances: NDArray[np.floating]) -> NDArray[np.float64]:
        """(k,) share of the element's sites whose n-th neighbour is nearer than distances[n], (k,) in Å; NaN
        where the element has no site."""
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
    """Profiles of some elements (atomic numbers) over a split, streamed, for the first k neighbours.

    Raises:
        InputError: k is above the dataset's.
    """
    if k > dataset.k:
        raise InputError(f"k = {k} asked for, but {dataset.path} holds k = {dataset.k} neighbours a site")
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
