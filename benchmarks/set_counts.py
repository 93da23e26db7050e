"""Coverage and size of prediction sets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.scores import macro


@dataclass
class SetCounts:
    """Counts of prediction sets by true element, added batch by batch.

    Attributes:
        elements: Number of columns.
        sites: (elements,) int64 sites of each element.
        covered: (elements,) int64 sites whose set holds the element.
        sizes: (elements,) int64 sum of the sizes of their sets.
        single: (elements,) int64 sets of one element.
    """

    elements: int
    sites: NDArray[np.int64] = field(init=False)
    covered: NDArray[np.int64] = field(init=False)
    sizes: NDArray[np.int64] = field(init=False)
    single: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("sites", "covered", "sizes", "single"):
            setattr(self, name, np.zeros(self.elements, dtype=np.int64))

    def add(self, members: NDArray[np.bool_], truth: NDArray[np.integer]) -> None:
        """Count a batch.

        Args:
            members: (n, elements) whether an element is in the set of a site.
            truth: (n,) column of the true element.
        """
        size = members.sum(axis=1)
        held = members[np.arange(len(truth)), truth]
        self.sites += np.bincount(truth, minlength=self.elements)
        self.covered += np.bincount(truth[held], minlength=self.elements)
        self.sizes += np.bincount(truth, weights=size, minlength=self.elements).astype(np.int64)
        self.single += np.bincount(truth[size == 1], minlength=self.elements)

    @property
    def coverage(self) -> float:
        """Return the share of the sites whose set holds the true element; NaN without sites."""
        return self._share(self.covered)

    @property
    def mean_size(self) -> float:
        """Return the mean number of elements in a set; NaN without sites."""
        return self._share(self.sizes)

    @property
    def single_share(self) -> float:
        """Return the share of the sets that hold one element; NaN without sites."""
        return self._share(self.single)

    def by_element(self, fewest: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coverage and mean size for each true element; NaN below ``fewest`` sites."""
        often = self.sites >= max(fewest, 1)
        divisor = np.where(often, self.sites, 1)
        return (
            np.where(often, self.covered / divisor, np.nan),
            np.where(often, self.sizes / divisor, np.nan),
        )

    def macro_coverage(self, fewest: int = 1) -> float:
        """Return the mean coverage over the elements with at least ``fewest`` sites."""
        return macro(self.by_element(fewest)[0])

    def _share(self, counts: NDArray[np.int64]) -> float:
        total = int(self.sites.sum())
        return float(counts.sum() / total) if total else float("nan")
