"""The compiled k-NN search: bin by bin, each query against the points gathered around its bin.

For every bin that holds queries, the points around it are gathered once into contiguous arrays. Each query
then runs over these, keeps what lies within a bound, and sorts it. The bound is a guess from the distances
found so far. With fewer than k points inside it, it grows and the search is repeated; with k or more, the k
nearest are among them. The arithmetic is strict IEEE, so that all machines and `_direct` give the same bits.

A gathered point is named by a tag: the atom in the upper half of an integer, the row of `Room.shifts` that
holds its cell in the lower half.

The kernels allocate nothing: `knn.solve` hands them `Room`. Reference counts and allocation inside kernels
would double the time of their compilation.
"""

from __future__ import annotations

import threading
from math import ceil, floor, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.cell import determinant, dot, face_distances, invert_transform, reduce_cell
from atomsight.geometry.jit import compiled, part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 1e-9
"""Share by which blocks are made wider than the bound, far above the rounding of the coordinates."""

LEAST_K, MOST_K = 10, 30
"""Bins are made for a number of neighbours in this range: a block pays when several queries share it, and a
query looks at all points of its block."""

CLUSTERED = 6.0
"""Ratio of the density that a point sees to the mean density, beyond which the first guess is made smaller
(a molecule in a void)."""

AHEAD = 1.06
"""The first bound of a query as a multiple of the k-th distance of the query before it."""

MOST_BINS, FEW_BINS = 8, 64
"""A grid has at most so many bins for each point, and so many more."""

KEPT = 20_000
"""Structures and blocks of more points than this get room of their own each time."""

ATOM, CELL = 32, (1 << 32) - 1
"""Bits that a tag is shifted by to get its atom, and its bits for the cell."""

FEW = 48
"""Candidates up to this number are sorted by comparing all with all, which compilers vectorise."""

VECTOR = 16
"""Values that compilers compare at once; loops over whole vectors have no slow remainder."""

SPARE = VECTOR
"""Places of a block behind its points that the loops may write."""

FREE = -1
"""A place that holds no tag yet."""


class Room(NamedTuple):
    """Arrays that the kernel works in, for structures of at most n points and m queries, p the larger.

    Attributes:
        cell: (4, 3), the reduced lattice, and the distances between its faces.
        middle: (2, 3), the box that holds the queries of a bin.
        whole: (9, 3), transform, its inverse, shape of the grid, first and last bin of a block.
        frac: (2, 3, p), positions of points and queries in the reduced cell, [0, 1).
        cart: (2, 3, p), Cartesian positions of points and queries by bin, Å.
        taken: (2, p, 3), cells of the given lattice that wrapping took off points and queries.
        order: (3, p), points by bin, queries by bin, a row to work in.
        bins: (2, bins + 1), where the points and the queries of each bin begin.
        block: (6, size), x, y, z, squared distance; squared distances within the bound, and these in order.
        tags: (5, size), of the block; within the bound, and these in order; buckets, and where they begin.
        shifts: (size, 3), cells of the given lattice that tags refer to; the first is no shift.
    """

    cell: Floats
    middle: Floats
    whole: Ints
    frac: Floats
    cart: Floats
    taken: Ints
    order: Ints
    bins: Ints
    block: Floats
    tags: Ints
    shifts: Ints


_kept = threading.local()


def room_for(n: int, m: int, block: int) -> Room:
    """Room of at least these sizes, that of this thread's last call if it is large enough."""
    kept: tuple[int, int, int, Any] = getattr(_kept, "room", (-1, -1, -1, None))
    if n > kept[0] or m > kept[1] or block > kept[2]:
        kept = (n, m, block, _new_room(n, m, block))
        if n < KEPT and m < KEPT and block < KEPT:
            _kept.room = kept
    room: Room = kept[3]
    return room


def _new_room(n: int, m: int, block: int) -> Room:
    """Room for structures of at most n points and m queries, and for blocks of that many points."""
    p = max(n, m)
    return Room(
        cell=np.empty((4, 3)),
        middle=np.empty((2, 3)),
        whole=np.empty((9, 3), np.int64),
        frac=np.empty((2, 3, p)),
        cart=np.empty((2, 3, p)),
        taken=np.empty((2, p, 3), np.int64),
        order=np.empty((3, p), np.int64),
        bins=np.empty((2, MOST_BINS * n + FEW_BINS + 2), np.int64),
        block=np.empty((6, block)),
        tags=np.empty((5, block), np.int64),
        shifts=np.zeros((block, 3), np.int64),
    )


