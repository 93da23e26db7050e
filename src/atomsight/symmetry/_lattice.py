"""Lattice arithmetic for compiled kernels: inverse, volume and reduction of a 3 x 3 cell."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def determinant(m: NDArray[np.float64]) -> float:
    """Signed volume of the cell whose vectors are the rows of m."""
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@njit(cache=True)
def inverse(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a 3 x 3 matrix by cofactors; m must not be singular."""
    out = np.empty((3, 3))
    scale = 1.0 / determinant(m)
    for i in range(3):
        for j in range(3):
            a, b, c, d = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            out[i, j] = (m[a, c] * m[b, d] - m[a, d] * m[b, c]) * scale
    return out


@njit(cache=True)
def reduce_lattice(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minkowski-reduced basis of the same lattice, rows ascending in length.

    Reduction by repeated shortening of the longest vector by the closest point of the plane lattice of the
    other two (Semaev 2001, 10.1007/3-540-44670-2_13). Every lattice vector as short as a basis vector then
    has coefficients -1, 0 or 1.
    """
    basis = lattice.copy()
    for _ in range(200):
        for i in range(2):  # by length, ascending
            for j in range(2 - i):
                if (basis[j] ** 2).sum() > (basis[j + 1] ** 2).sum():
                    for c in range(3):
                        basis[j, c], basis[j + 1, c] = basis[j + 1, c], basis[j, c]
        aa = (basis[0] ** 2).sum()
        ab = (basis[0] * basis[1]).sum()
        shift = math.floor(ab / aa + 0.5)
        if shift != 0.0:
            shorter = basis[1] - shift * basis[0]
            if (shorter**2).sum() < (basis[1] ** 2).sum() * (1 - 1e-12):
                basis[1] = shorter
                continue
        bb = (basis[1] ** 2).sum()
        ac = (basis[0] * basis[2]).sum()
        bc = (basis[1] * basis[2]).sum()
        scale = aa * bb - ab * ab
        y0 = math.floor((ac * bb - bc * ab) / scale + 0.5)
        y1 = math.floor((bc * aa - ac * ab) / scale + 0.5)
        best = (basis[2] ** 2).sum() * (1 - 1e-12)
        n0, n1 = 0.0, 0.0
        for i in range(-1, 2):
            for j in range(-1, 2):
                length = ((basis[2] - (y0 + i) * basis[0] - (y1 + j) * basis[1]) ** 2).sum()
                if length < best:
                    best = length
                    n0, n1 = y0 + i, y1 + j
        if n0 == 0.0 and n1 == 0.0:
            return basis
        basis[2] = basis[2] - n0 * basis[0] - n1 * basis[1]
    return basis


@njit(cache=True)
def lattice_symmetries(basis: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """(g, 3, 3) integer matrices R (as floats) that carry a reduced basis onto itself, identity first.

    A point with fractional coordinates x goes to R x. Two vectors count as equal in length within
    `tolerance`, Å, and an angle may differ by what moves the tip of a vector by as much.
    """
    metric = basis @ basis.T
    lengths = np.sqrt(np.diag(metric))
    vectors = np.empty((26, 3))
    n = 0
    for i in range(-1, 2):
        for j in range(-1, 2):
            for k in range(-1, 2):
                if i != 0 or j != 0 or k != 0:
                    vectors[n, 0], vectors[n, 1], vectors[n, 2] = i, j, k
                    n += 1
    cartesian = vectors @ basis
    squares = (cartesian**2).sum(axis=1)
    fits = np.zeros((3, 26), np.bool_)
    for a in range(3):
        for v in range(26):
            fits[a, v] = abs(math.sqrt(squares[v]) - lengths[a]) <= tolerance
    out = np.empty((48, 3, 3))
    out[0] = np.eye(3)
    count = 1
    for u in range(26):
        if not fits[0, u]:
            continue
        for v in range(26):
            if not fits[1, v]:
                continue
            dot = (cartesian[u] * cartesian[v]).sum()
            if abs(dot - metric[0, 1]) > tolerance * (lengths[0] + lengths[1]):
                continue
            for w in range(26):
                if not fits[2, w]:
                    continue
                dot = (cartesian[u] * cartesian[w]).sum()
                if abs(dot - metric[0, 2]) > tolerance * (lengths[0] + lengths[2]):
                    continue
                dot = (cartesian[v] * cartesian[w]).sum()
                if abs(dot - metric[1, 2]) > tolerance * (lengths[1] + lengths[2]):
                    continue
                # Basis vector a goes to the lattice vector with coefficients M[a]: coordinates transform by M
                # transposed.
                matrix = np.empty((3, 3))
                for c in range(3):
                    matrix[c, 0], matrix[c, 1], matrix[c, 2] = vectors[u, c], vectors[v, c], vectors[w, c]
                if abs(abs(determinant(matrix)) - 1.0) > 0.5 or np.abs(matrix - out[0]).max() == 0.0:
                    continue
                if count < 48:
                    out[count] = matrix
                    count += 1
    return out[:count]
