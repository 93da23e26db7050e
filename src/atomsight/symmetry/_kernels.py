"""Compiled core of the symmetry search: does an operation carry a periodic set onto itself, and where to?"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from atomsight.symmetry._lattice import inverse, lattice_symmetries, reduce_lattice

# Points are sorted by the integer combination 2x + 3y + 5z of their fractional coordinates, modulo 1. Being
# an integer combination it is the same for every periodic copy, so that a wanted position is found by
# bisection alone.
_H0, _H1, _H2 = 2.0, 3.0, 5.0


@njit(cache=True, inline="always")
def _key(x: float, y: float, z: float) -> float:
    value = _H0 * x + _H1 * y + _H2 * z
    return value - math.floor(value)


@njit(cache=True)
def sort_points(
    lattice: NDArray[np.float64], points: NDArray[np.float64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Order of the points by key within each class (bounded by `starts`), the keys, and their slope, 1/Å."""
    n = len(points)
    keys = np.empty(n)
    for i in range(n):
        keys[i] = _key(points[i, 0], points[i, 1], points[i, 2])
    order = np.empty(n, np.int64)
    for c in range(len(starts) - 1):
        s, e = starts[c], starts[c + 1]
        order[s:e] = np.argsort(keys[s:e]) + s
    reciprocal = inverse(lattice)
    slope = 0.0
    for c in range(3):
        slope += (reciprocal[c, 0] * _H0 + reciprocal[c, 1] * _H1 + reciprocal[c, 2] * _H2) ** 2
    return order, keys[order], math.sqrt(slope)


@njit(cache=True)
def carry(
    lattice: NDArray[np.float64],
    points: NDArray[np.float64],
    keys: NDArray[np.float64],
    starts: NDArray[np.int64],
    slope: float,
    rotation: NDArray[np.float64],
    shift: NDArray[np.float64],
    tolerance: float,
    image: NDArray[np.int64],
    displacement: NDArray[np.float64],
) -> bool:
    """Whether ``rotation @ x + shift`` carries every point onto one of its class; fills `image` with which.

    The shift comes from a single pair of points and carries their rounding: points are matched within twice
    the tolerance, the mean displacement is taken off, and what remains must stay within the tolerance.
    """
    n = len(points)
    reach = 2.0 * tolerance
    window = min(reach * slope, 0.499)
    mean0, mean1, mean2 = 0.0, 0.0, 0.0
    for c in range(len(starts) - 1):
        s, e = starts[c], starts[c + 1]
        for i in range(s, e):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            u = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z + shift[0]
            v = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z + shift[1]
            w = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z + shift[2]
            low = _key(u, v, w) - window
            high = low + 2.0 * window
            if low < 0.0:
                low += 1.0
                high += 1.0
            a, b = s, e
            while a < b:
                middle = (a + b) >> 1
                if keys[middle] < low:
                    a = middle + 1
                else:
                    b = middle
            nearest = reach * reach
            found = -1
            g0, g1, g2 = 0.0, 0.0, 0.0
            turn = 0.0
            for _ in range(e - s):
                if a == e:
                    a = s
                    turn = 1.0
                if keys[a] + turn > high:
                    break
                d0, d1, d2 = points[a, 0] - u, points[a, 1] - v, points[a, 2] - w
                d0 -= math.floor(d0 + 0.5)
                d1 -= math.floor(d1 + 0.5)
                d2 -= math.floor(d2 + 0.5)
                c0 = d0 * lattice[0, 0] + d1 * lattice[1, 0] + d2 * lattice[2, 0]
                c1 = d0 * lattice[0, 1] + d1 * lattice[1, 1] + d2 * lattice[2, 1]
                c2 = d0 * lattice[0, 2] + d1 * lattice[1, 2] + d2 * lattice[2, 2]
                square = c0 * c0 + c1 * c1 + c2 * c2
                if square < nearest:
                    nearest = square
                    found = a
                    g0, g1, g2 = c0, c1, c2
                a += 1
            if found < 0:
                return False
            image[i] = found
            displacement[i, 0], displacement[i, 1], displacement[i, 2] = g0, g1, g2
            mean0 += g0
            mean1 += g1
            mean2 += g2
    mean0 /= n
    mean1 /= n
    mean2 /= n
    limit = tolerance * tolerance
    for i in range(n):
        square = (
            (displacement[i, 0] - mean0) ** 2
            + (displacement[i, 1] - mean1) ** 2
            + (displacement[i, 2] - mean2) ** 2
        )
        if square > limit:
            return False
    return True


