"""Compiled core of the symmetry search: does an operation carry a periodic set onto itself, and where to?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.cell import inverse, lattice_symmetries, product, reduce_lattice
from atomsight.geometry.jit import compiled, part
from atomsight.geometry.symmetry._sets import join, numbered

# Points are sorted by the integer combination 2x + 3y + 5z of their fractional coordinates, modulo 1. Being
# an integer combination it is the same for every periodic copy, so that a wanted position is found at once.
_H0, _H1, _H2 = 2.0, 3.0, 5.0


@part
def _key(x: float, y: float, z: float) -> float:
    value = _H0 * x + _H1 * y + _H2 * z
    return value - np.floor(value)


@part(allocates=True)
def sort_points(
    lattice: NDArray[np.float64], points: NDArray[np.float64], bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], float]:
    """Order of the points by key within each class, their keys, an index into them, and the slope, 1/Å.

    Class c holds the points from ``bounds[c]`` to ``bounds[c + 1]``. Its index has a cell for each: entry
    ``bounds[c] + c + b`` is the first point whose key is at least b / size.
    """
    n = len(points)
    keys = np.empty(n)
    order = np.empty(n, np.int64)
    index = np.zeros(n + len(bounds), np.int64)
    for c in range(len(bounds) - 1):
        s, e = bounds[c], bounds[c + 1]
        size = e - s
        base = s + c
        for i in range(s, e):
            keys[i] = _key(points[i, 0], points[i, 1], points[i, 2])
            index[base + min(int(keys[i] * size), size - 1) + 1] += 1
        index[base] = s
        for b in range(base + 1, base + size + 1):
            index[b] += index[b - 1]
    ranked = np.empty(n)
    filled = np.zeros(n + len(bounds), np.int64)
    for c in range(len(bounds) - 1):
        s, e = bounds[c], bounds[c + 1]
        size = e - s
        base = s + c
        for i in range(s, e):
            cell = base + min(int(keys[i] * size), size - 1)
            at = index[cell] + filled[cell]
            filled[cell] += 1
            while at > index[cell] and ranked[at - 1] > keys[i]:
                ranked[at] = ranked[at - 1]
                order[at] = order[at - 1]
                at -= 1
            ranked[at] = keys[i]
            order[at] = i
    reciprocal = inverse(lattice)
    slope = 0.0
    for c in range(3):
        slope += (reciprocal[c, 0] * _H0 + reciprocal[c, 1] * _H1 + reciprocal[c, 2] * _H2) ** 2
    return order, ranked, index, math.sqrt(slope)


@part
def carry(
    lattice: NDArray[np.float64],
    points: NDArray[np.float64],
    keys: NDArray[np.float64],
    index: NDArray[np.int64],
    bounds: NDArray[np.int64],
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
    for c in range(len(bounds) - 1):
        s, e = bounds[c], bounds[c + 1]
        size = e - s
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
            a = index[s + c + min(int(low * size), size - 1)]
            while a < e and keys[a] < low:
                a += 1
            nearest = reach * reach
            found = -1
            g0, g1, g2 = 0.0, 0.0, 0.0
            turn = 0.0
            for _ in range(size):
                if a == e:
                    a = s
                    turn = 1.0
                if keys[a] + turn > high:
                    break
                d0, d1, d2 = points[a, 0] - u, points[a, 1] - v, points[a, 2] - w
                d0 -= np.floor(d0 + 0.5)
                d1 -= np.floor(d1 + 0.5)
                d2 -= np.floor(d2 + 0.5)
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


@part(allocates=True)
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


@compiled(small=1000)
def primitive(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    classes: NDArray[np.int64],
    tolerance: float,
    parent: NDArray[np.int64],
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    float,
]:
    """A primitive cell, and the points in it sorted as `sort_points` does.

    Whenever a translation is found the cell is replaced by the smaller one that it generates. Points that
    translations carry onto each other are joined in `parent`.

    Returns:
        The reduced cell, its points, which of those given they are, where the classes begin among them, and
        keys, index and slope of the sorting.
    """
    total = len(fractional)
    kept, bounds = _by_rarity(classes)  # kept: the points that stand for all in the current cell
    cell = reduce_lattice(lattice)
    points = product(fractional[kept], product(lattice, inverse(cell)))
    identity = np.eye(3)
    shift = np.empty(3)
    image = np.empty(total, np.int64)
    moved = np.empty((total, 3))
    while True:
        sorting, keys, index, slope = sort_points(cell, points, bounds)
        points = points[sorting]
        kept = kept[sorting]
        translation = -1
        for q in range(1, bounds[1]):
            for c in range(3):
                shift[c] = points[q, c] - points[0, c]
            if carry(cell, points, keys, index, bounds, slope, identity, shift, tolerance, image, moved):
                if image[0] == 0:  # a point on top of the first one, not a translation
                    continue
                translation = q
                break
        if translation < 0:
            break
        stays, order = _cycles(image[: len(points)])
        if stays.sum() * order != len(points):  # cycles of unequal length: no lattice translation after all
            break
        for i in range(len(points)):
            join(parent, kept[i], kept[image[i]])
        finer = reduce_lattice(finer_lattice(cell, shift, order))
        fresh = np.zeros(len(bounds), np.int64)
        for c in range(len(bounds) - 1):
            fresh[c + 1] = fresh[c] + stays[bounds[c] : bounds[c + 1]].sum()
        bounds = fresh
        points = product(points[stays], product(cell, inverse(finer)))
        kept = kept[stays]
        cell = finer
    return cell, points, kept, bounds, keys, index, slope


@compiled(small=1000)
def orbits_of(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    classes: NDArray[np.int64],
    tolerance: float,
) -> tuple[NDArray[np.int32], int]:
    """Orbit of each point under every operation that keeps the set, numbered by first points.

    Also returns how many points a primitive cell has.

    Classes (small integers from 0) are never mixed.

    Points are grouped by class, the rarest first. Translations are taken out first, see `primitive`, so that
    the group has at most 48 operations. An operation must carry the first point onto some point of its class,
    which leaves few candidates, and a wrong one fails after a few points.
    """
    total = len(fractional)
    parent = np.arange(total)
    cell, points, kept, bounds, keys, index, slope = primitive(
        lattice, fractional, classes, tolerance, parent
    )
    shift = np.empty(3)
    image = np.empty(total, np.int64)
    moved = np.empty((total, 3))
    rotations = lattice_symmetries(cell, tolerance)
    known = np.zeros(
        len(rotations), np.bool_
    )  # in the group found so far; a primitive cell has one shift for each
    known[0] = True
    codes = np.empty(0, np.int8)
    generators = np.empty(len(rotations), np.int64)
    n_generators = 0
    for r in range(1, len(rotations)):
        if known[r]:
            continue
        rotation = rotations[r]
        for q in range(bounds[1]):
            for c in range(3):
                shift[c] = points[q, c] - (
                    rotation[c, 0] * points[0, 0]
                    + rotation[c, 1] * points[0, 1]
                    + rotation[c, 2] * points[0, 2]
                )
            if carry(cell, points, keys, index, bounds, slope, rotation, shift, tolerance, image, moved):
                for i in range(len(points)):
                    join(parent, kept[i], kept[image[i]])
                known[r] = True
                generators[n_generators] = r
                n_generators += 1
                if len(codes) == 0:
                    codes = _codes(rotations)
                _close(rotations, codes, generators[:n_generators], known)
                break
    return numbered(parent), len(points)


@part(allocates=True)
def _by_rarity(classes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices grouped by class, the rarest class first, and the bounds of the groups."""
    counts = np.zeros(classes.max() + 1, np.int64)
    for label in classes:
        counts[label] += 1
    kinds = np.flatnonzero(counts)
    for c in range(1, len(kinds)):  # a handful: in order of their counts, equal ones as they are
        kind, place = kinds[c], c
        while place > 0 and counts[kinds[place - 1]] > counts[kind]:
            kinds[place] = kinds[place - 1]
            place -= 1
        kinds[place] = kind
    bounds = np.zeros(len(kinds) + 1, np.int64)
    at = np.zeros(len(counts), np.int64)
    for c in range(len(kinds)):
        at[kinds[c]] = bounds[c]
        bounds[c + 1] = bounds[c] + counts[kinds[c]]
    order = np.empty(len(classes), np.int64)
    for i in range(len(classes)):
        order[at[classes[i]]] = i
        at[classes[i]] += 1
    return order, bounds


