"""The closest contact of a periodic set: the check that no two atoms share a place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.symmetry import inverse, reduce_lattice

Pairs = tuple[NDArray[np.int64], NDArray[np.float64]]

CHUNK = 1 << 16
"""Pairs that are tested together. It bounds the memory."""

SMALL = 48
"""Atoms up to which all pairs are tested, without a sweep."""


def close_pairs(
    lattice: NDArray[np.float64], fractional: NDArray[np.float64], cutoff: float, limit: int
) -> Pairs:
    """Pairs of different atoms closer than `cutoff`, Å, with their distances; at most `limit` of them.

    Exact for any cell: a difference of fractional coordinates along axis i can belong to a pair within the
    cutoff only when it is within cutoff / height_i of an integer.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (n, 3).
        cutoff: Å.
        limit: where the search ends.
    """
    reach = cutoff * np.sqrt((inverse(lattice) ** 2).sum(axis=0))
    if reach.max() > 0.5:  # a flat or skewed cell, in which many images would have to be tested
        reduced = reduce_lattice(lattice)
        fractional = fractional @ (lattice @ inverse(reduced))
        lattice, reach = reduced, cutoff * np.sqrt((inverse(reduced) ** 2).sum(axis=0))
    a = int(reach.argmin())
    turn = [a, (a + 1) % 3, (a + 2) % 3]
    found: list[Pairs] = []
    met = 0
    for first, second in (
        _all_pairs(len(fractional)) if len(fractional) <= SMALL else _swept(fractional, reach, a, turn[1])
    ):
        gaps = fractional[second] - fractional[first]
        near = (np.abs(gaps - np.rint(gaps)) <= reach).all(axis=1).nonzero()[0]
        if len(near):
            # From the swept axis on, which fixes how the sums are rounded.
            squares = _squares(gaps[near][:, turn].T, lattice[turn], reach[turn])
            close = squares < cutoff * cutoff
            ends = np.stack((first[near], second[near]), axis=1)[close]
            ends.sort(axis=1)
            found.append((ends, np.sqrt(squares[close])))
            met += len(ends)
        if met >= limit:
            break
    if not met:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pairs[:limit], distances[:limit]


@lru_cache(maxsize=SMALL)
def _all_pairs(n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    first, second = np.triu_indices(n, 1)
    return [(first, second)]


def _swept(
    fractional: NDArray[np.float64], reach: NDArray[np.float64], a: int, b: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs within the reach along axes a and b: each atom with those that follow it along a."""
    n = len(fractional)
    along = fractional[:, a] - np.floor(fractional[:, a])
    order = along.argsort(kind="stable")
    ends = along[order]
    # The slack keeps pairs at the very cutoff, which are measured afterwards.
    last = np.concatenate((ends, ends + 1.0)).searchsorted(ends + reach[a] * (1 + 1e-9), side="right")
    counts = np.minimum(last - np.arange(1, n + 1), n - 1)
    total = np.concatenate(([0], counts.cumsum()))
    across = fractional[order, b]
    begin = 0
    while begin < n:
        end = max(begin + 1, int(total.searchsorted(total[begin] + CHUNK, side="right")) - 1)
        some = counts[begin:end]
        first = np.arange(begin, end).repeat(some)
        second = first + np.arange(1, len(first) + 1) - (total[begin:end] - total[begin]).repeat(some)
        second[second >= n] -= n
        gap = across[second] - across[first]
        kept = (np.abs(gap - np.rint(gap)) <= reach[b]).nonzero()[0]
        yield order[first[kept]], order[second[kept]]
        begin = end


def _squares(
    gaps: NDArray[np.float64], lattice: NDArray[np.float64], reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared length of the shortest image of each difference among those that `reach` allows, Å²."""
    nearest = np.full(gaps.shape[1], np.inf)
    whole = np.rint(gaps)
    for shift in product(*(range(-int(bound + 0.5), int(bound + 0.5) + 1) for bound in reach.tolist())):
        d0, d1, d2 = gaps - (whole + np.array(shift)[:, None])
        square = np.zeros(len(nearest))
        for k in range(3):
            v = d0 * lattice[0, k] + d1 * lattice[1, k] + d2 * lattice[2, k]
            square += v * v
        np.minimum(nearest, square, out=nearest)
    return nearest
