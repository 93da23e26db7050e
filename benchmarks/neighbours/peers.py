"""The packages that a user could pick instead, each doing the same work.

All but average-minimum-distance search within a cutoff, not for k neighbours. They are given the exact cutoff
that holds k neighbours of every site, which no user knows beforehand, and are timed twice: for the bare list
of pairs, and for the list made into the table of the k nearest of each site (sorted, cut to k), which is what
was asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pairs = tuple[NDArray, NDArray, NDArray, NDArray]
"""i, j, cell shifts, distances of all ordered pairs within a cutoff."""

Search = Callable[[NDArray, NDArray, float], Pairs]


def vesin(lattice: NDArray, fractional: NDArray, cutoff: float) -> Pairs:
    from vesin import NeighborList

    return NeighborList(cutoff=cutoff, full_list=True).compute(
        points=fractional @ lattice, box=lattice, periodic=True, quantities="ijSd"
    )


def matscipy(lattice: NDArray, fractional: NDArray, cutoff: float) -> Pairs:
    from matscipy.neighbours import neighbour_list

    return neighbour_list(
        "ijSd", cutoff=cutoff, positions=fractional @ lattice, cell=lattice, pbc=np.ones(3, bool)
    )


def pymatgen(lattice: NDArray, fractional: NDArray, cutoff: float) -> Pairs:
    from pymatgen.optimization.neighbors import find_points_in_spheres

    points = np.ascontiguousarray(fractional @ lattice)
    i, j, shifts, distances = find_points_in_spheres(
        points, points, r=cutoff, pbc=np.ones(3, np.int64), lattice=np.ascontiguousarray(lattice), tol=1e-8
    )
    itself = (i == j) & ~shifts.any(axis=1)
    return i[~itself], j[~itself], shifts[~itself], distances[~itself]


def ase(lattice: NDArray, fractional: NDArray, cutoff: float) -> Pairs:
    from ase.neighborlist import primitive_neighbor_list

    return primitive_neighbor_list("ijSd", [True] * 3, lattice, fractional @ lattice, cutoff)


SEARCHES: dict[str, Search] = {"vesin": vesin, "matscipy": matscipy, "pymatgen": pymatgen, "ase": ase}


def nearest_of(pairs: Pairs, n: int, k: int) -> tuple[NDArray, NDArray, NDArray]:
    """The table of the k nearest of each of n sites, from a list that holds at least k of each."""
    i, j, shifts, distances = pairs
    order = np.lexsort((distances, i))
    first = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=n))[:-1]])
    chosen = order[first[:, None] + np.arange(k)]
    return distances[chosen], j[chosen], shifts[chosen]
