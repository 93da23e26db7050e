"""Atoms and bonds of a crystal for the 3D view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.geometry.bonds.molecules import Molecules, molecules_of

MOST_ATOMS = 20_000
"""Largest number of atoms of a cell that are all drawn."""

TOLERANCE = 0.02
"""A bond is drawn between two positions if their distance differs from its length by less than this, Å."""


def scene(crystal: Crystal) -> dict[str, Any]:
    """Return the atoms and bonds that the viewer draws.

    Cells of more than `MOST_ATOMS` atoms are reduced to one atom per site, without bonds.

    Returns:
        ``cell``: three cell vectors in Å. ``elements``, ``sites``: symbol and site index of each atom.
        ``unique``: whether the atom represents its site. ``inside``: positions inside the cell in Å.
        ``whole``: positions with molecules in one piece and their centres in the cell; infinite frameworks
        stay inside. ``bonds``: two atoms and the length in Å; drawn where the two positions have this
        distance. ``complete``: whether all atoms are included.
    """
    fractional, numbers, sites = crystal.fractional, crystal.numbers, crystal.orbits
    bonds: list[tuple[int, int, float]] = []
    whole = fractional
    complete = crystal.n_atoms <= MOST_ATOMS
    if complete:
        molecules = molecules_of(crystal)
        graph = molecules.graph
        whole = fractional + _shifts(crystal, molecules)
        once = (graph.first < graph.second) | ((graph.first == graph.second) & (graph.image > 0).any(axis=1))
        ends = graph.first[once], graph.second[once], graph.length[once].round(4)
        bonds = list(zip(*(column.tolist() for column in ends), strict=True))
    else:
        first = crystal.representatives
        fractional, whole, numbers, sites = fractional[first], fractional[first], numbers[first], sites[first]
    return {
        "cell": crystal.lattice.round(4).tolist(),
        "complete": complete,
        "elements": [SYMBOLS[z] for z in numbers.tolist()],
        "sites": sites.tolist(),
        "unique": _unique(sites, bonds, whole @ crystal.lattice).tolist(),
        "inside": (fractional @ crystal.lattice).round(3).tolist(),
        "whole": (whole @ crystal.lattice).round(3).tolist(),
        "bonds": bonds,
    }


def _unique(
    sites: NDArray[np.integer], bonds: list[tuple[int, int, float]], places: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Choose one atom per site, bonded to one another where possible.

    Returns:
        (n,) whether an atom is chosen.
    """
    bonded: dict[int, list[int]] = {}
    ends = np.array([bond[:2] for bond in bonds], dtype=np.int64).reshape(-1, 2)
    apart = np.linalg.norm(places[ends[:, 0]] - places[ends[:, 1]], axis=1)
    drawn = np.abs(apart - np.array([bond[2] for bond in bonds])) < TOLERANCE
    for first, second in ends[drawn].tolist():
        bonded.setdefault(first, []).append(second)
        bonded.setdefault(second, []).append(first)
    chosen = np.zeros(len(sites), dtype=bool)
    met: set[int] = set()
    for begin, own in enumerate(sites.tolist()):
        if own in met:
            continue
        met.add(own)
        reached = [begin]
        for atom in reached:
            chosen[atom] = True
            for other in bonded.get(atom, ()):
                if int(sites[other]) not in met:
                    met.add(int(sites[other]))
                    reached.append(other)
    return chosen


def _shifts(crystal: Crystal, molecules: Molecules) -> NDArray[np.float64]:
    """Return (n, 3) lattice translations of the atoms that bring each finite molecule into one piece."""
    label = molecules.molecule
    places = crystal.fractional + molecules.shift
    sums = np.stack([np.bincount(label, weights=axis) for axis in places.T], axis=1)
    cells = np.floor(sums / np.bincount(label)[:, None])
    return np.where(molecules.endless[label, None], 0.0, molecules.shift - cells[label])
