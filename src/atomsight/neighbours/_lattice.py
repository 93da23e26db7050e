"""Lattice reduction: any cell to a compact one, so that a skewed cell costs no more than a compact one."""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, kernel

SINGULAR = 1e-8
"""A cell whose volume is below this share of the product of its edges is refused: too few digits are left."""


@kernel
def reduce_lattice(lattice: Floats, reduced: Floats, transform: Ints, inverse: Ints) -> None:
    """Minkowski-reduce a lattice by the greedy algorithm, exact in three dimensions.

    Nguyen and Stehlé, Low-dimensional lattice basis reduction revisited, 10.1145/1597036.1597050. The result
    decides the speed of the search, never its correctness: any unimodular transform gives the same points.

    Args:
        lattice: (3, 3) float64, rows are the cell vectors.
        reduced: (3, 3) float64, receives ``transform @ lattice``; rows in ascending length.
        transform: (3, 3) int64, receives the unimodular matrix.
        inverse: (3, 3) int64, receives its inverse.
    """
    transform[:] = 0
    for i in range(3):
        transform[i, i] = 1
        for j in range(3):
            reduced[i, j] = lattice[i, j]

    for _ in range(200):
        _sort_rows(reduced, transform)
        changed = False
        # Gauss: the two shortest rows against each other.
        for _ in range(200):
            dot = _dot(reduced, 0, 1)
            shift = floor(dot / _dot(reduced, 0, 0) + 0.5)
            if shift == 0.0 or not _subtract(lattice, reduced, transform, 1, shift, 0.0):
                break
            changed = True
            _sort_two(reduced, transform, 0, 1)
        # The third against the point of their plane lattice closest to it.
        g00, g01, g11 = _dot(reduced, 0, 0), _dot(reduced, 0, 1), _dot(reduced, 1, 1)
        g02, g12 = _dot(reduced, 0, 2), _dot(reduced, 1, 2)
        det = g00 * g11 - g01 * g01
        base0 = floor((g11 * g02 - g01 * g12) / det)
        base1 = floor((g00 * g12 - g01 * g02) / det)
        best, best0, best1 = _dot(reduced, 2, 2) * (1.0 - 1e-12), 0.0, 0.0
        for i in range(-1, 3):
            for j in range(-1, 3):
                length = 0.0
                for axis in range(3):
                    x = reduced[2, axis] - (base0 + i) * reduced[0, axis] - (base1 + j) * reduced[1, axis]
                    length += x * x
                if length < best:
                    best, best0, best1 = length, base0 + i, base1 + j
        if best0 != 0 or best1 != 0:
            changed = _subtract(lattice, reduced, transform, 2, best0, best1) or changed
        if not changed:
            break
    _sort_rows(reduced, transform)
    _invert(transform, inverse)


@kernel
def heights(reduced: Floats, out: Floats) -> float:
    """Distances between opposite faces of a cell, into ``out`` (3,), and its volume as the result."""
    volume = abs(
        reduced[0, 0] * (reduced[1, 1] * reduced[2, 2] - reduced[1, 2] * reduced[2, 1])
        - reduced[0, 1] * (reduced[1, 0] * reduced[2, 2] - reduced[1, 2] * reduced[2, 0])
        + reduced[0, 2] * (reduced[1, 0] * reduced[2, 1] - reduced[1, 1] * reduced[2, 0])
    )
    for i in range(3):
        p, q = (i + 1) % 3, (i + 2) % 3
        x = reduced[p, 1] * reduced[q, 2] - reduced[p, 2] * reduced[q, 1]
        y = reduced[p, 2] * reduced[q, 0] - reduced[p, 0] * reduced[q, 2]
        z = reduced[p, 0] * reduced[q, 1] - reduced[p, 1] * reduced[q, 0]
        out[i] = volume / sqrt(x * x + y * y + z * z)
    return volume


@kernel
def _dot(rows: Floats, i: int, j: int) -> float:
    return rows[i, 0] * rows[j, 0] + rows[i, 1] * rows[j, 1] + rows[i, 2] * rows[j, 2]


@kernel
def _subtract(
    lattice: Floats, reduced: Floats, transform: Ints, row: int, shift0: float, shift1: float
) -> bool:
    """Take multiples of the first two rows from a row if that makes it shorter; False if it does not.

    The row is made anew from the whole-numbered transform, so that rounding never piles up.
    """
    old = _dot(reduced, row, row)
    before = (transform[row, 0], transform[row, 1], transform[row, 2])
    for j in range(3):
        transform[row, j] -= np.int64(shift0) * transform[0, j]
        if shift1 != 0:
            transform[row, j] -= np.int64(shift1) * transform[1, j]
    _remake(lattice, reduced, transform, row)
    if _dot(reduced, row, row) < old * (1.0 - 1e-12):
        return True
    for j in range(3):
        transform[row, j] = before[j]
    _remake(lattice, reduced, transform, row)
    return False


@kernel
def _remake(lattice: Floats, reduced: Floats, transform: Ints, row: int) -> None:
    for j in range(3):
        reduced[row, j] = (
            transform[row, 0] * lattice[0, j]
            + transform[row, 1] * lattice[1, j]
            + transform[row, 2] * lattice[2, j]
        )


@kernel
def _sort_two(reduced: Floats, transform: Ints, i: int, j: int) -> None:
    if _dot(reduced, j, j) < _dot(reduced, i, i):
        for axis in range(3):
            reduced[i, axis], reduced[j, axis] = reduced[j, axis], reduced[i, axis]
            transform[i, axis], transform[j, axis] = transform[j, axis], transform[i, axis]


@kernel
def _sort_rows(reduced: Floats, transform: Ints) -> None:
    _sort_two(reduced, transform, 0, 1)
    _sort_two(reduced, transform, 1, 2)
    _sort_two(reduced, transform, 0, 1)


@kernel
def _invert(matrix: Ints, inverse: Ints) -> None:
    """Inverse of a whole-numbered matrix of determinant 1 or -1, exactly, from its cofactors."""
    for i in range(3):
        p, q = (i + 1) % 3, (i + 2) % 3
        for j in range(3):
            r, s = (j + 1) % 3, (j + 2) % 3
            inverse[j, i] = matrix[p, r] * matrix[q, s] - matrix[p, s] * matrix[q, r]
    det = matrix[0, 0] * inverse[0, 0] + matrix[0, 1] * inverse[1, 0] + matrix[0, 2] * inverse[2, 0]
    for i in range(3):
        for j in range(3):
            inverse[i, j] *= det
