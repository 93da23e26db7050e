"""The grid: points wrapped into the reduced cell, sorted into bins, gathered from the bins around a query."""

from __future__ import annotations

from math import ceil, floor, sqrt

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, inlined_kernel, kernel
from atomsight.neighbours._simd import LANES, gather_within
from atomsight.neighbours._tags import step
from atomsight.neighbours._workspace import FEW_BINS, MOST_BINS

ROUNDING = 1e-9
"""Share by which blocks are made wider than the bound, far above the rounding of the coordinates."""


@kernel
def wrap(positions: Floats, transform: Ints, inverse: Ints, wrapped: Floats, taken: Ints) -> None:
    """Fractional positions in the reduced cell, [0, 1), and the whole cells that wrapping took off.

    ``taken`` counts those in the caller's lattice, not in the reduced one.
    """
    for i in range(positions.shape[0]):
        f0, f1, f2 = positions[i, 0], positions[i, 1], positions[i, 2]
        p0 = f0 * inverse[0, 0] + f1 * inverse[1, 0] + f2 * inverse[2, 0]
        p1 = f0 * inverse[0, 1] + f1 * inverse[1, 1] + f2 * inverse[2, 1]
        p2 = f0 * inverse[0, 2] + f1 * inverse[1, 2] + f2 * inverse[2, 2]
        w0, w1, w2 = floor(p0), floor(p1), floor(p2)
        wrapped[i, 0], wrapped[i, 1], wrapped[i, 2] = p0 - w0, p1 - w1, p2 - w2
        c0, c1, c2 = np.int64(w0), np.int64(w1), np.int64(w2)
        for axis in range(3):
            taken[i, axis] = c0 * transform[0, axis] + c1 * transform[1, axis] + c2 * transform[2, axis]


@kernel
def to_cartesian(wrapped: Floats, which: Ints, reduced: Floats, xs: Floats, ys: Floats, zs: Floats) -> None:
    """Cartesian coordinates, Å, of ``wrapped[which]``, into separate arrays."""
    for s in range(which.shape[0]):
        a, b, c = wrapped[which[s], 0], wrapped[which[s], 1], wrapped[which[s], 2]
        xs[s] = a * reduced[0, 0] + b * reduced[1, 0] + c * reduced[2, 0]
        ys[s] = a * reduced[0, 1] + b * reduced[1, 1] + c * reduced[2, 1]
        zs[s] = a * reduced[0, 2] + b * reduced[1, 2] + c * reduced[2, 2]


@kernel
def first_reach(n: int, volume: float, reduced: Floats, k: int) -> float:
    """A guess at the k-th distance: the ball that holds k points at the mean density, or translates alone.

    In a needle or a flat cell the ball of the mean density is far too wide, since the copies of a point along
    the short vectors are near: k of them lie within k / 2 steps of a row, or within a square of a net.
    """
    ball = 1.15 * (3.0 * (k + 1) / (4.0 * np.pi) * volume / n) ** (1.0 / 3.0)
    a = sqrt(reduced[0, 0] ** 2 + reduced[0, 1] ** 2 + reduced[0, 2] ** 2)
    b = sqrt(reduced[1, 0] ** 2 + reduced[1, 1] ** 2 + reduced[1, 2] ** 2)
    row = ceil(k / 2.0) * a
    net = ceil((sqrt(k + 1.0) - 1.0) / 2.0) * (a + b)
    return min(ball, min(row, net)) * (1.0 + ROUNDING)


@kernel
def grid_shape(height: Floats, width: float, n: int, shape: Ints) -> int:
    """Bins of about a width, Å, but never many more of them than points; the result is how many."""
    while True:
        bins = 1.0
        for axis in range(3):
            bins *= max(1.0, floor(height[axis] / width))
        if bins <= MOST_BINS * n + FEW_BINS:
            break
        width *= 1.2
    for axis in range(3):
        shape[axis] = max(np.int64(1), np.int64(height[axis] / width))
    return shape[0] * shape[1] * shape[2]


