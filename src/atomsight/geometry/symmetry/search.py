"""Orbits of a cell given without symmetry operations, found from the geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.cell import reduce_lattice
from atomsight.geometry.neighbours import nearest_neighbours
from atomsight.geometry.symmetry._kernels import orbits_of, primitive
from atomsight.geometry.symmetry._sets import in_order


def renumber(parents: NDArray[np.integer]) -> NDArray[np.int32]:
    """(n,) int32 orbit of each atom, numbered by first atoms, from any labels that tell orbits apart."""
    labels = np.asarray(parents, np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < 4 * len(labels) + 64:
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return in_order(labels)


SEARCHED_AT_ONCE = 96
"""Atoms of the rarest element beyond which their surroundings are looked at first."""


def first_atoms(orbits: NDArray[np.int32]) -> NDArray[np.int64]:
    """(m,) int64: the index of each orbit's first atom; orbits are numbered in the order of these."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(orbits), prepend=-1))


def shortest_translation(lattice: ArrayLike) -> NDArray[np.float64]:
    """(3,) the shortest vector of the lattice with these rows, Å."""
    return reduce_lattice(np.ascontiguousarray(lattice, np.float64))[0]


def find_orbits(
    lattice: ArrayLike, fractional: ArrayLike, numbers: ArrayLike, symprec: float = 0.01
) -> NDArray[np.int32]:
    """(n,) int32: the orbit of each of the n atoms of a cell under the symmetry of the whole crystal.

    Orbits are numbered in the order of their first atoms and never hold two elements. The group is that of
    the crystal, not of the given cell: supercells and centred cells give the orbits of their primitive cell.
    An operation counts when it carries every atom to within `symprec` (Å) of one of the same element, as in
    moyo and spglib (Togo and Tanaka 2018, arXiv:1808.01590), with which the result agrees. The search
    differs: the rarest element leaves few candidate operations, each is tried on all atoms with an early end,
    and only generators of the group are tried.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (n, 3).
        numbers: (n,) atomic numbers.
        symprec: tolerance, Å.
    """
    return find_symmetry(lattice, fractional, numbers, symprec)[0]


def find_symmetry(
    lattice: ArrayLike, fractional: ArrayLike, numbers: ArrayLike, symprec: float = 0.01
) -> tuple[NDArray[np.int32], int]:
    """Orbits of the atoms, and how many atoms a primitive cell has; arguments as in `find_orbits`."""
    cell = np.ascontiguousarray(lattice, np.float64)
    points = np.ascontiguousarray(fractional, np.float64)
    classes = np.asarray(numbers).astype(np.int64)
    if len(points) == 0:
        return np.zeros(0, np.int32), 0
    if len(points) > SEARCHED_AT_ONCE:
        counts = np.bincount(classes)
        if counts[counts > 0].min() > SEARCHED_AT_ONCE:
            classes = _by_surroundings(cell, points, classes, symprec)
    return orbits_of(cell, points, classes, float(symprec))


def primitive_atoms(crystal: Crystal, symprec: float = 0.01) -> int:
    """How many atoms a primitive cell of the crystal has, within a tolerance, Å.

    Readers leave it with a crystal whose orbits they searched, see `Crystal.cached`.
    """

    def search() -> int:
        cell = np.ascontiguousarray(crystal.lattice, np.float64)
        points = np.ascontiguousarray(crystal.fractional, np.float64)
        classes = crystal.numbers.astype(np.int64)
        return len(primitive(cell, points, classes, symprec, np.arange(len(points)))[2])

    return crystal.cached(("primitive atoms", symprec), search)


def _by_surroundings(
    lattice: NDArray[np.float64], points: NDArray[np.float64], classes: NDArray[np.int64], symprec: float
) -> NDArray[np.int64]:
    """Classes divided by the sum of the distances to the nearest neighbours, wherever it leaves a gap.

    Each candidate operation is tried on all atoms until one does not fit. In a large crystal with a single
    defect most fail late; the few atoms beside the defect are a class that leaves few candidates. Atoms that
    symmetry carries onto each other within the tolerance differ by less than the gap: none are parted.
    """
    k = min(12, 4 * len(points))
    sums = nearest_neighbours(lattice, points, k)[0].sum(axis=1)
    order = np.lexsort((sums, classes))
    apart = (np.diff(classes[order]) > 0) | (np.diff(sums[order]) > 4 * k * symprec)
    out = np.empty(len(classes), np.int64)
    out[order] = np.concatenate(([0], np.cumsum(apart)))
    return out