@compiled(_nrt=False)
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
    images: NDArray[np.int32],
    first: int,
    last: int,
    room: Room,
) -> tuple[int, int]:
    """Search structures ``first .. last - 1`` of a batch (see ``batch`` for the layout).

    Args:
        lattices: (c, 3, 3), rows are cell vectors, Å.
        fractional: (n, 3), the points of all structures.
        offsets: (c + 1,), where the points of each structure begin.
        own: (m,) atom of each query; not looked at where ``free`` is given.
        free: (m, 3) fractional positions of queries that are no points of the set, or (0, 3).
        query_offsets: the queries of each structure.
        k: how many neighbours.
        distances: (m, k), receives the distances.
        indices: (m, k), receives the points of the motif.
        images: (m, k, 3) or (0, k, 3), receives the cells.
        first: the first structure that is searched.
        last: the one behind the last.
        room: see there.

    Returns:
        0, 0; or minus the size that blocks must have, and the structure to go on with; or the verdict on the
        first structure that cannot be searched (``knn.VERDICTS``), and its number.
    """
    for c in range(first, last):
        p, q = query_offsets[c], query_offsets[c + 1]
        if p == q:
            continue
        points = fractional[offsets[c] : offsets[c + 1]]
        is_free = free.shape[0] > 0
        verdict = _verdict(lattices[c], points, free[p:q] if is_free else free)
        if verdict == 0:
            verdict = _search(
                lattices[c], points, own[p:q] if not is_free else own, free[p:q] if is_free else free, k,
                distances[p:q], indices[p:q], images[p:q] if len(images) else images, room,
            )  # fmt: skip
        if verdict != 0:
            return verdict, c
    return 0, 0


@part
def _search(
    lattice: Floats,
    fractional: Floats,
    own: Ints,
    free: Floats,
    k: int,
    distances: Floats,
    indices: Ints,
    images: NDArray[np.int32],
    room: Room,
) -> int:
    """Search one structure; see `search_many`."""
    n, m, is_free = len(fractional), len(distances), len(free) > 0
    cell, whole, frac, cart, taken, shifts = (
        room.cell,
        room.whole,
        room.frac,
        room.cart,
        room.taken,
        room.shifts,
    )
    start, query_start, height = room.bins[0], room.bins[1], room.cell[3]
    members, queries, work = room.order[0], room.order[1], room.order[2]
    transform, inverse, shape, lo, hi = whole[0:3], whole[3:6], whole[6], whole[7], whole[8]
    reduce_cell(lattice, cell, transform)
    invert_transform(transform, inverse)
    volume = face_distances(cell, height)
    reach = _first_reach(n, volume, cell, k)
    width = _first_reach(n, volume, cell, min(max(k, LEAST_K), MOST_K)) / reach
    _wrap(fractional, transform, inverse, frac[0], taken[0])
    bins = 1
    for _ in range(3):
        bins = _grid_shape(height, reach * width, n, shape)
        _sort_into_bins(frac[0], n, shape, bins, start, members, work)
        crowding = _crowding(start, bins, n)
        if crowding < CLUSTERED or n < CLUSTERED * k:
            break
        reach *= crowding ** (-1.0 / 3.0)
    _to_cartesian(frac[0], members, n, cell, cart[0])
    if is_free:
        _wrap(free, transform, inverse, frac[1], taken[1])
    else:
        for q in range(m):
            for axis in range(3):
                frac[1, axis, q] = frac[0, axis, own[q]]
                taken[1, q, axis] = taken[0, own[q], axis]
    _sort_into_bins(frac[1], m, shape, bins, query_start, queries, work)
    _to_cartesian(frac[1], queries, m, cell, cart[1])

    bx, by, bz, squares = room.block[0], room.block[1], room.block[2], room.block[3]
    near, ordered = room.block[4], room.block[5]
    tags, near_tags, ordered_tags = room.tags[0], room.tags[1], room.tags[2]
    guess = np.inf  # square of the bound for the next query
    for home in range(bins):
        done, end = query_start[home], query_start[home + 1]
        if done == end:
            continue
        cx, cy, cz, spread = _extent(frac[1], queries, done, end, cart[1], cell, room.middle)
        block_reach = reach
        while done < end:
            for axis in range(3):
                wide = block_reach / height[axis] * (1.0 + ROUNDING) + ROUNDING
                lo[axis] = np.int64(floor((room.middle[0, axis] - wide) * shape[axis]))
                hi[axis] = np.int64(floor((room.middle[1, axis] + wide) * shape[axis]))
            ball = (block_reach + spread) * (1.0 + ROUNDING) + ROUNDING
            size = _gather(lo, hi, shape, start, members, cell, transform, cx, cy, cz, ball * ball, room)
            if size < 0:
                return size
            most, block_limit = 0, block_reach * block_reach
            while done < end:
                x, y, z, q = cart[1, 0, done], cart[1, 1, done], cart[1, 2, done], queries[done]
                for j in range(size):
                    dx, dy, dz = bx[j] - x, by[j] - y, bz[j] - z
                    squares[j] = dx * dx + dy * dy + dz * dz
                itself = np.int64(-1) if is_free else own[q] << ATOM
                limit = min(guess, block_limit)
                while True:
                    inside = np.uint64(0)
                    for j in range(size):  # without a branch: most places are written several times
                        near_tags[inside] = j
                        inside += np.uint64(squares[j] <= limit)
                    most = int(np.int64(inside)) - (not is_free)
                    if most >= k or limit == block_limit:
                        break
                    limit = block_limit
                if most < k:
                    break
                count = np.uint64(0)
                for i in range(int(np.int64(inside))):
                    place = np.uint64(near_tags[i])
                    near[count] = squares[place]
                    near_tags[count] = tags[place]
                    count += np.uint64(tags[place] != itself)
                _ascending(near, near_tags, most, limit, ordered, ordered_tags, room.tags, shifts)
                for t in range(k):
                    distances[q, t] = sqrt(ordered[t])
                for t in range(k):
                    indices[q, t] = ordered_tags[t] >> ATOM
                if len(images):
                    m0, m1, m2 = taken[1, q, 0], taken[1, q, 1], taken[1, q, 2]
                    for t in range(k):
                        atom = np.uint64(ordered_tags[t] >> ATOM)
                        place = np.uint64(ordered_tags[t] & CELL)
                        images[q, t, 0] = shifts[place, 0] - taken[0, atom, 0] + m0
                        images[q, t, 1] = shifts[place, 1] - taken[0, atom, 1] + m1
                        images[q, t, 2] = shifts[place, 2] - taken[0, atom, 2] + m2
                guess = AHEAD * AHEAD * ordered[k - 1] + ROUNDING
                done += 1
            if done < end:
                block_reach *= min(2.0, max(1.15, 1.1 * ((k + 1.0) / (most + 1.0)) ** (1.0 / 3.0)))
    return 0


