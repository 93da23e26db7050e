"""Ascending order of the candidates that lie within the bound: by rank for a few, by buckets for many."""

from __future__ import annotations

from math import sqrt

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, kernel
from atomsight.neighbours._simd import LANES, count_below

BY_RANK = 64
"""Up to this many candidates, counting for each how many are smaller (no branches) is the quickest."""

CROWDED = 32
"""A bucket with more candidates than this (a shell of nearly equal distances) calls for a Shell sort."""


@kernel
def ascending(values: Floats, count: int, limit: float, order: Ints, keys: Ints, starts: Ints) -> None:
    """Write into ``order`` the positions of ``values[:count]`` in ascending order of value.

    Args:
        values: squared distances, all in [0, limit]; eight places behind ``count`` are overwritten.
        count: how many of them count.
        limit: the upper bound of the values.
        order: at least ``count`` long, receives the result.
        keys, starts: scratch, at least ``count`` and ``count + 2`` long.
    """
    if count <= BY_RANK:
        _by_rank(values, count, order)
    else:
        _by_buckets(values, count, limit, order, keys, starts)


@kernel
def _by_rank(values: Floats, count: int, order: Ints) -> None:
    for i in range(count):
        order[i] = -1
    for i in range(count, count + LANES):
        values[i] = np.inf
    for i in range(count):
        value = values[i]
        rank = 0
        for j in range(0, count, LANES):
            rank += count_below(values, j, value)
        while order[rank] >= 0:  # equal values share a rank: the first free place after it
            rank += 1
        order[rank] = i


@kernel
def _by_buckets(values: Floats, count: int, limit: float, order: Ints, keys: Ints, starts: Ints) -> None:
    """Points of a crystal are about evenly spread over the volume: buckets of equal volume hold one each."""
    scale = count / (limit * sqrt(limit)) if limit > 0.0 else 0.0
    for i in range(count):
        bucket = int(values[i] * sqrt(values[i]) * scale)
        keys[i] = min(bucket, count - 1)
    for i in range(count + 2):
        starts[i] = 0
    for i in range(count):
        starts[keys[i] + 2] += 1
    most = np.int64(0)
    for i in range(2, count + 2):
        most = max(most, starts[i])
        starts[i] += starts[i - 1]
    for i in range(count):
        bucket = keys[i] + 1
        order[starts[bucket]] = i
        starts[bucket] += 1
    if most > CROWDED:
        gap = count // 2
        while gap > 1:
            _sort_with_gap(values, count, order, gap)
            gap = (gap * 5 - 1) // 11
    _sort_with_gap(values, count, order, 1)


@kernel
def _sort_with_gap(values: Floats, count: int, order: Ints, gap: int) -> None:
    for i in range(gap, count):
        moving = order[i]
        value = values[moving]
        j = i
        while j >= gap and values[order[j - gap]] > value:
            order[j] = order[j - gap]
            j -= gap
        order[j] = moving
