"""Ascending order of the candidates that lie within the bound: by rank for a few, by buckets for many.

A candidate is a pair: its squared distance and its tag (``_tags``). Pairs are ordered by distance, exactly
equal distances by tag, so there is one right order, whatever the grid that the candidates came from.
"""

from __future__ import annotations

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, inlined_kernel, kernel
from atomsight.neighbours._simd import FEW, LANES, count_before, rank_eight_pairs, rank_few, rank_more

BY_RANK = 2 * FEW
"""Up to this many candidates, counting for each how many are smaller (no branches) is the quickest."""

CROWDED = 128
"""A bucket with more candidates than this (a shell of nearly equal distances) calls for a Shell sort."""


@inlined_kernel
def ascending(
    values: Floats,
    tags: Ints,
    count: int,
    limit: float,
    ordered: Floats,
    ordered_tags: Ints,
    scratch: tuple[Ints, Ints, Floats, Ints],
) -> None:
    """Write the pairs ``values[:count], tags[:count]`` in ascending order into ``ordered, ordered_tags``.

    Args:
        values: squared distances, all in [0, limit].
        tags: differ from each other.
        count: how many pairs there are.
        limit: the upper bound of the values.
        ordered, ordered_tags: at least ``count`` long, receive the result.
        scratch: room to work in.

    All arrays hold at least eight places more than ``count`` and than ``BY_RANK``.
    """
    if count <= BY_RANK:
        _by_rank(values, tags, count, ordered, ordered_tags, scratch[0])
    else:
        _by_buckets(values, tags, count, limit, ordered, ordered_tags, scratch)


@inlined_kernel
def _by_rank(
    values: Floats, tags: Ints, count: int, ordered: Floats, ordered_tags: Ints, ranks: Ints
) -> None:
    total = rank_few(values, count, ranks) if count <= FEW else rank_more(values, count, ranks)
    if total != count * (count - 1) // 2:  # equal values share a rank
        for i in range(0, count, LANES):
            rank_eight_pairs(values, tags, i, count, ranks)
    for i in range(count):
        rank = ranks[i]
        ordered[rank] = values[i]
        ordered_tags[rank] = tags[i]


@kernel
def _by_buckets(
    values: Floats,
    tags: Ints,
    count: int,
    limit: float,
    ordered: Floats,
    ordered_tags: Ints,
    scratch: tuple[Ints, Ints, Floats, Ints],
) -> None:
    """Points of a crystal are about evenly spread over the volume: buckets of equal width hold two or three.

    Buckets ascend, so the rank within a bucket is how many of the pairs from its start on come before.
    """
    bucket_of, starts, bucketed, bucketed_tags = scratch
    buckets = count // 2
    scale = (buckets - 1) / limit if limit > 0.0 else 0.0
    for i in range(buckets + 2):
        starts[i] = 0
    for i in range(count):
        bucket_of[i] = int(values[i] * scale)
    for i in range(count):
        starts[bucket_of[i] + 2] += 1
    most = 0
    for i in range(2, buckets + 2):
        most = max(most, starts[i])
        starts[i] += starts[i - 1]
    if most > CROWDED:
        _shell_sort(values, tags, count, ordered, ordered_tags)
        return
    for i in range(count):
        bucket = bucket_of[i] + 1
        place = starts[bucket]
        bucketed[place] = values[i]
        bucketed_tags[place] = tags[i]
        starts[bucket] = place + 1
    for i in range(count, count + LANES):
        bucketed[i] = np.inf
    for i in range(count):
        start, end = starts[bucket_of[i]], starts[bucket_of[i] + 1]
        rank = start + count_before(bucketed, bucketed_tags, start, values[i], tags[i])
        if end - start > LANES:
            for j in range(start + LANES, end, LANES):
                rank += count_before(bucketed, bucketed_tags, j, values[i], tags[i])
        ordered[rank] = values[i]
        ordered_tags[rank] = tags[i]


@kernel
def _shell_sort(values: Floats, tags: Ints, count: int, ordered: Floats, ordered_tags: Ints) -> None:
    for i in range(count):
        ordered[i], ordered_tags[i] = values[i], tags[i]
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            value, tag = ordered[i], ordered_tags[i]
            j = i
            while j >= gap and (
                ordered[j - gap] > value or (ordered[j - gap] == value and ordered_tags[j - gap] > tag)
            ):
                ordered[j], ordered_tags[j] = ordered[j - gap], ordered_tags[j - gap]
                j -= gap
            ordered[j], ordered_tags[j] = value, tag
        gap = max(1, (gap * 5 - 1) // 11) if gap > 1 else 0