@part
def _ascending(
    near: Floats,
    near_tags: Ints,
    count: int,
    limit: float,
    ordered: Floats,
    ordered_tags: Ints,
    room: Ints,
    shifts: Ints,
) -> None:
    """Write ``count`` pairs of a value in [0, limit] and a tag in ascending order.

    The points of a crystal are about evenly spread over the volume, so that buckets of equal width of the
    squared distance hold few; a Shell sort within their reach puts these in order.
    """
    most = 0
    if count <= FEW:
        padded = (count + VECTOR - 1) // VECTOR * VECTOR
        for i in range(count, padded):
            near[i] = np.inf
        for i in range(count):
            ordered_tags[i] = FREE
        for i in range(count):
            value, smaller = near[i], 0
            for j in range(padded):
                smaller += near[j] < value
            place = np.uint64(smaller)
            while ordered_tags[place] != FREE:  # an equal value is there
                place += np.uint64(1)
            ordered[place], ordered_tags[place] = value, near_tags[i]
    else:
        scale = (count - 1) / limit if limit > 0.0 else 0.0
        for b in range(count + 1):
            room[4, b] = 0
        for i in range(count):
            b = int(near[i] * scale)
            room[3, i] = b
            room[4, b + 1] += 1
        for b in range(1, count + 1):
            most = max(most, room[4, b])
            room[4, b] += room[4, b - 1]
        for i in range(count):
            b = room[3, i]
            place = room[4, b]
            room[4, b] = place + 1
            ordered[place] = near[i]
            ordered_tags[place] = near_tags[i]
    gap = 1
    while 3 * gap < most // 8:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            value, tag = ordered[i], ordered_tags[i]
            j = i
            while j >= gap and (
                ordered[j - gap] > value
                or (ordered[j - gap] == value and _follows(ordered_tags[j - gap], tag, shifts))
            ):
                ordered[j], ordered_tags[j] = ordered[j - gap], ordered_tags[j - gap]
                j -= gap
            ordered[j], ordered_tags[j] = value, tag
        gap //= 3


