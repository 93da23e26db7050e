"""Lattice reduction: a compact basis of the same lattice, for the neighbour search and the symmetry search.

The functions are kernels. Called from Python they run as Python, which takes about 0.2 ms.
"""

from __future__ import annotations

import math
from math import floor, sqrt

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.jit import part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHORTER = 1.0 - 1e-12
"""A vector counts as shorter when its squared length is below this share of the other's."""


@part
def reduce_cell(lattice: Floats, reduced: Floats, transform: Ints) -> None:
    """Minkowski-reduce a lattice by the greedy algorithm, which is exact in three dimensions.

    Every lattice vector as short as a basis vector then has coefficients -1, 0 or 1. See Nguyen and Stehlé,
    Low-dimensional lattice basis reduction revisited, 10.1145/1597036.1597050.

    Args:
        lattice: (3, 3), rows are the cell vectors.
        reduced: (3, 3), receives ``transform @ lattice``; rows in ascending length.
        transform: (3, 3), receives the unimodular matrix.
    """
    for i in range(3):
        for j in range(3):
            transform[i, j] = i == j
            reduced[i, j] = lattice[i, j]
    for _ in range(200):
        _sort(reduced, transform, 0, 1)
        _sort(reduced, transform, 1, 2)
        _sort(reduced, transform, 0, 1)
        changed = False
        for _ in range(200):  # Gauss: the two shortest rows against each other
            shift = floor(dot(reduced, 0, 1) / dot(reduced, 0, 0) + 0.5)
            if shift == 0 or not _subtract(lattice, reduced, transform, 1, shift, 0):
                break
            changed = True
            _sort(reduced, transform, 0, 1)
        # The third row against the closest point of the plane lattice of the other two.
        g00, g01, g11 = dot(reduced, 0, 0), dot(reduced, 0, 1), dot(reduced, 1, 1)
        g02, g12 = dot(reduced, 0, 2), dot(reduced, 1, 2)
        det = g00 * g11 - g01 * g01
        base0 = floor((g11 * g02 - g01 * g12) / det)
        base1 = floor((g00 * g12 - g01 * g02) / det)
        best, best0, best1 = dot(reduced, 2, 2) * SHORTER, 0, 0
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
    _sort(reduced, transform, 0, 1)
    _sort(reduced, transform, 1, 2)
    _sort(reduced, transform, 0, 1)


@part
def invert_transform(matrix: Ints, inverse: Ints) -> None:
    """Write the inverse of a (3, 3) integer matrix of determinant 1 or -1, which is exact."""
    for i in range(3):
        p, q = (i + 1) % 3, (i + 2) % 3
        for j in range(3):
            r, s = (j + 1) % 3, (j + 2) % 3
            inverse[j, i] = matrix[p, r] * matrix[q, s] - matrix[p, s] * matrix[q, r]
    det = matrix[0, 0] * inverse[0, 0] + matrix[0, 1] * inverse[1, 0] + matrix[0, 2] * inverse[2, 0]
    for i in range(3):
        for j in range(3):
            inverse[i, j] *= det


@part
def face_distances(reduced: Floats, out: Floats) -> float:
    """Write the distances between opposite faces of a cell into ``out`` (3,); return its volume."""
    volume = abs(determinant(reduced))
    for i in range(3):
        p, q = (i + 1) % 3, (i + 2) % 3
        x = reduced[p, 1] * reduced[q, 2] - reduced[p, 2] * reduced[q, 1]
        y = reduced[p, 2] * reduced[q, 0] - reduced[p, 0] * reduced[q, 2]
        z = reduced[p, 0] * reduced[q, 1] - reduced[p, 1] * reduced[q, 0]
        out[i] = volume / sqrt(x * x + y * y + z * z)
    return volume


