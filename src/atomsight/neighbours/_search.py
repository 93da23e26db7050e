"""The k-NN search: bin by bin, each query against the block of points gathered around its bin.

For every bin that holds queries, the points around it are gathered once into contiguous arrays. Each query
then runs over these, keeps what lies within a bound, and orders it. The bound is a guess from the distances
found so far. A guess may be too small, never wrong: with fewer than k points inside it, it grows and the
search is repeated; with k or more, the k nearest are among them.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, Ints32, inlined_kernel, kernel
from atomsight.neighbours._grid import (
    ROUNDING,
    first_reach,
    gather,
    grid_shape,
    room_needed,
    sort_into_bins,
    to_cartesian,
    wrap,
)
from atomsight.neighbours._lattice import SINGULAR, heights, reduce_lattice
from atomsight.neighbours._select import BY_RANK, ascending
from atomsight.neighbours._simd import LANES, keep_within
from atomsight.neighbours._tags import digit_bits, fit, tag_points, tag_points_alone
from atomsight.neighbours._workspace import Scratch, Workspace
from atomsight.neighbours._write import write_row, write_row_of_reduced

FARTHEST = 1e6
"""Coordinates over this many cells from the origin have lost the digits that a distance needs."""

LEAST_K = 10
"""Bins are made for at least this many neighbours: a block pays when several queries share it."""

MOST_K = 30
"""... and for at most this many: a query looks at all points of its block, too many where bins are wide."""

CLUSTERED = 6.0
"""Where a point sees that many times the mean density (a molecule in a void), the guess is made smaller."""

AHEAD = 1.06
"""The first bound for a query, as a multiple of the k-th distance of a query before it in space.