@part
def _follows(one: int, other: int, shifts: Ints) -> bool:
    """Whether a tag comes after another in order of atom, then cell."""
    if one >> ATOM != other >> ATOM:
        return one > other
    a, b = one & CELL, other & CELL
    for axis in range(3):
        if shifts[a, axis] != shifts[b, axis]:
            return bool(shifts[a, axis] > shifts[b, axis])
    return False


@part
def _gather(
    lo: Ints,
    hi: Ints,
    shape: Ints,
    start: Ints,
    members: Ints,
    cell: Floats,
    transform: Ints,
    cx: float,
    cy: float,
    cz: float,
    limit: float,
    room: Room,
) -> int:
    """Copy the points of the bins ``lo .. hi`` that lie in a ball into the block.

    Bins count on over the borders of the cell: those beyond hold the same points, moved by whole cells.

    Returns:
        How many points there are; minus the size that the block must have where it is too small.
    """
    bx, by, bz, tags, shifts = room.block[0], room.block[1], room.block[2], room.tags[0], room.shifts
    px, py, pz = room.cart[0, 0], room.cart[0, 1], room.cart[0, 2]
    na, nb, nc = shape[0], shape[1], shape[2]
    first_b, first_c, last_c = lo[1] // nb, lo[2] // nc, hi[2] // nc
    begin_b, begin_c, end_c = lo[1] - first_b * nb, lo[2] - first_c * nc, hi[2] - last_c * nc
    a = lo[0] // na
    bin_a = lo[0] - a * na
    size, rows = np.uint64(0), 1
    for _ in range(lo[0], hi[0] + 1):
        b, bin_b = first_b, begin_b
        for _ in range(lo[1], hi[1] + 1):
            row = (bin_a * nb + bin_b) * nc
            for c in range(first_c, last_c + 1):
                s0 = start[row + (begin_c if c == first_c else 0)]
                s1 = start[row + (end_c if c == last_c else nc - 1) + 1]
                if s0 == s1:
                    continue
                needed = max(np.int64(size) + s1 - s0, rows) + SPARE
                if needed > len(bx):
                    return -int(needed)
                sx = a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
                sy = a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
                sz = a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
                place = 0
                if a != 0 or b != 0 or c != 0:
                    place, rows = rows, rows + 1
                    for axis in range(3):
                        shifts[place, axis] = (
                            a * transform[0, axis] + b * transform[1, axis] + c * transform[2, axis]
                        )
                for s in range(s0, s1):
                    x, y, z = px[s] + sx, py[s] + sy, pz[s] + sz
                    bx[size], by[size], bz[size] = x, y, z
                    tags[size] = (members[s] << ATOM) + place
                    x, y, z = x - cx, y - cy, z - cz
                    size += np.uint64(x * x + y * y + z * z <= limit)
            bin_b += 1
            if bin_b == nb:
                b, bin_b = b + 1, 0
        bin_a += 1
        if bin_a == na:
            a, bin_a = a + 1, 0
    return int(np.int64(size))


@part
def _extent(
    frac: Floats, which: Ints, first: int, last: int, cart: Floats, cell: Floats, box: Floats
) -> tuple[float, float, float, float]:
    """Write the box (2, 3), fractional, that holds the queries of a bin; return the ball that does, Å."""
    for axis in range(3):
        low = high = frac[axis, which[first]]
        for t in range(first + 1, last):
            low, high = min(low, frac[axis, which[t]]), max(high, frac[axis, which[t]])
        box[0, axis], box[1, axis] = low, high
    a, b, c = (0.5 * (box[0, 0] + box[1, 0]), 0.5 * (box[0, 1] + box[1, 1]), 0.5 * (box[0, 2] + box[1, 2]))
    x = a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0]
    y = a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1]
    z = a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2]
    spread = 0.0
    for t in range(first, last):
        dx, dy, dz = cart[0, t] - x, cart[1, t] - y, cart[2, t] - z
        spread = max(spread, dx * dx + dy * dy + dz * dz)
    return x, y, z, sqrt(spread)


