"""Filling the cell: every copy of the asymmetric unit's sites under the file's operations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.geometry.jit import compiled, part


@dataclass(frozen=True)
class Expansion:
    """All atoms of a cell.

    Attributes:
        fractional: (n, 3) float64 in [0, 1), the copies of a site one after another.
        orbits: (n,) int32, the site that each atom is a copy of.
    """

    fractional: NDArray[np.float64]
    orbits: NDArray[np.int32]


def expand(
    lattice: ArrayLike,
    fractional: ArrayLike,
    rotations: ArrayLike,
    translations: ArrayLike,
    tolerance: ArrayLike = 0.4,
    max_atoms: int = 20_000,
) -> Expansion | None:
    """Every copy of m sites under g operations; None where there are more than `max_atoms`.

    Copies of a site that lie within `tolerance` of it are the same atom on a special position. The site is
    first moved to the mean of those copies, which its site symmetry leaves in place, so that coordinates
    rounded in the file (0.3333) give copies that coincide, and distances that symmetry makes equal come out
    equal.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (m, 3), the asymmetric unit.
        rotations: (g, 3, 3); x goes to ``rotation @ x + translation``.
        translations: (g, 3); the whole group, centring translations included.
        tolerance: Å, one for all sites or (m,).
        max_atoms: limit on the number of copies.
    """
    cell = np.ascontiguousarray(lattice, np.float64)
    points = np.ascontiguousarray(fractional, np.float64)
    reach = np.empty(len(points))
    reach[:] = tolerance
    copies, orbits = _expand(
        cell,
        points,
        np.ascontiguousarray(rotations, np.float64),
        np.ascontiguousarray(translations, np.float64),
        reach,
        max_atoms,
    )
    return None if len(orbits) > max_atoms else Expansion(copies, orbits)


@part
def _square(lattice: NDArray[np.float64], d0: float, d1: float, d2: float) -> float:
    c0 = d0 * lattice[0, 0] + d1 * lattice[1, 0] + d2 * lattice[2, 0]
    c1 = d0 * lattice[0, 1] + d1 * lattice[1, 1] + d2 * lattice[2, 1]
    c2 = d0 * lattice[0, 2] + d1 * lattice[1, 2] + d2 * lattice[2, 2]
    return float(c0 * c0 + c1 * c1 + c2 * c2)


@compiled(small=700)
def _expand(
    lattice: NDArray[np.float64],
    points: NDArray[np.float64],
    rotations: NDArray[np.float64],
    translations: NDArray[np.float64],
    tolerance: NDArray[np.float64],
    max_atoms: int,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    g, m = len(rotations), len(points)
    room = min(m * g, max_atoms + g)
    out = np.empty((room, 3))
    orbits = np.empty(room, np.int32)
    count = 0
    x = np.empty(3)
    mean = np.empty(3)
    image = np.empty(3)
    for s in range(m):
        limit = tolerance[s] * tolerance[s]
        x[:] = points[s]
        held = 0
        for _ in range(4):  # moving the site may bring further copies within reach
            stabiliser = 0
            mean[:] = 0.0
            for q in range(g):
                for c in range(3):
                    v = translations[q, c] - x[c]
                    for d in range(3):
                        v += rotations[q, c, d] * x[d]
                    image[c] = v - math.floor(v + 0.5)
                if _square(lattice, image[0], image[1], image[2]) <= limit:
                    stabiliser += 1
                    for c in range(3):
                        mean[c] += image[c]
            if stabiliser <= held or stabiliser == 1:
                break
            held = stabiliser
            for c in range(3):
                x[c] += mean[c] / stabiliser
        first = count
        for q in range(g):
            for c in range(3):
                v = translations[q, c]
                for d in range(3):
                    v += rotations[q, c, d] * x[d]
                v -= math.floor(v)
                image[c] = v if v < 1.0 else 0.0
            same = False
            for i in range(first, count):
                d0, d1, d2 = image[0] - out[i, 0], image[1] - out[i, 1], image[2] - out[i, 2]
                d0 -= math.floor(d0 + 0.5)
                d1 -= math.floor(d1 + 0.5)
                d2 -= math.floor(d2 + 0.5)
                if _square(lattice, d0, d1, d2) <= limit:
                    same = True
                    break
            if not same:
                out[count] = image
                orbits[count] = s
                count += 1
        if count > max_atoms:
            break
    return out[:count].copy(), orbits[:count].copy()
