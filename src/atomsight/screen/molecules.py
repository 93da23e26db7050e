"""Molecules of a crystal: which atoms hold together, and whether anything is held together without end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atomsight.bonds.connect import BondGraph, bond_graph
from atomsight.crystal import Crystal


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
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = bond_graph(crystal)
    n = crystal.n_atoms
    links = csr_array((np.ones(len(graph.first), np.int8), (graph.first, graph.second)), shape=(n, n))
    count, label = connected_components(links, directed=False)
    order = np.lexsort((graph.second, graph.first))
    keys = graph.first[order] * n + graph.second[order]
    shift = np.zeros((n, 3), np.int64)
    firsts = np.unique(label, return_index=True)[1]
    for root in firsts[np.bincount(label, minlength=count) > 1]:
        reached, came_from = breadth_first_order(links, root, directed=False)
        places = order[np.searchsorted(keys, came_from[reached[1:]].astype(np.int64) * n + reached[1:])]
        for atom, bond in zip(reached[1:].tolist(), places.tolist(), strict=True):
            shift[atom] = shift[came_from[atom]] + graph.image[bond]
    stretched = (shift[graph.first] + graph.image != shift[graph.second]).any(axis=1)
    endless = np.zeros(count, bool)
    endless[label[graph.first[stretched]]] = True
    return Molecules(graph, label.astype(np.int64), shift, endless)


HYDROGEN_LENGTHS = {6: 1.089, 7: 1.015, 8: 0.993}
"""Å, from hydrogen to C, N and O in neutron diffraction. X-ray studies place it up to 0.15 Å nearer, which
would make their contacts look longer than those of computed structures."""


def normalised(crystal: Crystal, molecules: Molecules) -> Crystal:
    """The crystal with its X-H bonds at `HYDROGEN_LENGTHS`; its molecules, cell and orbits stay.

    Positions are not wrapped into the cell again, so that `molecules` holds for the result.
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
    return replace(crystal, fractional=fractional)