@part
def _wrap(positions: Floats, transform: Ints, inverse: Ints, wrapped: Floats, taken: Ints) -> None:
    """Fractional positions in the reduced cell, [0, 1), and the whole cells that wrapping took off.

    ``taken`` counts those in the given lattice, not in the reduced one.
    """
    for i in range(len(positions)):
        f0, f1, f2 = positions[i, 0], positions[i, 1], positions[i, 2]
        p0 = f0 * inverse[0, 0] + f1 * inverse[1, 0] + f2 * inverse[2, 0]
        p1 = f0 * inverse[0, 1] + f1 * inverse[1, 1] + f2 * inverse[2, 1]
        p2 = f0 * inverse[0, 2] + f1 * inverse[1, 2] + f2 * inverse[2, 2]
        cells = (floor(p0), floor(p1), floor(p2))
        wrapped[0, i], wrapped[1, i], wrapped[2, i] = p0 - cells[0], p1 - cells[1], p2 - cells[2]
        for axis in range(3):
            taken[i, axis] = (
                cells[0] * transform[0, axis] + cells[1] * transform[1, axis] + cells[2] * transform[2, axis]
            )


@part
def _to_cartesian(frac: Floats, order: Ints, count: int, cell: Floats, out: Floats) -> None:
    """Cartesian positions of points in the order that is given."""
    for place in range(count):
        a, b, c = frac[0, order[place]], frac[1, order[place]], frac[2, order[place]]
        for axis in range(3):
            out[axis, place] = a * cell[0, axis] + b * cell[1, axis] + c * cell[2, axis]


@part
def _first_reach(n: int, volume: float, cell: Floats, k: int) -> float:
    """A guess at the k-th distance: the ball that holds k points at the mean density, or translates alone.

    In a needle or a flat cell the ball of the mean density is far too wide, since the copies of a point along
    the short vectors are near: k of them lie within k / 2 steps of a row, or within a square of a net.
    """
    ball = 1.15 * (3.0 * (k + 1) / (4.0 * np.pi) * volume / n) ** (1.0 / 3.0)
    a, b = sqrt(dot(cell, 0, 0)), sqrt(dot(cell, 1, 1))
    row = ceil(k / 2.0) * a
    net = ceil((sqrt(k + 1.0) - 1.0) / 2.0) * (a + b)
    return float(min(ball, min(row, net)) * (1.0 + ROUNDING))


@part
def _grid_shape(height: Floats, width: float, n: int, shape: Ints) -> int:
    """Bins of about a width, Å, but never many more of them than points; returns how many."""
    while True:
        bins = 1.0
        for axis in range(3):
            bins *= max(1.0, height[axis] / width)
        if bins <= MOST_BINS * n + FEW_BINS:
            break
        width *= 1.2
    for axis in range(3):
        shape[axis] = max(1, int(height[axis] / width))
    return int(shape[0] * shape[1] * shape[2])


@part
def _sort_into_bins(
    frac: Floats, m: int, shape: Ints, bins: int, start: Ints, members: Ints, home: Ints
) -> None:
    """Counting sort of m points by bin; the last axis runs fastest.

    ``members[start[bin] : start[bin + 1]]`` receives the points of a bin; ``home`` is room to work in.
    """
    for b in range(bins + 1):
        start[b] = 0
    for i in range(m):
        h = 0
        for axis in range(3):
            h = h * shape[axis] + min(np.int64(frac[axis, i] * shape[axis]), shape[axis] - 1)
        home[i] = h
        start[h] += 1
    total = 0
    for b in range(bins + 1):
        total += start[b]
        start[b] = total
    for i in range(m - 1, -1, -1):
        start[home[i]] -= 1
        members[start[home[i]]] = i


@part
def _crowding(start: Ints, bins: int, n: int) -> float:
    """How many others a point shares its bin with, over how many it would if they were spread evenly."""
    pairs = 0.0
    for b in range(bins):
        inside = float(start[b + 1] - start[b])
        pairs += inside * (inside - 1.0)
    return pairs * bins / (float(n) * n)


FARTHEST = 1e6
"""Coordinates over this many cells from the origin have lost the digits that a distance needs."""

SINGULAR = 1e-8
"""A cell whose volume is below this share of the product of its edges is refused: too few digits are left."""


@part
def _verdict(lattice: Floats, fractional: Floats, free: Floats) -> int:
    """0, or why a structure cannot be searched (``knn.VERDICTS``)."""
    edges = 1.0
    for i in range(3):
        for j in range(3):
            if not np.isfinite(lattice[i, j]):
                return 1
        edges *= sqrt(dot(lattice, i, i))
    if not abs(determinant(lattice)) > SINGULAR * edges:
        return 2
    if len(fractional) == 0:
        return 5
    for verdict, points in ((3, fractional), (6, free)):
        for i in range(len(points)):
            for axis in range(3):
                if not abs(points[i, axis]) <= FARTHEST:
                    return verdict + 1 if np.isfinite(points[i, axis]) else verdict
    return 0