@njit(cache=True)
def root(parent: NDArray[np.int64], i: int) -> int:
    """The representative of i's set in a union-find forest, with path halving."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def join(parent: NDArray[np.int64], i: int, j: int) -> None:
    """Unite two sets; the smaller index represents the union."""
    a, b = root(parent, i), root(parent, j)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@njit(cache=True)
def finer_lattice(
    lattice: NDArray[np.float64], shift: NDArray[np.float64], order: int
) -> NDArray[np.float64]:
    """Basis of the lattice that `lattice` and a translation of the given order generate together."""
    rows = np.zeros((4, 3), np.int64)
    for i in range(3):
        rows[i, i] = order
        rows[3, i] = round(shift[i] * order)
    for column in range(3):
        while True:  # Euclid's algorithm on the rows: one nonzero entry is left in this column
            pivot = -1
            for r in range(column, 4):
                if rows[r, column] != 0 and (pivot < 0 or abs(rows[r, column]) < abs(rows[pivot, column])):
                    pivot = r
            for c in range(3):
                rows[column, c], rows[pivot, c] = rows[pivot, c], rows[column, c]
            done = True
            for r in range(column + 1, 4):
                factor = rows[r, column] // rows[column, column]
                for c in range(3):
                    rows[r, c] -= factor * rows[column, c]
                done = done and rows[r, column] == 0
            if done:
                break
    return (rows[:3].astype(np.float64) / order) @ lattice


@njit(cache=True)
def orbits_of(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    starts: NDArray[np.int64],
    tolerance: float,
) -> NDArray[np.int64]:
    """Representative of each point's orbit under every operation that keeps the set, classes apart.

    Points are grouped by class, the smallest class first. Translations are taken out first: whenever one is
    found the cell is replaced by the smaller one that it generates, so that at the end the cell is primitive
    and its group has at most 48 operations. An operation must carry the first point onto some point of its
    class, which leaves few candidates, and a wrong one fails after a few points.
    """
    total = len(fractional)
    parent = np.arange(total)
    kept = np.arange(total)  # the points that stand for all in the current cell
    cell = reduce_lattice(lattice)
    points = fractional @ (lattice @ inverse(cell))
    bounds = starts.copy()
    identity = np.eye(3)
    while True:
        n = len(points)
        sorting, keys, slope = sort_points(cell, points, bounds)
        points = points[sorting]
        kept = kept[sorting]
        image = np.empty(n, np.int64)
        moved = np.empty((n, 3))
        translation = -1
        for q in range(1, bounds[1]):
            shift = points[q] - points[0]
            if carry(cell, points, keys, bounds, slope, identity, shift, tolerance, image, moved):
                translation = q
                break
        if translation < 0:
            break
        order = 1
        at = image[0]
        while at != 0:
            at = image[at]
            order += 1
        for i in range(n):
            join(parent, kept[i], kept[image[i]])
        finer = finer_lattice(cell, points[translation] - points[0], order)
        stays = np.zeros(n, np.bool_)
        seen = np.zeros(n, np.bool_)
        for i in range(n):
            if not seen[i]:
                stays[i] = True
                at = i
                while not seen[at]:
                    seen[at] = True
                    at = image[at]
        fresh = np.zeros(len(bounds), np.int64)
        for c in range(len(bounds) - 1):
            fresh[c + 1] = fresh[c] + stays[bounds[c] : bounds[c + 1]].sum()
        if fresh[-1] * order != n:  # cycles of unequal length: no lattice translation after all
            break
        bounds = fresh
        finer = reduce_lattice(finer)
        points = points[stays] @ (cell @ inverse(finer))
        kept = kept[stays]
        cell = finer
    rotations = lattice_symmetries(cell, tolerance)
    n_rotations = len(rotations)
    code = np.full(19683, -1, np.int64)  # of a matrix with entries -1, 0, 1
    for r in range(n_rotations):
        code[_code(rotations[r])] = r
    known = np.zeros(
        n_rotations, np.bool_
    )  # in the group generated so far; a primitive cell has one shift for each
    known[0] = True
    for r in range(1, n_rotations):
        if known[r]:
            continue
        turned = rotations[r] @ points[0]
        for q in range(bounds[1]):
            shift = points[q] - turned
            if carry(cell, points, keys, bounds, slope, rotations[r], shift, tolerance, image, moved):
                for i in range(n):
                    join(parent, kept[i], kept[image[i]])
                known[r] = True
                _close(rotations, known, code)
                break
    for i in range(total):
        parent[i] = root(parent, i)
    return parent


@njit(cache=True)
def _code(matrix: NDArray[np.float64]) -> int:
    value = 0
    for i in range(3):
        for j in range(3):
            value = value * 3 + int(matrix[i, j]) + 1
    return value


@njit(cache=True)
def _close(rotations: NDArray[np.float64], known: NDArray[np.bool_], code: NDArray[np.int64]) -> None:
    """Mark every product of known rotations as known: its operation follows from theirs and needs no test."""
    n = len(rotations)
    grown = True
    while grown:
        grown = False
        for a in range(1, n):
            if not known[a]:
                continue
            for b in range(1, n):
                if not known[b]:
                    continue
                product = rotations[a] @ rotations[b]
                if np.abs(product).max() > 1.0:
                    continue
                r = code[_code(product)]
                if r >= 0 and not known[r]:
                    known[r] = True
                    grown = True
