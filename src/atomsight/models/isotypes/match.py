"""Compiled kernels: pairing of the sites of two crystals, and the votes of isotypic crystals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.jit import compiled
from atomsight.geometry.jit import part as kernel_part
from atomsight.models.isotypes.types import Group, Scaled, Scales

FAR = 1e9
"""Difference of crystals that are not isotypic."""

WORTH = 1e-3
"""Smallest weight of a pairing relative to the best one."""

WAYS = 64
"""Largest number of pairings."""


@kernel_part(allocates=True)
def pairings(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    most: float,
    alike: float,
    orders: NDArray[np.int64],
    places: NDArray[np.int64],
    near: NDArray[np.float64],
) -> int:
    """Find pairings of the sites of two crystals with n sites, and return their number.

    The difference of a pairing is the mean over the sites of the root mean square difference of their
    logarithmic distances. If all permutations are given, all are tried. Otherwise the most similar sites are
    paired first, and
    then any two of them exchanged. Several pairings can be equally good: the two sites of rock salt have
    equal distances.

    Args:
        one: (n, m) logarithms of distances, less their crystal's mean.
        other: (n, m) those of the other crystal.
        most: largest difference of the best pairing; beyond it there is none.
        alike: difference at which the weight of a pairing is 1/e.
        orders: (p, n) all permutations of the sites, or none.
        places: (w, n) out: for each pairing, the site of the other crystal for each site.
        near: (w,) out: weights of the pairings. Their sum is the weight of the best one.
    """
    n, m = one.shape
    apart = np.empty((n, n))
    for i in range(n):
        least = FAR
        for j in range(n):
            total = 0.0
            for a in range(m):
                step = one[i, a] - other[j, a]
                total += step * step
            apart[i, j] = np.sqrt(total / m)
            least = min(least, apart[i, j])
        if least > n * most:
            return 0
    ways = 0
    best = FAR
    if len(orders):
        for order in orders:
            best = min(best, _mean_of(apart, order))
        if best > most:
            return 0
        for order in orders:
            counts = np.exp(-((_mean_of(apart, order) / alike) ** 2))
            if ways < len(near) and counts >= WORTH * np.exp(-((best / alike) ** 2)):
                places[ways] = order
                near[ways] = counts
                ways += 1
    else:
        best = _greedily(apart, n * most, places[0]) / n
        if best > most:
            return 0
        near[0] = np.exp(-((best / alike) ** 2))
        ways = 1
        for i in range(n):
            for j in range(i):
                u, v = places[0, i], places[0, j]
                change = apart[i, v] + apart[j, u] - apart[i, u] - apart[j, v]
                counts = np.exp(-(((best + change / n) / alike) ** 2))
                if ways < len(near) and counts >= WORTH * near[0]:
                    places[ways] = places[0]
                    places[ways, i], places[ways, j] = v, u
                    near[ways] = counts
                    ways += 1
    near[:ways] *= np.exp(-((best / alike) ** 2)) / near[:ways].sum()
    return ways


@kernel_part
def _mean_of(apart: NDArray[np.float64], order: NDArray[np.int64]) -> float:
    """Return the mean of the entries that a permutation selects, one in each row."""
    total = 0.0
    for i in range(len(order)):
        total += apart[i, order[i]]
    return total / len(order)


@kernel_part(allocates=True)
def _greedily(apart: NDArray[np.float64], most: float, place: NDArray[np.int64]) -> float:
    """Pair the most similar sites first; return the sum of their differences, or `FAR` beyond ``most``."""
    n = len(apart)
    taken = np.zeros((2, n), np.bool_)
    total = 0.0
    for _ in range(n):
        least, i, j = FAR, 0, 0
        for a in range(n):
            if taken[0, a]:
                continue
            for b in range(n):
                if not taken[1, b] and apart[a, b] < least:
                    least, i, j = apart[a, b], a, b
        taken[0, i] = taken[1, j] = True
        place[i] = j
        total += least
        if total > most:
            return FAR
    return total


def may_match(one: NDArray[np.float32], others: NDArray[np.float32], most: float) -> NDArray[np.bool_]:
    """Return whether a crystal can differ from others by at most ``most``, see `pairings`.

    The means of two rows differ by no more than the root mean square difference of their entries, and of all
    pairings of numbers the ascending order has the least sum of differences.

    Args:
        one: (n,) ascending means of the sites' rows.
        others: (c, n) those of the other crystals.
        most: largest difference.

    Returns:
        (c,) bool.
    """
    difference = np.abs(others - one).sum(axis=1, dtype=np.float64)
    return np.asarray(difference <= len(one) * most * 1.001)


@compiled
def add_votes(
    own: Scaled,
    group: Group,
    chosen: NDArray[np.int64],
    stands: NDArray[np.float32],
    size: NDArray[np.float32],
    scales: Scales,
    orders: NDArray[np.int64],
    others: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> int:
    """Add the votes of the isotypic crystals of a group to the weights of the elements; return their number.

    Each votes for its own elements with weight `Scales.same`, and for its elements with one substituted with
    total weight 1. The weight falls with the difference of the geometry, and with that of the length from the
    expected one, as Student's distribution of three degrees of freedom. The vote for the sites of one of its
    elements is multiplied by the network's probability of its vote for the others. This is a cavity as in
    belief propagation (Pearl 1988): the network's probabilities of a site do not return to it.

    Args:
        own: the crystal.
        group: crystals with as many sites.
        chosen: indices of those that are compared.
        stands: see `bank.Isotypes`.
        size: see `bank.Isotypes`.
        scales: see `types.Scales`.
        orders: see `pairings`.
        others: (n, 119) logarithms of the network's probabilities, times `Scales.heed`.
        weight: (n, 119) out: the votes are added to it.
    """
    n = len(own.rows)
    places, near = np.zeros((WAYS, n), np.int64), np.zeros(WAYS)
    part, element, beside = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    share, members = np.zeros(n), np.zeros(n)
    belief = np.zeros((n, others.shape[1]))
    counted = 0
    for c in chosen:
        ways = pairings(own.rows, group.rows[c], scales.most, scales.alike, orders, places, near)
        counted += ways > 0
        longer = own.length - group.lengths[c]
        for way in range(ways):
            place = places[way]
            parts = 0
            for i in range(n):  # its elements, each with the network's mean over its sites
                found = group.elements[c, place[i]]
                k = 0
                while k < parts and element[k] != found:
                    k += 1
                if k == parts:
                    element[k], beside[k] = found, group.company[c, place[i]]
                    share[k], members[k], belief[k] = 0.0, 0.0, 0.0
                    parts += 1
                part[i] = k
                members[k] += 1.0
                share[k] += group.shares[c, place[i]]
                belief[k] += others[i]
            total = 0.0
            for k in range(parts):
                belief[k] /= members[k]
                total += belief[k, element[k]]
            unchanged = scales.same * near[way] * likely(longer / scales.spread)
            for i in range(n):
                old = element[part[i]]
                weight[i, old] += unchanged * np.exp(total - belief[part[i], old])
            for k in range(parts):
                old = element[k]
                slope = share[k] / (3.0 * group.volumes[c])
                rest = total - belief[k, old]
                believed = np.exp(rest)
                passed = 0.0
                for new in range(stands.shape[2]):
                    often = stands[beside[k], old, new]
                    if often == 0.0:
                        continue
                    change = slope * (size[beside[k], new] - size[beside[k], old])
                    vote = near[way] * often * likely((longer - change) / scales.spread) / parts
                    passed += vote * np.exp(belief[k, new])
                    for i in range(n):
                        if part[i] == k:
                            weight[i, new] += vote * believed
                for i in range(n):
                    if part[i] != k:
                        held = element[part[i]]
                        weight[i, held] += passed * np.exp(rest - belief[part[i], held])
    return counted


@kernel_part
def likely(step: float) -> float:
    """Return the density of Student's distribution of three degrees of freedom relative to that at 0."""
    return 1.0 / (1.0 + step * step) ** 2