@part(allocates=True)
def _cycles(image: NDArray[np.int64]) -> tuple[NDArray[np.bool_], int]:
    """One point of each cycle of a permutation, and the length of the first point's cycle."""
    n = len(image)
    first = np.zeros(n, np.bool_)
    seen = np.zeros(n, np.bool_)
    order = 0
    for i in range(n):
        if not seen[i]:
            first[i] = True
            at = i
            while not seen[at]:
                seen[at] = True
                order += i == 0
                at = image[at]
    return first, order


@part(allocates=True)
def _codes(rotations: NDArray[np.float64]) -> NDArray[np.int8]:
    """Index of each rotation by its entries -1, 0 and 1, read as a number to the base 3; -1 for none."""
    table = np.full(19683, -1, np.int8)
    for r in range(len(rotations)):
        value = 0
        for i in range(3):
            for j in range(3):
                value = value * 3 + int(rotations[r, i, j]) + 1
        table[value] = r
    return table


@part(allocates=True)
def _close(
    rotations: NDArray[np.float64],
    codes: NDArray[np.int8],
    generators: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> None:
    """Mark everything that the generators generate as known: its operations follow and need no test."""
    queue = np.zeros(len(rotations), np.int64)  # begins with the identity, which is rotation 0
    met = np.zeros(len(rotations), np.bool_)
    met[0] = True
    end = 1
    at = 0
    while at < end:
        a = queue[at]
        at += 1
        for b in generators:
            value = 0
            for i in range(3):
                for j in range(3):
                    entry = 0.0
                    for k in range(3):
                        entry += rotations[a, i, k] * rotations[b, k, j]
                    if abs(entry) > 1.0:
                        value = -1
                        break
                    value = value * 3 + int(entry) + 1
                if value < 0:
                    break
            r = codes[value] if value >= 0 else -1
            if r >= 0 and not met[r]:
                met[r] = known[r] = True
                queue[end] = r
                end += 1
