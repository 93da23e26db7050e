"""Molecules of a crystal: which atoms hold together, and whether anything is held together without end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.connect import BondGraph, bond_graph
from atomsight.geometry.bonds.radii import COVALENT, METAL
from atomsight.geometry.jit import compiled
from atomsight.geometry.neighbours import neighbours_of

LONG = 0.8
"""Å beyond the sum of the covalent radii up to which a donor may still hold on to a metal: lead, mercury,
thallium, silver, and copper along its long axis. Of 108 metal-organic frameworks of ``val`` that bonds alone
let fall apart it joins 86 %, of 29 molecular crystals with metals 1."""

LINKS = 24
"""Neighbours of a metal among which its long bonds are looked for."""


@dataclass(frozen=True)
class Molecules:
    """The bonded components of a motif.

    Attributes:
        graph: the bonds.
        molecule: (n,) int64, the component of each atom.
        shift: (n, 3) int64, lattice translations that bring the atoms of a component together.
        endless: (components,) bool, whether it reaches its own copies in other cells: chains, sheets,
            frameworks.
    """

    graph: BondGraph
    molecule: NDArray[np.int64]
    shift: NDArray[np.int64]
    endless: NDArray[np.bool_]

    @property
    def finite(self) -> bool:
        """Whether all of the crystal are molecules and ions of finite size."""
        return not self.endless.any()


def molecules_of(crystal: Crystal) -> Molecules:
    """Components of the bond graph, made whole across the cell's faces."""
    graph = bond_graph(crystal)
    return Molecules(graph, *_walk(graph.start, graph.first, graph.second, graph.image))


def joined_by_metals(crystal: Crystal, molecules: Molecules) -> bool:
    """Return whether long bonds of metals make the molecules of a crystal endless.

    These bonds reach up to `LONG` to non-metals other than carbon and hydrogen.
    """
    metals = np.flatnonzero(METAL[crystal.numbers])
    if not len(metals):
        return False
    distances, other, image = neighbours_of(crystal, LINKS, metals)
    theirs = crystal.numbers[other]
    reach = COVALENT[crystal.numbers[metals]][:, None] + COVALENT[theirs] + LONG
    place, link = np.nonzero((distances <= reach) & ~METAL[theirs] & (theirs != 1) & (theirs != 6))
    graph, metal, donor = molecules.graph, metals[place], other[place, link].astype(np.int64)
    first = np.concatenate([graph.first, metal, donor])
    order = np.argsort(first, kind="stable")
    second = np.concatenate([graph.second, donor, metal])[order]
    cells = image[place, link].astype(np.int64)
    start = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=crystal.n_atoms))])
    images = np.concatenate([graph.image, cells, -cells])[order]
    return bool(_walk(start, first[order], second, images)[2].any())


@compiled(small=10_000)
def _walk(
    start: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], image: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return each atom's component and shift, and which components are endless.

    The search is breadth first from the first atom of a component. A component is endless when the shifts of
    its atoms disagree with a bond.
    """
    n = len(start) - 1
    label, shift, queue = np.full(n, -1, np.int64), np.zeros((n, 3), np.int64), np.empty(n, np.int64)
    count = 0
    for root in range(n):
        if label[root] >= 0:
            continue
        label[root] = count
        queue[0] = root
        done, found = 0, 1
        while done < found:
            atom = queue[done]
            done += 1
            for bond in range(start[atom], start[atom + 1]):
                other = second[bond]
                if label[other] < 0:
                    label[other] = count
                    for axis in range(3):
                        shift[other, axis] = shift[atom, axis] + image[bond, axis]
                    queue[found] = other
                    found += 1
        count += 1
    endless = np.zeros(count, np.bool_)
    for bond in range(len(first)):
        for axis in range(3):
            if shift[first[bond], axis] + image[bond, axis] != shift[second[bond], axis]:
                endless[label[first[bond]]] = True
    return label, shift, endless


HYDROGEN_LENGTHS = {6: 1.089, 7: 1.015, 8: 0.993}
"""Å, from hydrogen to C, N and O in neutron diffraction. X-ray studies place it up to 0.15 Å nearer, which
would make their contacts look longer than those of computed structures."""


def normalised(crystal: Crystal, molecules: Molecules) -> Crystal:
    """Return the crystal with its X-H bonds at `HYDROGEN_LENGTHS`, without flags and listed bonds.

    Its molecules, cell and orbits stay. Positions are not wrapped into the cell again, so that `molecules`
    holds for the result.
    """
    graph = molecules.graph
    wanted = np.zeros(256)
    wanted[list(HYDROGEN_LENGTHS)] = list(HYDROGEN_LENGTHS.values())
    length = wanted[graph.numbers[graph.second]]
    single = np.diff(graph.start)[graph.first] == 1
    moved = np.flatnonzero((graph.numbers[graph.first] == 1) & single & (length > 0))
    if not len(moved):
        return crystal
    step = graph.vector[moved] * (1 - length[moved] / graph.length[moved])[:, None]
    fractional = crystal.fractional.copy()
    fractional[graph.first[moved]] += step @ np.linalg.inv(crystal.lattice)
    rest = crystal.numbers, crystal.orbits, crystal.labels, crystal.source
    return Crystal(crystal.name, crystal.lattice, fractional, *rest)
