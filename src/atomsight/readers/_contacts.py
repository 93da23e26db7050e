"""The closest contact of a periodic set: the check that no two atoms share a place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.symmetry import inverse


@compiled
def _order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices that sort values of [0, 1], through as many equal buckets as there are values."""
    n = len(values)
    starts = np.zeros(n + 1, np.int64)
    for value in values:
        starts[min(int(value * n), n - 1) + 1] += 1
    for b in range(n):
        starts[b + 1] += starts[b]
    order = np.empty(n, np.int64)
    filled = np.zeros(n, np.int64)
    for i in range(n):
        bucket = min(int(values[i] * n), n - 1)
        at = starts[bucket] + filled[bucket]
        filled[bucket] += 1
        while at > starts[bucket] and values[order[at - 1]] > values[i]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = i
    return order


@compiled
def close_pairs(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    cutoff: float,
    limit: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of different atoms closer than `cutoff`, Å, with their distances; at most `limit` of them.

    Exact for any cell: a difference of fractional coordinates along axis i can belong to a pair within the
    cutoff only when it is within cutoff / height_i of an integer. Atoms are swept in the order of the
    coordinate with the largest height.
    """
    n = len(fractional)
    pairs = np.empty((limit, 2), np.int64)
    distances = np.empty(limit)
    count = 0
    reciprocal = inverse(lattice)
    reach = np.empty(3)
    for axis in range(3):
        reach[axis] = cutoff * math.sqrt((reciprocal[:, axis] ** 2).sum())
    a = int(np.argmin(reach))
    b, c = (a + 1) % 3, (a + 2) % 3
    along = fractional[:, a] - np.floor(fractional[:, a])
    order = _order(along)
    for p in range(n):
        i = order[p]
        for step in range(1, n):
            q = p + step
            turn = 0.0
            if q >= n:
                q -= n
                turn = 1.0
            j = order[q]
            if along[j] + turn - along[i] > reach[a]:
                break
            d1 = fractional[j, b] - fractional[i, b]
            if abs(d1 - np.floor(d1 + 0.5)) > reach[b]:
                continue
            d2 = fractional[j, c] - fractional[i, c]
            if abs(d2 - np.floor(d2 + 0.5)) > reach[c]:
                continue
            d0 = fractional[j, a] - fractional[i, a]
            nearest = cutoff * cutoff
            met = False
            for n0 in range(math.ceil(d0 - reach[a]), math.floor(d0 + reach[a]) + 1):
                for n1 in range(math.ceil(d1 - reach[b]), math.floor(d1 + reach[b]) + 1):
                    for n2 in range(math.ceil(d2 - reach[c]), math.floor(d2 + reach[c]) + 1):
                        square = 0.0
                        for k in range(3):
                            v = (
                                (d0 - n0) * lattice[a, k]
                                + (d1 - n1) * lattice[b, k]
                                + (d2 - n2) * lattice[c, k]
                            )
                            square += v * v
                        if square < nearest:
                            nearest = square
                            met = True
            if met:
                pairs[count, 0], pairs[count, 1] = min(i, j), max(i, j)
                distances[count] = math.sqrt(nearest)
                count += 1
                if count == limit:
                    return pairs, distances
    return pairs[:count], distances[:count]
