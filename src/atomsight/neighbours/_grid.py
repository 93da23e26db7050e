"""The k-NN kernel: a grid over the reduced cell, searched block by block.

Atoms are sorted into the bins of a grid over the reduced cell. For every bin that holds queries, the points around it
(wrapped over the borders of the cell, as often as it takes) are gathered once into contiguous arrays; each query of
the bin then runs over these in a plain loop that the compiler turns into vector instructions, keeps what lies within a
bound, and orders it. The bound is a guess from the distances found so far. A guess may be too small, never wrong: with
fewer than k points inside it, it grows and the search is repeated; with k or more, the k nearest are among them.
"""

from __future__ import annotations

from math import ceil, floor, sqrt

import numpy as np

from atomsight.neighbours._compiled import kernel
from atomsight.neighbours._lattice import heights, reduce_lattice
from atomsight.neighbours._select import ascending

ROUNDING = 1e-9
"""Share by which a block is made wider than the bound, far above the rounding of the coordinates."""


@kernel
def search_many(
    lattices, fractional, offsets, own, free, query_offsets, k, distances, indices, images, first, last
):  # type: ignore[no-untyped-def]  # noqa: E501
    """Search structures ``first .. last - 1`` of a batch; see ``batch.nearest_neighbours_batch`` for the layout."""
    for c in range(first, last):
        p, q = query_offsets[c], query_offsets[c + 1]
        if p < q:
            search(
                lattices[c],
                fractional[offsets[c] : offsets[c + 1]],
                own[p:q],
                free[p:q] if free.shape[0] else free,
                k,
                distances[p:q],
                indices[p:q] if indices.shape[0] else indices,
                images[p:q] if images.shape[0] else images,
            )


