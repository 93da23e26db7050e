"""The k-NN search: bin by bin, each query against the block of points gathered around its bin.

For every bin that holds queries, the points around it are gathered once into contiguous arrays. Each query
then runs over these, keeps what lies within a bound, and orders it. The bound is a guess from the distances
found so far. A guess may be too small, never wrong: with fewer than k points inside it, it grows and the
search is repeated; with k or more, the k nearest are among them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, sqrt

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, Ints32, cached_kernel, kernel, sources
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
from atomsight.neighbours._select import ascending
from atomsight.neighbours._simd import LANES, keep_within
from atomsight.neighbours._ties import settle_ties

FARTHEST = 1e6
"""Coordinates over this many cells from the origin have lost the digits that a distance needs."""

LEAST_K = 10
"""Bins are made for at least this many neighbours: a block pays when several queries share it."""

ROOM = 1024
"""Points that a block holds before it has to grow; a batch of small cells then shares one."""

CLUSTERED = 6.0
"""Where a point sees that many times the mean density (a molecule in a void), the guess is made smaller."""

AHEAD = 1.1
"""The first bound for a query, as a multiple of the k-th distance of the query before it in space."""


@kernel
def search(
    lattice: Floats,
    fractional: Floats,
    own: Ints,
    free: Floats,
    k: int,
    distances: Floats,
    indices: Ints,
    images: Ints32,
    block: tuple[Floats, Floats, Floats, Ints32, Ints32],
    scratch: tuple[Floats, Ints32, Ints, tuple[Ints, Ints, Ints, Floats]],
    run_images: Ints,
) -> int:
    """k nearest neighbours of the queries of one structure.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (n, 3).
        own: (m,) motif index of each query; not looked at where ``free`` is given.
        free: (m, 3) fractional positions of queries that are no points of the set, or (0, 3).
        distances, indices: (m, k), receive the result.
        images: (m, k, 3), receives the cell shifts; (0, k, 3): not wanted.
        block, scratch, run_images: as ``_scratch`` makes them; larger ones are made where these do not do.

    Returns:
        0, or the verdict on what cannot be searched.
    """
    n, m = fractional.shape[0], distances.shape[0]
    is_free = free.shape[0] > 0
    verdict = _verdict(lattice, fractional, free)
    if verdict:
        return verdict
    reduced, transform, inverse = np.empty((3, 3)), np.empty((3, 3), np.int64), np.empty((3, 3), np.int64)
    height = np.empty(3)
    reduce_lattice(lattice, reduced, transform, inverse)
    volume = heights(reduced, height)
    reach = first_reach(n, volume, reduced, k)
    wide = first_reach(n, volume, reduced, max(k, LEAST_K)) / reach

    wrapped, taken = np.empty((n, 3)), np.empty((n, 3), np.int64)
    wrap(fractional, transform, inverse, wrapped, taken)
    query_wrapped, query_taken, which = wrapped, taken, own
    if is_free:
        query_wrapped, query_taken, which = np.empty((m, 3)), np.empty((m, 3), np.int64), np.arange(m)
        wrap(free, transform, inverse, query_wrapped, query_taken)

    shape, atom = np.empty(3, np.int64), np.empty(n, np.int64)
    for _ in range(3):
        bins = grid_shape(height, reach * wide, n, shape)
        start = np.zeros(bins + 1, np.int64)
        sort_into_bins(wrapped, np.arange(n), shape, start, atom)
        crowding = _crowding(start)
        if crowding < CLUSTERED or n < CLUSTERED * k:
            break
        reach *= crowding ** (-1.0 / 3.0)
    xs, ys, zs = np.empty(n + LANES), np.empty(n + LANES), np.empty(n + LANES)
    to_cartesian(wrapped, atom, reduced, xs, ys, zs)
    sorted_at, off = np.empty(n, np.int64), np.empty((n, 3), np.int64)
    for s in range(n):
        sorted_at[atom[s]] = s
        off[s] = taken[atom[s]]  # in the order of the bins: the neighbours of a query lie together in memory

    query_start, query = np.zeros(bins + 1, np.int64), np.empty(m, np.int64)
    sort_into_bins(query_wrapped, which, shape, query_start, query)
    which = which[query]
    qx, qy, qz = np.empty(m), np.empty(m), np.empty(m)
    to_cartesian(query_wrapped, which, reduced, qx, qy, qz)

    room, runs = block[0].shape[0] - 2 * LANES, run_images.shape[0]
    at = np.empty(n, np.int64)
    lo, hi, middle = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3)

    guess = np.inf  # the bound for the next query
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
            points_needed, runs_needed = room_needed(lo, hi, shape, n)
            if points_needed > room:
                room = points_needed + points_needed // 2
                block, scratch, _ = _scratch(room)
            if runs_needed > runs:
                runs = runs_needed + runs_needed // 2
                run_images = np.empty((runs, 3), np.int64)
            ball = (block_reach + spread) * (1.0 + ROUNDING) + ROUNDING
            size = gather(
                lo, hi, shape, start, (xs, ys, zs), reduced, transform, (cx, cy, cz), ball * ball,
                block, run_images, at,
            )  # fmt: skip
            bx, by, bz, bs, run_of = block
            near, near_at, order, sorting = scratch
            most = 0
            while done < end:
                x, y, z = qx[done], qy[done], qz[done]
                if not is_free:  # the query leaves itself out by identity: others at its place stay
                    itself = at[sorted_at[which[done]]]
                    bx[itself] = np.inf
                limit = min(guess, block_reach) ** 2
                count = 0
                for j in range(0, size, LANES):
                    count = keep_within(bx, by, bz, j, x, y, z, limit, near, near_at, count)
                if count < k and guess < block_reach:
                    limit = block_reach**2
                    count = 0
                    for j in range(0, size, LANES):
                        count = keep_within(bx, by, bz, j, x, y, z, limit, near, near_at, count)
                if not is_free:
                    bx[itself] = x
                if count < k:
                    most = count
                    break
                ascending(near, count, limit, order, sorting)
                settle_ties(near, near_at, order, count, k, bs, run_of, atom, run_images, off)
                q, i = query[done], which[done]
                for t in range(k):
                    j = near_at[order[t]]
                    s = bs[j]
                    distances[q, t] = sqrt(near[order[t]])
                    indices[q, t] = atom[s]
                    if images.shape[0]:
                        r = run_of[j]
                        for axis in range(3):
                            images[q, t, axis] = run_images[r, axis] - off[s, axis] + query_taken[i, axis]
                guess = AHEAD * distances[q, k - 1] + ROUNDING
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
    return 2 if np.isfinite(points).all() else 1


@kernel
def _scratch(room: int):  # type: ignore[no-untyped-def]
    """Arrays for a block (x, y, z, position and run of points), for the candidates of a query, for runs."""
    size = room + 2 * LANES
    block = (
        np.empty(size),
        np.empty(size),
        np.empty(size),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
    )
    sorting = (
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size),
    )
    candidates = (np.empty(size), np.empty(size, np.int32), np.empty(size, np.int64), sorting)
    return block, candidates, np.empty((room // 4, 3), np.int64)


@kernel
def _crowding(start: Ints) -> float:
    """How many others a point shares its bin with, over how many it would if they were spread evenly."""
    bins, n = start.shape[0] - 1, start[-1]
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


def _bind(made_from: str) -> Callable[..., tuple[int, int]]:
    @cached_kernel
    def search_many(
        lattices: Floats,
        fractional: Floats,
        offsets: Ints,
        own: Ints,
        free: Floats,
        query_offsets: Ints,
        k: int,
        distances: Floats,
        indices: Ints,
        images: Ints32,
        first: int,
        last: int,
    ) -> tuple[int, int]:
        """Search structures ``first .. last - 1`` of a batch (see ``batch`` for the layout).

        Returns:
            0, 0; or the verdict on the first structure that cannot be searched (``knn.VERDICTS``), and its
            number.
        """
        assert made_from
        block, scratch, run_images = _scratch(ROOM)
        for c in range(first, last):
            p, q = query_offsets[c], query_offsets[c + 1]
            if p < q:
                verdict = search(
                    lattices[c],
                    fractional[offsets[c] : offsets[c + 1]],
                    own[p:q],
                    free[p:q] if free.shape[0] else free,
                    k,
                    distances[p:q],
                    indices[p:q],
                    images[p:q] if images.shape[0] else images,
                    block,
                    scratch,
                    run_images,
                )
                if verdict:
                    return verdict, c
        return 0, 0

    return search_many


search_many = _bind(sources())
