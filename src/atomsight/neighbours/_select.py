"""Ascending order of the candidates that lie within the bound: by rank for a few, by buckets for many."""

from __future__ import annotations

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, kernel
from atomsight.neighbours._simd import LANES, count_below, rank_eight

BY_RANK = 48
"""Up to this many candidates, counting for each how many are smaller (no branches) is the quickest."""

CROWDED = 128
"""A bucket with more candidates than this (a shell of nearly equal distances) calls for a Shell sort."""


@kernel
def ascending(
    values: Floats, count: int, limit: float, order: Ints, scratch: tuple[Ints, Ints, Ints, Floats]
) -> None:
    """Write into ``order`` the positions of ``values[:count]`` in ascending order of value.

    Args:
        values: squared distances, all in [0, limit]; eight places behind ``count`` are read.
        count: how many of them count.
        limit: the upper bound of the values.
        order: at least ``count`` long, receives the result.
        scratch: arrays at least ``count + 8`` long.
    """
    if count <= BY_RANK:
        _by_rank(values, count, order, scratch[0])
    else:
        _by_buckets(values, count, limit, order, scratch)


@kernel
def _by_rank(values: Floats, count: int, order: Ints, ranks: Ints) -> None:
    for i in range(0, count, LANES):
        rank_eight(values, i, count, ranks)
    _place(ranks, count, order)


@kernel
def _place(ranks: Ints, count: int, order: Ints) -> None:
    """Turn ranks into an order; equal values share a rank, and fill the places after it in any order."""
    for i in range(count):
        order[i] = -1
    for i in range(count):
        order[ranks[i]] = i
    for i in range(count):
        place = ranks[i]
        if order[place] != i:
            while order[place] >= 0:
                place += 1
            order[place] = i


@kernel
def _by_buckets(
    values: Floats, count: int, limit: float, order: Ints, scratch: tuple[Ints, Ints, Ints, Floats]
) -> None:
    """Points of a crystal are about evenly spread over the volume: buckets of equal width hold two or three.

    Buckets ascend, so the rank within a bucket is how many of the values from its start on are less.
    """
    keys, starts, ranks, bucketed = scratch
    buckets = count // 2
    scale = (buckets - 1) / limit if limit > 0.0 else 0.0
    for i in range(buckets + 2):
        starts[i] = 0
    for i in range(count):
        keys[i] = int(values[i] * scale)
    for i in range(count):
        starts[keys[i] + 2] += 1
    most = 0
    for i in range(2, buckets + 2):
        most = max(most, starts[i])
        starts[i] += starts[i - 1]
    if most > CROWDED:
        _shell_sort(values, count, order)
        return
    for i in range(count):
        bucket = keys[i] + 1
        bucketed[starts[bucket]] = values[i]
        starts[bucket] += 1
    for i in range(count, count + LANES):
        bucketed[i] = np.inf
    for i in range(count):
        start = starts[keys[i]]
        ranks[i] = start + count_below(bucketed, start, values[i])
    if most > LANES:
        for i in range(count):
            for j in range(starts[keys[i]] + LANES, starts[keys[i] + 1], LANES):
                ranks[i] += count_below(bucketed, j, values[i])
    _place(ranks, count, order)


@kernel
def _shell_sort(values: Floats, count: int, order: Ints) -> None:
    for i in range(count):
        order[i] = i
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            moving = order[i]
            value = values[moving]
            j = i
            while j >= gap and values[order[j - gap]] > value:
                order[j] = order[j - gap]
                j -= gap
            order[j] = moving
        gap = max(1, (gap * 5 - 1) // 11) if gap > 1 else 0