@kernel
def search(lattice, fractional, own, free, k, distances, indices, images):  # type: ignore[no-untyped-def]
    """k nearest neighbours of the queries of one structure.

    Args:
        lattice: (3, 3) float64, rows are the cell vectors, Å.
        fractional: (n, 3) float64.
        own: (m,) int64, motif index of each query; ignored where ``free`` is given.
        free: (m, 3) float64 fractional positions of queries that are no points of the set, or (0, 3).
        k: how many neighbours.
        distances: (m, k) float64, receives the distances.
        indices: (m, k) int64, receives motif indices; shape (0, k): not wanted.
        images: (m, k, 3) int32, receives cell shifts; shape (0, k, 3): not wanted.
    """
    n, m = fractional.shape[0], distances.shape[0]
    is_free = free.shape[0] > 0
    reduced, transform = np.empty((3, 3)), np.empty((3, 3), np.int64)
    inverse, height = np.empty((3, 3), np.int64), np.empty(3)
    reduce_lattice(lattice, reduced, transform, inverse)
    volume = heights(reduced, height)

    # Positions in the reduced cell, [0, 1), and the whole cells (in the caller's lattice) that wrapping took off.
    wrapped, taken = np.empty((n, 3)), np.empty((n, 3), np.int64)
    _wrap(fractional, transform, inverse, wrapped, taken)
    if is_free:
        query_wrapped, query_taken = np.empty((m, 3)), np.empty((m, 3), np.int64)
        _wrap(free, transform, inverse, query_wrapped, query_taken)
    else:
        query_wrapped, query_taken = wrapped, taken

    reach = _first_reach(n, volume, reduced, k)

    # The grid.
    shape = np.empty(3, np.int64)
    _grid_shape(height, reach, n, k, shape)
    na, nb, nc = shape[0], shape[1], shape[2]
    bins = na * nb * nc
    start = np.zeros(bins + 1, np.int64)
    atom = np.empty(n, np.int64)
    _sort_into_bins(wrapped, shape, start, atom)
    xs, ys, zs = np.empty(n), np.empty(n), np.empty(n)
    place_of = np.empty(n, np.int64)
    for s in range(n):
        i = atom[s]
        a, b, c = wrapped[i, 0], wrapped[i, 1], wrapped[i, 2]
        xs[s] = a * reduced[0, 0] + b * reduced[1, 0] + c * reduced[2, 0]
        ys[s] = a * reduced[0, 1] + b * reduced[1, 1] + c * reduced[2, 1]
        zs[s] = a * reduced[0, 2] + b * reduced[1, 2] + c * reduced[2, 2]
        place_of[i] = s

    # The queries, bin by bin.
    query_start = np.zeros(bins + 1, np.int64)
    query = np.empty(m, np.int64)
    if is_free:
        chosen = query_wrapped
    else:
        chosen = np.empty((m, 3))
        for q in range(m):
            for axis in range(3):
                chosen[q, axis] = wrapped[own[q], axis]
    _sort_into_bins(chosen, shape, query_start, query)

    # Scratch: the gathered block, and the candidates of one query.
    room = 256
    bx, by, bz = np.empty(room), np.empty(room), np.empty(room)
    bs, bg = np.empty(room, np.int64), np.empty(room, np.int64)
    d2, near = np.empty(room), np.empty(room)
    near_at, order, keys = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    starts = np.empty(room + 2, np.int64)
    at = np.empty(n + 1, np.int64)  # where the block holds an atom of the home cell; [n] takes the others
    segments = 64
    segment_image = np.empty((segments, 3), np.int64)
    lo, hi = np.empty(3, np.int64), np.empty(3, np.int64)
    fmin, fmax = np.empty(3), np.empty(3)

    last = 0.0  # k-th distance of the query before
    for home in range(bins):
        q0, q1 = query_start[home], query_start[home + 1]
        if q0 == q1:
            continue
        # Extent of this bin's queries.
        for axis in range(3):
            fmin[axis] = fmax[axis] = chosen[query[q0], axis]
            for t in range(q0 + 1, q1):
                fmin[axis] = min(fmin[axis], chosen[query[t], axis])
                fmax[axis] = max(fmax[axis], chosen[query[t], axis])
        ca, cb, cc = 0.5 * (fmin[0] + fmax[0]), 0.5 * (fmin[1] + fmax[1]), 0.5 * (fmin[2] + fmax[2])
        cx = ca * reduced[0, 0] + cb * reduced[1, 0] + cc * reduced[2, 0]
        cy = ca * reduced[0, 1] + cb * reduced[1, 1] + cc * reduced[2, 1]
        cz = ca * reduced[0, 2] + cb * reduced[1, 2] + cc * reduced[2, 2]
        spread = 0.0
        for t in range(q0, q1):
            a, b, c = chosen[query[t], 0], chosen[query[t], 1], chosen[query[t], 2]
            x = a * reduced[0, 0] + b * reduced[1, 0] + c * reduced[2, 0] - cx
            y = a * reduced[0, 1] + b * reduced[1, 1] + c * reduced[2, 1] - cy
            z = a * reduced[0, 2] + b * reduced[1, 2] + c * reduced[2, 2] - cz
            spread = max(spread, x * x + y * y + z * z)
        spread = sqrt(spread)

        done = q0
        block_reach = reach
        while done < q1:
            # Bins that a sphere of block_reach about any of the queries can touch.
            for axis in range(3):
                wide = block_reach / height[axis] * (1.0 + ROUNDING) + ROUNDING
                lo[axis] = floor((fmin[axis] - wide) * shape[axis])
                hi[axis] = floor((fmax[axis] + wide) * shape[axis])
            need, rows = _room_needed(lo, hi, shape, start)
            if need > room:
                room = need + need // 2
                bx, by, bz = np.empty(room), np.empty(room), np.empty(room)
                bs, bg = np.empty(room, np.int64), np.empty(room, np.int64)
                d2, near = np.empty(room), np.empty(room)
                near_at, order = np.empty(room, np.int64), np.empty(room, np.int64)
                keys, starts = np.empty(room, np.int64), np.empty(room + 2, np.int64)
            if rows > segments:
                segments = rows + rows // 2
                segment_image = np.empty((segments, 3), np.int64)
            ball = (block_reach + spread) * (1.0 + ROUNDING) + ROUNDING
            size = _gather(
                lo, hi, shape, start, xs, ys, zs, reduced, transform, cx, cy, cz, ball * ball,
                bx, by, bz, bs, bg, segment_image, at,
            )  # fmt: skip

            fullest = 0
            while done < q1:
                q = query[done]
                if is_free:
                    a, b, c = chosen[q, 0], chosen[q, 1], chosen[q, 2]
                    x = a * reduced[0, 0] + b * reduced[1, 0] + c * reduced[2, 0]
                    y = a * reduced[0, 1] + b * reduced[1, 1] + c * reduced[2, 1]
                    z = a * reduced[0, 2] + b * reduced[1, 2] + c * reduced[2, 2]
                else:
                    s = place_of[own[q]]
                    x, y, z = xs[s], ys[s], zs[s]
                for j in range(size):
                    dx, dy, dz = bx[j] - x, by[j] - y, bz[j] - z
                    d2[j] = dx * dx + dy * dy + dz * dz
                if not is_free:
                    d2[at[s]] = np.inf  # the query itself, by identity: other points at its place stay
                bound = min(block_reach, last * 1.1) if last > 0.0 else block_reach
                limit = bound * bound
                count = _within(d2, size, limit, near, near_at)
                if count < k and bound < block_reach:
                    limit = block_reach * block_reach
                    count = _within(d2, size, limit, near, near_at)
                if count < k:
                    fullest = count
                    break
                ascending(near, count, limit, order, keys, starts)
                if indices.shape[0] or images.shape[0]:
                    _settle_ties(near, near_at, order, count, k, bs, bg, atom, segment_image, taken)
                last = sqrt(near[order[k - 1]])
                for t in range(k):
                    distances[q, t] = sqrt(near[order[t]])
                if indices.shape[0]:
                    for t in range(k):
                        indices[q, t] = atom[bs[near_at[order[t]]]]
                if images.shape[0]:
                    i = q if is_free else own[q]
                    for t in range(k):
                        j = near_at[order[t]]
                        g, o = bg[j], atom[bs[j]]
                        for axis in range(3):
                            images[q, t, axis] = (
                                segment_image[g, axis] - taken[o, axis] + query_taken[i, axis]
                            )
                done += 1
            if done < q1:
                block_reach *= min(2.0, max(1.15, 1.1 * ((k + 1.0) / (fullest + 1.0)) ** (1.0 / 3.0)))


