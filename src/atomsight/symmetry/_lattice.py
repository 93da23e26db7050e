"""Lattice arithmetic for compiled kernels: inverse, reduction and symmetries of a 3 x 3 cell.

Written out in scalars: on matrices this small, array expressions cost more in allocation than in arithmetic.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled


@compiled
def determinant(m: NDArray[np.float64]) -> float:
    """Signed volume of the cell whose vectors are the rows of m."""
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@compiled
def fill_lattice(parameters: NDArray[np.float64], lattice: NDArray[np.float64]) -> bool:
    """Rows of the cell vectors from a, b, c in Å and α, β, γ in °: a along x, b in the xy plane.

    Whether the cell has a volume; where not, nothing is filled in.
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


@compiled
def inverse(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a 3 x 3 matrix by cofactors; m must not be singular."""
    out = np.empty((3, 3))
    scale = 1.0 / determinant(m)
    for i in range(3):
        for j in range(3):
            a, b, c, d = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            out[i, j] = (m[a, c] * m[b, d] - m[a, d] * m[b, c]) * scale
    return out


@compiled
def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix product of (n, 3) and (3, 3)."""
    out = np.empty((len(a), 3))
    for i in range(len(a)):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
    return out


@compiled(inline="always")
def dot(m: NDArray[np.float64], i: int, j: int) -> float:
    """Scalar product of two rows of m."""
    return m[i, 0] * m[j, 0] + m[i, 1] * m[j, 1] + m[i, 2] * m[j, 2]


@compiled
def reduce_lattice(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minkowski-reduced basis of the same lattice, rows ascending in length.

    Repeatedly shortens the longest vector by the closest point of the plane lattice of the other two
    (Semaev 2001, 10.1007/3-540-44670-2_13). Every lattice vector as short as a basis vector then has
    coefficients -1, 0 or 1.
    """
    basis = lattice.copy()
    for _ in range(1000):
        for i in range(2):  # by length, ascending
            for j in range(2 - i):
                if dot(basis, j, j) > dot(basis, j + 1, j + 1):
                    for c in range(3):
                        basis[j, c], basis[j + 1, c] = basis[j + 1, c], basis[j, c]
        aa, ab, bb = dot(basis, 0, 0), dot(basis, 0, 1), dot(basis, 1, 1)
        shift = math.floor(ab / aa + 0.5)
        if bb - 2.0 * shift * ab + shift * shift * aa < bb * (1.0 - 1e-12):
            for c in range(3):
                basis[1, c] -= shift * basis[0, c]
            continue
        ac, bc, cc = dot(basis, 0, 2), dot(basis, 1, 2), dot(basis, 2, 2)
        scale = aa * bb - ab * ab
        y0 = math.floor((ac * bb - bc * ab) / scale + 0.5)
        y1 = math.floor((bc * aa - ac * ab) / scale + 0.5)
        best = cc * (1.0 - 1e-12)
        n0, n1 = 0.0, 0.0
        for i in range(-1, 2):
            for j in range(-1, 2):
                p, q = y0 + i, y1 + j
                length = cc + p * p * aa + q * q * bb - 2.0 * (p * ac + q * bc - p * q * ab)
                if length < best:
                    best = length
                    n0, n1 = p, q
        if n0 == 0.0 and n1 == 0.0:
            return basis
        for c in range(3):
            basis[2, c] -= n0 * basis[0, c] + n1 * basis[1, c]
    return basis


@compiled
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
