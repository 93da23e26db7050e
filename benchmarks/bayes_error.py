"""Estimate of the Bayes error of methods that use only the distances, from the most similar sites.

Of two sites with nearly the same distances and different elements, at most one can be predicted correctly.
The nearest neighbour of a site is searched among *other* groups of crystals. The share of such pairs with
different elements is the error of the nearest-neighbour rule. In the limit of zero distance it lies between
the Bayes error and twice that (Cover and Hart 1967, 10.1109/TIT.1967.1053964).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 24
"""Number of nearest sites among which one of another group is searched."""


@dataclass(frozen=True, eq=False)
class Twins:
    """The most similar site of another group, for each queried site.

    Attributes:
        gap: (q,) largest difference of their distances, Å; inf where none was found within reach.
        site: (q,) int64 row of the other site, -1 where none was found.
        crowded: (q,) whether none was found because the nearest ones are all of the site's own group.
    """

    gap: NDArray[np.float64]
    site: NDArray[np.int64]
    crowded: NDArray[np.bool_]


def nearest_of_other_groups(
    distances: NDArray[np.floating],
    groups: NDArray[np.integer],
    queries: NDArray[np.integer],
    reach: float,
) -> Twins:
    """Find the most similar site of another group, by the largest difference of any of the k distances.

    A k-d tree over the k-dimensional distance vectors (SciPy's cKDTree), exact within ``reach`` unless a
    site's ``CANDIDATES`` nearest are all of its own group.

    Args:
        distances: (n, k) Å, ascending along each row.
        groups: (n,) group of each site's crystal.
        queries: (q,) rows of the queried sites.
        reach: Largest difference, Å.
    """
    from scipy.spatial import cKDTree

    points = np.asarray(distances, dtype=np.float64)
    tree = cKDTree(points)
    most = min(CANDIDATES, len(points))
    gap, site = tree.query(points[queries], k=most, p=np.inf, distance_upper_bound=reach)
    gap, site = gap.reshape(len(queries), most), site.reshape(len(queries), most)
    found = site < len(points)
    other = found & (groups[np.minimum(site, len(points) - 1)] != groups[queries][:, None])
    first = other.argmax(axis=1)
    rows = np.arange(len(queries))
    any_other = other[rows, first]
    return Twins(
        gap=np.where(any_other, gap[rows, first], np.inf),
        site=np.where(any_other, site[rows, first], -1),
        crowded=~any_other & found.all(axis=1),
    )


def least_error(disagreement: float, elements: int) -> tuple[float, float]:
    """Return bounds of the Bayes error from the error of the nearest-neighbour rule.

    Cover and Hart 1967, equation 6, solved for the Bayes error R* given the asymptotic error R of the rule:
    R* <= R <= R* (2 - M R* / (M - 1)) for M classes.

    Args:
        disagreement: R, the share of twins with different elements.
        elements: M, the number of elements.

    Returns:
        The lower and the upper bound of R*.
    """
    share = (elements - 1) / elements
    return share * (1 - np.sqrt(max(0.0, 1 - disagreement / share))), disagreement


def pair_mixing(
    first: NDArray[np.integer], second: NDArray[np.integer], fewest: int = 20
) -> list[tuple[int, int, int, float]]:
    """Measure how much the twins of two elements are mixed: 0 for never, 1 for as often as by chance.

    It is the share of mixed twins among those of the elements a and b, divided by the share that is expected
    by chance, 2 f (1 - f), where f is the share of a.

    Args:
        first: (n,) atomic number of the first site of each pair of twins.
        second: (n,) atomic number of the second site.
        fewest: Pairs of elements with fewer sites of either are left out.

    Returns:
        (a, b, twins among a and b, mixing), most mixed first.
    """
    counts = np.zeros((256, 256), dtype=np.int64)
    np.add.at(counts, (first, second), 1)
    counts += counts.T
    mixed = []
    present = np.flatnonzero(counts.sum(axis=1))
    for i, a in enumerate(present):
        for b in present[i + 1 :]:
            ends_a, ends_b = counts[a, a] + counts[a, b], counts[b, b] + counts[a, b]
            if min(ends_a, ends_b) < fewest:
                continue
            total = ends_a + ends_b
            chance = 2 * (ends_a / total) * (ends_b / total)
            mixed.append((int(a), int(b), int(total // 2), float(2 * counts[a, b] / total / chance)))
    return sorted(mixed, key=lambda row: -row[3])