@kernel
def _wrap(positions, transform, inverse, wrapped, taken):  # type: ignore[no-untyped-def]
    for i in range(positions.shape[0]):
        f0, f1, f2 = positions[i, 0], positions[i, 1], positions[i, 2]
        cells = (np.int64(0), np.int64(0), np.int64(0))
        p0 = f0 * inverse[0, 0] + f1 * inverse[1, 0] + f2 * inverse[2, 0]
        p1 = f0 * inverse[0, 1] + f1 * inverse[1, 1] + f2 * inverse[2, 1]
        p2 = f0 * inverse[0, 2] + f1 * inverse[1, 2] + f2 * inverse[2, 2]
        cells = (np.int64(floor(p0)), np.int64(floor(p1)), np.int64(floor(p2)))
        wrapped[i, 0], wrapped[i, 1], wrapped[i, 2] = p0 - cells[0], p1 - cells[1], p2 - cells[2]
        for axis in range(3):
            taken[i, axis] = (
                cells[0] * transform[0, axis] + cells[1] * transform[1, axis] + cells[2] * transform[2, axis]
            )


@kernel
def _first_reach(n, volume, reduced, k):  # type: ignore[no-untyped-def]
    """A guess at the k-th distance: the ball that holds k points at the mean density, or the translates alone.

    In a needle or a flat cell the ball of the mean density is far too wide, since the copies of a point along the
    short vectors are near: k of them lie within k / 2 steps of a row, or within a square of steps of a net.
    """
    ball = 1.15 * (3.0 * (k + 1) / (4.0 * np.pi) * volume / n) ** (1.0 / 3.0)
    a = sqrt(reduced[0, 0] ** 2 + reduced[0, 1] ** 2 + reduced[0, 2] ** 2)
    b = sqrt(reduced[1, 0] ** 2 + reduced[1, 1] ** 2 + reduced[1, 2] ** 2)
    row = ceil(k / 2.0) * a
    net = ceil((sqrt(k + 1.0) - 1.0) / 2.0) * (a + b)
    return min(ball, min(row, net)) * (1.0 + ROUNDING)


@kernel
def _grid_shape(height, reach, n, k, shape):  # type: ignore[no-untyped-def]
    """Bins about as wide as the reach, but never many more of them than points."""
    width = reach
    while True:
        bins = 1.0
        for axis in range(3):
            bins *= max(1.0, floor(height[axis] / width))
        if bins <= 2.0 * n + 8.0:
            break
        width *= 1.2
    for axis in range(3):
        shape[axis] = max(1, np.int64(height[axis] / width))


@kernel
def _sort_into_bins(wrapped, shape, start, sorted_points):  # type: ignore[no-untyped-def]
    n = wrapped.shape[0]
    home = np.empty(n, np.int64)
    for i in range(n):
        a = min(np.int64(wrapped[i, 0] * shape[0]), shape[0] - 1)
        b = min(np.int64(wrapped[i, 1] * shape[1]), shape[1] - 1)
        c = min(np.int64(wrapped[i, 2] * shape[2]), shape[2] - 1)
        home[i] = (a * shape[1] + b) * shape[2] + c
        start[home[i]] += 1
    total = 0
    for i in range(start.shape[0]):
        total += start[i]
        start[i] = total
    for i in range(n - 1, -1, -1):
        start[home[i]] -= 1
        sorted_points[start[home[i]]] = i


