"""Orbits of a cell given without symmetry operations, found from the geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.symmetry._kernels import orbits_of
from atomsight.symmetry._lattice import reduce_lattice
from atomsight.symmetry._sets import firsts_of


def renumber(parents: NDArray[np.integer]) -> NDArray[np.int32]:
    """(n,) int32 orbit of each atom, numbered by first atoms, from any labels that tell orbits apart."""
    _, first, inverse = np.unique(parents, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse]


def first_atoms(orbits: NDArray[np.int32]) -> NDArray[np.int64]:
    """(m,) int64: the index of each orbit's first atom; orbits are numbered in the order of these."""
    return firsts_of(orbits)


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
    points = np.ascontiguousarray(fractional, np.float64)
    kinds = np.ascontiguousarray(numbers, np.uint8)
    if len(points) == 0:
        return np.zeros(0, np.int32)
    return orbits_of(np.ascontiguousarray(lattice, np.float64), points, kinds, float(symprec))