@kernel
def sort_into_bins(
    wrapped: Floats, which: Ints, shape: Ints, bins: int, start: Ints, members: Ints, home: Ints
) -> None:
    """Counting sort of the points ``wrapped[which]`` by bin; the last axis runs fastest.

    ``members[start[bin] : start[bin + 1]]`` receives the positions in ``which`` of the points of a bin;
    ``home``, as long as ``which``, is room to work in.
    """
    m = which.shape[0]
    for b in range(bins + 1):
        start[b] = 0
    for i in range(m):
        a = min(np.int64(wrapped[which[i], 0] * shape[0]), shape[0] - 1)
        b = min(np.int64(wrapped[which[i], 1] * shape[1]), shape[1] - 1)
        c = min(np.int64(wrapped[which[i], 2] * shape[2]), shape[2] - 1)
        home[i] = (a * shape[1] + b) * shape[2] + c
        start[home[i]] += 1
    total = 0
    for i in range(bins + 1):
        total += start[i]
        start[i] = total
    for i in range(m - 1, -1, -1):
        start[home[i]] -= 1
        members[start[home[i]]] = i


@kernel
def room_needed(lo: Ints, hi: Ints, shape: Ints, n: int) -> int:
    """At most how many of n points the bins ``lo .. hi`` hold."""
    points = n
    for axis in range(3):
        points *= hi[axis] // shape[axis] - lo[axis] // shape[axis] + 1
    return points


@inlined_kernel
def gather(
    lo: Ints,
    hi: Ints,
    shape: Ints,
    start: Ints,
    points: tuple[Floats, Floats, Floats, Ints],
    reduced: Floats,
    digits: Ints,
    bits: int,
    centre: tuple[float, float, float],
    limit: float,
    block: tuple[Floats, Floats, Floats, Ints],
) -> int:
    """Copy the points of the bins ``lo .. hi`` that lie in a ball into contiguous arrays.

    Bins count on over the borders of the cell: those beyond hold the same points, moved by whole cells.

    Args:
        lo, hi: (3,), first and last bin along each axis.
        points: x, y, z and tag of the points in the order of the bins, and eight more places behind.
        digits: (3, 3), the cell shift that a tag counts for a step along each vector of ``reduced``.
        bits: of each digit of a tag.
        centre, limit: of the ball; its radius squared.
        block: receives x, y, z and tag.

    Returns:
        The number of points in the block; eight points at infinity follow them.
    """
    na, nb, nc = shape[0], shape[1], shape[2]
    xs, ys, zs, tags = points
    bx, by, bz, block_tags = block
    step_a = step(digits[0, 0], digits[0, 1], digits[0, 2], bits)
    step_b = step(digits[1, 0], digits[1, 1], digits[1, 2], bits)
    step_c = step(digits[2, 0], digits[2, 1], digits[2, 2], bits)
    cell_a, bin_a = lo[0] // na, lo[0] % na
    first_cell_b, first_bin_b = lo[1] // nb, lo[1] % nb
    first_cell_c, first_bin_c = lo[2] // nc, lo[2] % nc
    size = 0
    for _ in range(lo[0], hi[0] + 1):
        cell_b, bin_b = first_cell_b, first_bin_b
        for _ in range(lo[1], hi[1] + 1):
            row = (bin_a * nb + bin_b) * nc
            cell_c, bin_c = first_cell_c, first_bin_c
            left = hi[2] - lo[2] + 1
            while left > 0:
                taken = min(left, nc - bin_c)
                first, last = start[row + bin_c], start[row + bin_c + taken]
                if first < last:
                    sx = cell_a * reduced[0, 0] + cell_b * reduced[1, 0] + cell_c * reduced[2, 0]
                    sy = cell_a * reduced[0, 1] + cell_b * reduced[1, 1] + cell_c * reduced[2, 1]
                    sz = cell_a * reduced[0, 2] + cell_b * reduced[1, 2] + cell_c * reduced[2, 2]
                    moved = cell_a * step_a + cell_b * step_b + cell_c * step_c
                    for s in range(first, last, LANES):
                        size = gather_within(
                            xs, ys, zs, tags, s, last, sx, sy, sz, moved,
                            centre[0], centre[1], centre[2], limit, bx, by, bz, block_tags, size,
                        )  # fmt: skip
                left -= taken
                cell_c, bin_c = cell_c + 1, 0
            bin_b += 1
            if bin_b == nb:
                cell_b, bin_b = cell_b + 1, 0
        bin_a += 1
        if bin_a == na:
            cell_a, bin_a = cell_a + 1, 0
    for j in range(size, size + LANES):
        bx[j] = by[j] = bz[j] = np.inf
    return size