For a small k that of the last but one: so the processor can begin with a query while it still orders the
neighbours of the last. For a large k, where this would save little, that of the last.
"""


@inlined_kernel
def search(
    lattice: Floats,
    fractional: Floats,
    own: Ints,
    free: Floats,
    k: int,
    distances: Floats,
    indices: Ints,
    images: Ints32,
    work: Workspace,
    scratch: Scratch,
) -> int:
    """k nearest neighbours of the queries of one structure.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (n, 3).
        own: (m,) motif index of each query; not looked at where ``free`` is given.
        free: (m, 3) fractional positions of queries that are no points of the set, or (0, 3).
        distances, indices: (m * k,), receive the result.
        images: (m * k * 3,), receives the cell shifts; empty: not wanted.
        work, scratch: room to work in.

    Returns:
        0; or the verdict on what cannot be searched; or, less than 0, minus the points that ``scratch`` has
        to hold, when it is too small: then the search is to be done anew.
    """
    n, m = fractional.shape[0], distances.shape[0] // k
    is_free = free.shape[0] > 0
    verdict = _verdict(lattice, fractional, free)
    if verdict:
        return verdict
    reduced, transform, inverse, digits = work.reduced, work.transform, work.inverse, work.digits
    height, shape, start, query_start = work.height, work.shape, work.start, work.query_start
    reduce_lattice(lattice, reduced, transform, inverse)
    volume = heights(reduced, height)
    reach = first_reach(n, volume, reduced, k)
    wide = first_reach(n, volume, reduced, min(max(k, LEAST_K), MOST_K)) / reach

    wrapped, taken, atom = work.wrapped[:n], work.taken[:n], work.atom[:n]
    wrap(fractional, transform, inverse, wrapped, taken)
    bins = 1
    for _ in range(3):
        bins = grid_shape(height, reach * wide, n, shape)
        sort_into_bins(wrapped, work.numbers[:n], shape, bins, start, atom, work.home)
        crowding = _crowding(start, bins, n)
        if crowding < CLUSTERED or n < CLUSTERED * k:
            break
        reach *= crowding ** (-1.0 / 3.0)
    xs, ys, zs, tags, tag_of = work.xs, work.ys, work.zs, work.tags, work.tag_of[:n]
    to_cartesian(wrapped, atom, reduced, xs, ys, zs)
    bits, packed = digit_bits(n), True
    apart = tag_points(taken, bits, tag_of)
    for s in range(n):
        tags[s] = tag_of[atom[s]]
    for i in range(3):
        for j in range(3):
            digits[i, j] = transform[i, j]

    query_wrapped, query_taken, query, which = wrapped, taken, atom, atom
    qx, qy, qz = xs, ys, zs
    if is_free or not _every(own, n):
        query_wrapped, query_taken, which = wrapped, taken, own
        if is_free:
            query_wrapped, query_taken, which = work.query_wrapped[:m], work.query_taken[:m], work.numbers[:m]
            wrap(free, transform, inverse, query_wrapped, query_taken)
        query, sorted_which = work.query[:m], work.which[:m]
        sort_into_bins(query_wrapped, which, shape, bins, query_start, query, work.home)
        for t in range(m):
            sorted_which[t] = which[query[t]]
        which = sorted_which
        qx, qy, qz = work.qx, work.qy, work.qz
        to_cartesian(query_wrapped, which, reduced, qx, qy, qz)
    else:
        query_start = start

    bx, by, bz, block_tags = scratch.x, scratch.y, scratch.z, scratch.tags
    near, near_tags, ordered, ordered_tags = (
        scratch.near, scratch.near_tags, scratch.ordered, scratch.ordered_tags,
    )  # fmt: skip
    points, block = (xs, ys, zs, tags), (bx, by, bz, block_tags)
    sorting = (scratch.bucket_of, scratch.starts, scratch.bucketed, scratch.bucketed_tags)
    room = bx.shape[0] - 2 * LANES
    lo, hi, middle = work.lo, work.hi, work.middle

    guess = later = np.inf  # squares of the bounds for the next query, and for the one after it
    for home in range(bins):
        done, end = query_start[home], query_start[home + 1]
        if done == end:
            continue
        half = _extent(query_wrapped, which, done, end, middle)
        cx = middle[0] * reduced[0, 0] + middle[1] * reduced[1, 0] + middle[2] * reduced[2, 0]
        cy = middle[0] * reduced[0, 1] + middle[1] * reduced[1, 1] + middle[2] * reduced[2, 1]
        cz = middle[0] * reduced[0, 2] + middle[1] * reduced[1, 2] + middle[2] * reduced[2, 2]
        spread = 0.0
        for t in range(done, end):
            spread = max(spread, (qx[t] - cx) ** 2 + (qy[t] - cy) ** 2 + (qz[t] - cz) ** 2)
        spread = sqrt(spread)

        block_reach = reach
        while done < end:
            for axis in range(3):
                wide = half[axis] + block_reach / height[axis] * (1.0 + ROUNDING) + ROUNDING
                lo[axis] = np.int64(floor((middle[axis] - wide) * shape[axis]))
                hi[axis] = np.int64(floor((middle[axis] + wide) * shape[axis]))
            if not fit(lo, hi, shape, digits, apart, bits):
                if packed:
                    packed, apart = False, 0
                    for i in range(3):
                        for j in range(3):
                            digits[i, j] = i == j
                    tag_points_alone(bits, tag_of)
                    for s in range(n):
                        tags[s] = tag_of[atom[s]]
                if not fit(lo, hi, shape, digits, apart, bits):
                    return 8
            points_needed = room_needed(lo, hi, shape, n)
            if points_needed > room:
                return -points_needed
            ball = (block_reach + spread) * (1.0 + ROUNDING) + ROUNDING
            size = gather(
                lo, hi, shape, start, points, reduced, digits, bits, (cx, cy, cz), ball * ball, block
            )
            most, block_limit = 0, block_reach**2
            while done < end:
                x, y, z = qx[done], qy[done], qz[done]
                itself = np.int64(-1) if is_free else tag_of[which[done]]
                limit = min(guess, block_limit)
                count = 0
                for j in range(0, size, LANES):
                    count = keep_within(
                        bx, by, bz, block_tags, j, x, y, z, limit, itself, near, near_tags, count
                    )
                if count < k and limit < block_limit:
                    limit = block_limit
                    count = 0
                    for j in range(0, size, LANES):
                        count = keep_within(
                            bx, by, bz, block_tags, j, x, y, z, limit, itself, near, near_tags, count
                        )
                if count < k:
                    most = count
                    break
                ascending(near, near_tags, count, limit, ordered, ordered_tags, sorting)
                q, i = query[done], which[done]
                if packed:
                    write_row(ordered, ordered_tags, k, bits, query_taken, i, q, distances, indices, images)
                else:
                    write_row_of_reduced(
                        ordered, ordered_tags, k, bits, query_taken, i, q, distances, indices, images,
                        transform, taken,
                    )  # fmt: skip
                found = AHEAD * AHEAD * ordered[k - 1] + ROUNDING
                guess, later = (later, found) if k <= BY_RANK else (found, found)
                done += 1
            if done < end:
                block_reach *= min(2.0, max(1.15, 1.1 * ((k + 1.0) / (most + 1.0)) ** (1.0 / 3.0)))
    return 0


@kernel
def _verdict(lattice: Floats, fractional: Floats, free: Floats) -> int:
    edges = 1.0
    for i in range(3):
        for j in range(3):
            if not np.isfinite(lattice[i, j]):
                return 1
        edges *= sqrt(lattice[i, 0] ** 2 + lattice[i, 1] ** 2 + lattice[i, 2] ** 2)
    volume = abs(
        lattice[0, 0] * (lattice[1, 1] * lattice[2, 2] - lattice[1, 2] * lattice[2, 1])
        - lattice[0, 1] * (lattice[1, 0] * lattice[2, 2] - lattice[1, 2] * lattice[2, 0])
        + lattice[0, 2] * (lattice[1, 0] * lattice[2, 1] - lattice[1, 1] * lattice[2, 0])
    )
    if not volume > SINGULAR * edges:
        return 2
    if fractional.shape[0] == 0:
        return 5
    verdict = _verdict_on_points(fractional)
    if verdict:
        return 2 + verdict
    verdict = _verdict_on_points(free)
    return 5 + verdict if verdict else 0


@kernel
def _verdict_on_points(points: Floats) -> int:
    fine = True
    for i in range(points.shape[0]):
        fine &= (
            abs(points[i, 0]) <= FARTHEST and abs(points[i, 1]) <= FARTHEST and abs(points[i, 2]) <= FARTHEST
        )
    if fine:
        return 0
    for i in range(points.shape[0]):
        for axis in range(3):
            if not np.isfinite(points[i, axis]):
                return 1
    return 2


@kernel
def _every(own: Ints, n: int) -> bool:
    """Whether the queries are all points of the motif, in their order."""
    same = own.shape[0] == n
    for i in range(min(n, own.shape[0])):
        same &= own[i] == i
    return same


@kernel
def _crowding(start: Ints, bins: int, n: int) -> float:
    """How many others a point shares its bin with, over how many it would if they were spread evenly."""
    pairs = 0.0
    for b in range(bins):
        inside = float(start[b + 1] - start[b])
        pairs += inside * (inside - 1.0)
    return pairs * bins / (float(n) * n)


@kernel
def _extent(
    wrapped: Floats, which: Ints, first: int, last: int, middle: Floats
) -> tuple[float, float, float]:
    """Middle and half width, along each axis, of the box that holds some points; fractional."""
    a0 = a1 = wrapped[which[first], 0]
    b0 = b1 = wrapped[which[first], 1]
    c0 = c1 = wrapped[which[first], 2]
    for t in range(first + 1, last):
        a, b, c = wrapped[which[t], 0], wrapped[which[t], 1], wrapped[which[t], 2]
        a0, a1 = min(a0, a), max(a1, a)
        b0, b1 = min(b0, b), max(b1, b)
        c0, c1 = min(c0, c), max(c1, c)
    middle[0], middle[1], middle[2] = 0.5 * (a0 + a1), 0.5 * (b0 + b1), 0.5 * (c0 + c1)
    return 0.5 * (a1 - a0), 0.5 * (b1 - b0), 0.5 * (c1 - c0)
