"""Compiled core: which sites of two crystals are alike, and what isotypic crystals say of the elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled

if TYPE_CHECKING:
    from atomsight.models.isotypes.bank import Group, Scaled, Scales

FAR = 1e9
"""The difference of crystals that are not isotypic."""


@compiled
def difference(
    one: NDArray[np.float32], other: NDArray[np.float32], most: float, place: NDArray[np.int64]
) -> float:
    """How far two crystals of as many sites differ: the mean over the sites of the root mean square
    difference of their logarithmic distances, or `FAR` beyond ``most``.

    Sites are paired off greedily, the most alike first.

    Args:
        one, other: (n, m) logarithms of distances, less their crystal's mean.
        most: largest difference of isotypic crystals.
        place: (n,) out: the site of the other that each site is paired with.
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
            return FAR
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
        if total > n * most:
            return FAR
    return total / n


@compiled
def may_match(one: NDArray[np.float32], other: NDArray[np.float32], most: float) -> bool:
    """Whether `difference` may be at most ``most``, by (n,) ascending means of the sites' rows.

    The means of two rows differ by no more than the root mean square difference of their entries, and of all
    ways to pair numbers off the ascending order has the least sum of differences.
    """
    total = 0.0
    for i in range(len(one)):
        total += abs(one[i] - other[i])
    return total <= len(one) * most * 1.001


@compiled
def isotypes_of(
    scaled: NDArray[np.float32],
    means: NDArray[np.float32],
    all_scaled: NDArray[np.float32],
    all_means: NDArray[np.float32],
    most: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the crystals of as many sites are isotypic with one: (f,) which, and (f, n) the site of each
    that every site of the one is paired with.

    Args:
        scaled: (n, m) logarithms of distances of the one, less their mean.
        means: (n,) ascending means of its rows.
        all_scaled: (c, n, m) of the others.
        all_means: (c, n).
        most: largest difference.
    """
    n = len(scaled)
    which, places = np.empty(len(all_means), np.int64), np.empty((len(all_means), n), np.int64)
    found = 0
    for c in range(len(all_means)):
        if may_match(means, all_means[c], most):
            which[found] = c
            found += difference(scaled, all_scaled[c], most, places[found]) <= most
    return which[:found].copy(), places[:found].copy()


@compiled
def heard(
    own: Scaled,
    group: Group,
    stands: NDArray[np.float32],
    size: NDArray[np.float32],
    scales: Scales,
    others: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> int:
    """Add what the isotypic crystals of a group say to (n, 119) weights of the elements; returns how many
    there are.

    Each says its own elements, `Scales.same` times, and its elements with one exchanged for another, together
    once; less the more its geometry differs, and the more its length from the one expected (as Student's
    distribution of three degrees of freedom falls off). To the sites of each of its elements it says so the
    less, the less the network believes what it says of the others: a cavity, as in belief propagation
    (Pearl 1988), so that the network's opinion of a site does not come back to it.

    Args:
        own: the crystal.
        group: crystals of as many sites.
        stands, size: see `bank.Isotypes`.
        scales: see there.
        others: (n, 119) logarithms of the network's probabilities, times `Scales.heed`.
        weight: out.
    """
    n = len(own.rows)
    place, kind = np.zeros(n, np.int64), np.zeros(n, np.int64)
    element, beside = np.zeros(n, np.int64), np.zeros(n, np.int64)
    share, members = np.zeros(n), np.zeros(n)
    belief = np.zeros((n, others.shape[1]))
    counted = 0
    for c in range(len(group.lengths)):
        if not may_match(own.means, group.means[c], scales.most):
            continue
        apart = difference(own.rows, group.rows[c], scales.most, place)
        if apart > scales.most:
            continue
        counted += 1
        near = np.exp(-((apart / scales.alike) ** 2))
        longer = own.length - group.lengths[c]
        kinds = 0
        for i in range(n):  # its elements, each with what the network thinks of its sites
            found = group.elements[c, place[i]]
            k = 0
            while k < kinds and element[k] != found:
                k += 1
            if k == kinds:
                element[k], beside[k] = found, group.company[c, place[i]]
                share[k], members[k], belief[k] = 0.0, 0.0, 0.0
                kinds += 1
            kind[i] = k
            members[k] += 1.0
            share[k] += group.shares[c, place[i]]
            belief[k] += others[i]
        total = 0.0
        for k in range(kinds):
            belief[k] /= members[k]
            total += belief[k, element[k]]
        unchanged = scales.same * near * likely(longer / scales.spread)
        for i in range(n):
            old = element[kind[i]]
            weight[i, old] += unchanged * np.exp(total - belief[kind[i], old])
        for k in range(kinds):
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
                said = near * often * likely((longer - change) / scales.spread) / kinds
                passed += said * np.exp(belief[k, new])
                for i in range(n):
                    if kind[i] == k:
                        weight[i, new] += said * believed
            for i in range(n):
                if kind[i] != k:
                    held = element[kind[i]]
                    weight[i, held] += passed * np.exp(rest - belief[kind[i], held])
    return counted


@compiled
def likely(step: float) -> float:
    """Density of Student's distribution of three degrees of freedom, but for its scale, over that at 0."""
    return 1.0 / (1.0 + step * step) ** 2