@part
def determinant(m: Floats) -> float:
    """Signed volume of the cell whose vectors are the rows of m."""
    return float(
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@part
def dot(rows: Floats, i: int, j: int) -> float:
    """Scalar product of two rows of a matrix."""
    return float(rows[i, 0] * rows[j, 0] + rows[i, 1] * rows[j, 1] + rows[i, 2] * rows[j, 2])


@part
def _subtract(lattice: Floats, reduced: Floats, transform: Ints, row: int, shift0: int, shift1: int) -> bool:
    """Take multiples of the first two rows from a row if that makes it shorter; return whether it does.

    The row is computed from the integer transform, so that rounding errors do not add up.
    """
    old = dot(reduced, row, row)
    for sign in (1, -1):
        for j in range(3):
            transform[row, j] -= sign * shift0 * transform[0, j]
            if shift1 != 0:
                transform[row, j] -= sign * shift1 * transform[1, j]
        for j in range(3):
            reduced[row, j] = (
                transform[row, 0] * lattice[0, j]
                + transform[row, 1] * lattice[1, j]
                + transform[row, 2] * lattice[2, j]
            )
        if sign == 1 and dot(reduced, row, row) < old * SHORTER:
            return True
    return False


@part
def _sort(reduced: Floats, transform: Ints, i: int, j: int) -> None:
    if dot(reduced, j, j) < dot(reduced, i, i):
        for axis in range(3):
            reduced[i, axis], reduced[j, axis] = reduced[j, axis], reduced[i, axis]
            transform[i, axis], transform[j, axis] = transform[j, axis], transform[i, axis]


@part(allocates=True)
def fill_lattice(parameters: NDArray[np.float64], lattice: NDArray[np.float64]) -> bool:
    """Write the cell vectors from a, b, c in Å and α, β, γ in °: a along x, b in the xy plane.

    Returns:
        Whether the cell has a volume; where not, nothing is written.
    """
    cosines = np.zeros(3)
    for i in range(3):
        if parameters[3 + i] != 90.0:
            cosines[i] = math.cos(math.radians(parameters[3 + i]))
    cos_a, cos_b, cos_g = cosines
    square = 1 - cos_a * cos_a - cos_b * cos_b - cos_g * cos_g + 2 * cos_a * cos_b * cos_g
    if not square >= 1e-8:
        return False
    a, b, c = parameters[0], parameters[1], parameters[2]
    sin_g = math.sqrt(1 - cos_g * cos_g)
    lattice[:] = 0.0
    lattice[0, 0] = a
    lattice[1, 0], lattice[1, 1] = b * cos_g, b * sin_g
    lattice[2, 0], lattice[2, 1] = c * cos_b, c * (cos_a - cos_b * cos_g) / sin_g
    lattice[2, 2] = c * math.sqrt(square) / sin_g
    return True


@part(allocates=True)
def inverse(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a 3 x 3 matrix by cofactors; m must not be singular."""
    out = np.empty((3, 3))
    scale = 1.0 / determinant(m)
    for i in range(3):
        for j in range(3):
            a, b, c, d = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            out[i, j] = (m[a, c] * m[b, d] - m[a, d] * m[b, c]) * scale
    return out


@part(allocates=True)
def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix product of (n, 3) and (3, 3)."""
    out = np.empty((len(a), 3))
    for i in range(len(a)):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
    return out


@part(allocates=True)
def reduce_lattice(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minkowski-reduced basis of the same lattice, rows ascending in length; see `reduce_cell`."""
    reduced, transform = np.empty((3, 3)), np.empty((3, 3), np.int64)
    reduce_cell(lattice, reduced, transform)
    return reduced


@part(allocates=True)
def lattice_symmetries(basis: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """(g, 3, 3) integer matrices R (as floats) that carry a reduced basis onto itself, identity first.

    A point with fractional coordinates x goes to R x. Two vectors count as equal in length within
    `tolerance`, Å, and an angle may differ by what moves the tip of a vector by as much.
    """
    lengths = np.empty(3)
    for i in range(3):
        lengths[i] = math.sqrt(dot(basis, i, i))
    vectors = np.empty((26, 3))
    n = 0
    for i in range(-1, 2):
        for j in range(-1, 2):
            for k in range(-1, 2):
                if i != 0 or j != 0 or k != 0:
                    vectors[n, 0], vectors[n, 1], vectors[n, 2] = i, j, k
                    n += 1
    cartesian = product(vectors, basis)
    fits = np.zeros((3, 26), np.bool_)
    for v in range(26):
        length = math.sqrt(dot(cartesian, v, v))
        for a in range(3):
            fits[a, v] = abs(length - lengths[a]) <= tolerance
    g01, g02, g12 = dot(basis, 0, 1), dot(basis, 0, 2), dot(basis, 1, 2)
    t01 = tolerance * (lengths[0] + lengths[1])
    t02 = tolerance * (lengths[0] + lengths[2])
    t12 = tolerance * (lengths[1] + lengths[2])
    out = np.zeros((48, 3, 3))
    out[0, 0, 0] = out[0, 1, 1] = out[0, 2, 2] = 1.0
    matrix = np.empty((3, 3))
    count = 1
    for u in range(26):
        if not fits[0, u]:
            continue
        for v in range(26):
            if not fits[1, v] or abs(dot(cartesian, u, v) - g01) > t01:
                continue
            for w in range(26):
                if not fits[2, w] or abs(dot(cartesian, u, w) - g02) > t02:
                    continue
                if abs(dot(cartesian, v, w) - g12) > t12:
                    continue
                # Basis vector a goes to the lattice vector with coefficients in column a.
                same = True
                for c in range(3):
                    matrix[c, 0], matrix[c, 1], matrix[c, 2] = vectors[u, c], vectors[v, c], vectors[w, c]
                    for d in range(3):
                        same = same and matrix[c, d] == out[0, c, d]
                if same or abs(abs(determinant(matrix)) - 1.0) > 0.5:
                    continue
                if count < 48:
                    out[count] = matrix
                    count += 1
    return out[:count]
