"""Compiled core: which sites of two crystals are alike, and what isotypic crystals say of the elements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.jit import compiled, part
from atomsight.models.isotypes.types import Group, Scaled, Scales

FAR = 1e9
"""The difference of crystals that are not isotypic."""

WORTH = 1e-3
"""Ways to pair sites that count less than this beside the nearest one are left out."""

WAYS = 64
"""At most so many ways are looked at."""


@part(allocates=True)
def pairings(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    most: float,
    alike: float,
    orders: NDArray[np.int64],
    places: NDArray[np.int64],
    near: NDArray[np.float64],
) -> int:
    """Ways to pair the sites of two crystals of as many; returns how many there are, 0 where no way is as
    near as ``most``.

    The difference of a way is the mean over the sites of the root mean square difference of their logarithmic
    distances. Where all orders are given, all are tried; else the most alike sites are paired off first, and
    then any two of them exchanged. A geometry alone often cannot tell which site is which: those of rock salt
    are alike, and so both ways are near.

    Args:
        one, other: (n, m) logarithms of distances, less their crystal's mean.
        most: largest difference of the nearest way.
        alike: the difference at which a way counts 1/e.
        orders: (p, n) all orders of the sites, or none.
        places: (w, n) out: for each way, the site of the other that each site is paired with.
        near: (w,) out: what each way counts; together what the nearest way would alone.
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
            total = 0.0
            for i in range(n):
                total += apart[i, order[i]]
            best = min(best, total / n)
        if best > most:
            return 0
        for order in orders:
            total = 0.0
            for i in range(n):
                total += apart[i, order[i]]
            counts = np.exp(-((total / n / alike) ** 2))
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


@part(allocates=True)
def _greedily(apart: NDArray[np.float64], most: float, place: NDArray[np.int64]) -> float:
    """Pair sites off, the most alike first; returns the sum of their differences, `FAR` beyond ``most``."""
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
    """Whether a crystal may differ from others by at most ``most``, see `pairings`.

    The means of two rows differ by no more than the root mean square difference of their entries, and of all
    ways to pair numbers off the ascending order has the least sum of differences.

    Args:
        one: (n,) ascending means of the crystal's rows.
        others: (c, n) those of the other crystals.
        most: largest difference.

    Returns:
        (c,) bool.
    """
    return np.abs(others - one).sum(axis=1, dtype=np.float64) <= len(one) * most * 1.001


@compiled
def heard(
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
        chosen: which of these are compared.
        stands, size: see `bank.Isotypes`.
        scales: see there.
        orders: see `pairings`.
        others: (n, 119) logarithms of the network's probabilities, times `Scales.heed`.
        weight: out.
    """
    n = len(own.rows)
    places, near = np.zeros((WAYS, n), np.int64), np.zeros(WAYS)
    kind, element, beside = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    share, members = np.zeros(n), np.zeros(n)
    belief = np.zeros((n, others.shape[1]))
    counted = 0
    for c in chosen:
        ways = pairings(own.rows, group.rows[c], scales.most, scales.alike, orders, places, near)
        counted += ways > 0
        longer = own.length - group.lengths[c]
        for way in range(ways):
            place = places[way]
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
            unchanged = scales.same * near[way] * likely(longer / scales.spread)
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
                    said = near[way] * often * likely((longer - change) / scales.spread) / kinds
                    passed += said * np.exp(belief[k, new])
                    for i in range(n):
                        if kind[i] == k:
                            weight[i, new] += said * believed
                for i in range(n):
                    if kind[i] != k:
                        held = element[kind[i]]
                        weight[i, held] += passed * np.exp(rest - belief[kind[i], held])
    return counted


@part
def likely(step: float) -> float:
    """Density of Student's distribution of three degrees of freedom, but for its scale, over that at 0."""
    return 1.0 / (1.0 + step * step) ** 2