@kernel
def _room_needed(lo, hi, shape, start):  # type: ignore[no-untyped-def]
    """How many points and how many segments (runs of bins within one cell) the block may hold."""
    nb, nc = shape[1], shape[2]
    points, rows = 0, 0
    for a in range(lo[0], hi[0] + 1):
        wa = a - a // shape[0] * shape[0]
        for b in range(lo[1], hi[1] + 1):
            wb = b - b // nb * nb
            row = (wa * nb + wb) * nc
            c = lo[2]
            while c <= hi[2]:
                cell = c // nc
                end = min(hi[2], cell * nc + nc - 1)
                points += start[row + end - cell * nc + 1] - start[row + c - cell * nc]
                rows += 1
                c = end + 1
    return points, rows


@kernel
def _gather(
    lo,
    hi,
    shape,
    start,
    xs,
    ys,
    zs,
    reduced,
    transform,
    cx,
    cy,
    cz,
    limit,
    bx,
    by,
    bz,
    bs,
    bg,
    segment_image,
    at,
):  # type: ignore[no-untyped-def]  # noqa: E501
    """Copy the points of a block that lie within a ball about its centre; the result is how many there are."""
    na, nb, nc = shape[0], shape[1], shape[2]
    n = xs.shape[0]
    size, segment = 0, 0
    for a in range(lo[0], hi[0] + 1):
        cell_a = a // na
        wa = a - cell_a * na
        for b in range(lo[1], hi[1] + 1):
            cell_b = b // nb
            row = (wa * nb + b - cell_b * nb) * nc
            c = lo[2]
            while c <= hi[2]:
                cell_c = c // nc
                end = min(hi[2], cell_c * nc + nc - 1)
                sx = cell_a * reduced[0, 0] + cell_b * reduced[1, 0] + cell_c * reduced[2, 0]
                sy = cell_a * reduced[0, 1] + cell_b * reduced[1, 1] + cell_c * reduced[2, 1]
                sz = cell_a * reduced[0, 2] + cell_b * reduced[1, 2] + cell_c * reduced[2, 2]
                for axis in range(3):
                    segment_image[segment, axis] = (
                        cell_a * transform[0, axis]
                        + cell_b * transform[1, axis]
                        + cell_c * transform[2, axis]
                    )
                home = cell_a == 0 and cell_b == 0 and cell_c == 0
                for s in range(start[row + c - cell_c * nc], start[row + end - cell_c * nc + 1]):
                    x, y, z = xs[s] + sx, ys[s] + sy, zs[s] + sz
                    dx, dy, dz = x - cx, y - cy, z - cz
                    bx[size], by[size], bz[size] = x, y, z
                    bs[size], bg[size] = s, segment
                    at[s if home else n] = size
                    size += dx * dx + dy * dy + dz * dz <= limit
                segment += 1
                c = end + 1
    return size


@kernel
def _within(d2, size, limit, near, near_at):  # type: ignore[no-untyped-def]
    count = 0
    for j in range(size):
        near[count] = d2[j]
        near_at[count] = j
        count += d2[j] <= limit
    return count


@kernel
def _settle_ties(near, near_at, order, count, k, bs, bg, atom, segment_image, taken):  # type: ignore[no-untyped-def]
    """Among exactly equal distances, order by motif index, then by cell shift, whatever the grid.

    The run of equals that holds the k-th neighbour is settled as a whole, so that the first k of a wider search are
    always the neighbours that a search for k returns.
    """
    i = 0
    while i < k:
        j = i + 1
        while j < count and near[order[j]] == near[order[i]]:
            j += 1
        for p in range(i + 1, j):
            moving = order[p]
            q = p
            while q > i and _before(moving, order[q - 1], near_at, bs, bg, atom, segment_image, taken):
                order[q] = order[q - 1]
                q -= 1
            order[q] = moving
        i = j


@kernel
def _before(p, q, near_at, bs, bg, atom, segment_image, taken):  # type: ignore[no-untyped-def]
    i, j = atom[bs[near_at[p]]], atom[bs[near_at[q]]]
    if i != j:
        return i < j
    for axis in range(3):
        u = segment_image[bg[near_at[p]], axis] - taken[i, axis]
        v = segment_image[bg[near_at[q]], axis] - taken[j, axis]
        if u != v:
            return u < v
    return False
