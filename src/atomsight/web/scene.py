"""A crystal as atoms and bonds to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.geometry.bonds.connect import BondGraph, bond_graph

MOST_ATOMS = 20_000
"""Of one cell that are drawn."""

DRAWN = 0.02
"""Å: a bond is drawn where its atoms are as far apart as it is long, up to this."""


def scene(crystal: Crystal) -> dict[str, Any]:
    """What the viewer needs.

    Returns:
        ``cell``: the three cell vectors, Å. ``elements``, ``sites``: symbol and site of each atom of the
        motif; ``unique``: whether it stands for its site. ``inside``: positions in the cell, Å. ``whole``:
        positions with molecules in one piece, their centres in the cell; what has no end stays inside.
        ``bonds``: pairs of atoms with the length, Å; one
        is to be drawn where the two positions are as far apart. Of more than `MOST_ATOMS` atoms only the
        sites are given, and no bonds.
    """
    fractional, numbers, sites = crystal.fractional, crystal.numbers, crystal.orbits
    bonds: list[tuple[int, int, float]] = []
    whole = fractional
    complete = crystal.n_atoms <= MOST_ATOMS
    if complete:
        graph = bond_graph(crystal)
        whole = fractional + _shifts(crystal, graph)
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
    """(n,) whether an atom stands for its site: atoms bonded to one another as far as there are any."""
    beside: dict[int, list[int]] = {}
    ends = np.array([bond[:2] for bond in bonds], dtype=np.int64).reshape(-1, 2)
    apart = np.linalg.norm(places[ends[:, 0]] - places[ends[:, 1]], axis=1)
    drawn = np.abs(apart - np.array([bond[2] for bond in bonds])) < DRAWN
    for first, second in ends[drawn].tolist():
        beside.setdefault(first, []).append(second)
        beside.setdefault(second, []).append(first)
    chosen = np.zeros(len(sites), dtype=bool)
    met: set[int] = set()
    for begin, own in enumerate(sites.tolist()):
        if own in met:
            continue
        met.add(own)
        reached = [begin]
        for atom in reached:
            chosen[atom] = True
            for other in beside.get(atom, ()):
                if int(sites[other]) not in met:
                    met.add(int(sites[other]))
                    reached.append(other)
    return chosen


def _shifts(crystal: Crystal, graph: BondGraph) -> NDArray[np.float64]:
    """(n, 3) cells by which atoms are moved so that finite molecules are in one piece."""
    n = crystal.n_atoms
    shift = np.zeros((n, 3))
    seen = np.zeros(n, dtype=bool)
    start, second, image = graph.start.tolist(), graph.second.tolist(), graph.image
    for begin in range(n):
        if seen[begin]:
            continue
        seen[begin] = True
        members, endless = [begin], False
        for atom in members:
            for bond in range(start[atom], start[atom + 1]):
                other, there = second[bond], shift[atom] + image[bond]
                if not seen[other]:
                    seen[other] = True
                    shift[other] = there
                    members.append(other)
                elif (shift[other] != there).any():
                    endless = True
        if endless:
            shift[members] = 0
        else:
            shift[members] -= np.floor((crystal.fractional[members] + shift[members]).mean(axis=0))
    return shift
