"""Aromatic rings of a periodic bond graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.bonds.connect import BondGraph
from atomsight.geometry.bonds.radii import METAL, table_of
from atomsight.geometry.jit import compiled

PLANAR = 0.15
"""Å that an atom of an aromatic ring may lie off its mean plane; coordinates of frameworks are often no
better."""

LONGEST_MEAN = 1.46
"""Å, longest mean bond of an aromatic ring of second-row atoms: between benzene (1.39) and a ring of single
bonds (1.50)."""

CARBONYL = 1.29
"""Å; a terminal oxygen this close to a ring carbon is a carbonyl, which takes the carbon's electron out of
the ring."""

THIOCARBONYL = 1.70
"""Å; the same for sulphur and selenium."""

_CARBON, _NITROGEN, _OXYGEN = table_of(6, 14), table_of(7, 15), table_of(8, 16, 34)
"""Elements that take the places of carbon, nitrogen and oxygen in a ring."""


def aromatic_bonds(graph: BondGraph, hydrogens: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(e,) whether each bond is part of an aromatic ring.

    Rings of five and six atoms are walked in the periodic graph, so that a framework's infinite net is no
    obstacle and a polymer that closes on itself through the cell is no ring. A ring is aromatic when it is
    flat, when its bonds are short enough on average, and when its atoms give six electrons: a carbon with
    three neighbours and a nitrogen with two give one; in a ring of five one atom gives two: a nitrogen with
    three neighbours, oxygen, sulphur, or a nitrogen of an azolate anion. A carbonyl in the ring ends it. A
    ring of five carbons counts when a metal binds all of them.

    Args:
        graph: the bonds.
        hydrogens: (n,) hydrogens on each atom.
    """
    numbers = graph.numbers.astype(np.int64)
    degree = graph.count(graph.to_nonmetal)
    on_metal = graph.count(~graph.to_nonmetal)
    gives_one = (_CARBON[numbers] & (degree <= 3)) | (_NITROGEN[numbers] & (degree == 2))
    gives_two = ((numbers == 7) & (degree == 3)) | (_OXYGEN[numbers] & (degree == 2))
    possible = (gives_one | gives_two) & ~_carbonyls(graph, degree, hydrogens)
    inside = possible[graph.first] & possible[graph.second]
    aromatic = np.zeros(len(graph.first), bool)
    edges = np.flatnonzero(inside)
    if not len(edges):
        return aromatic
    start = np.searchsorted(graph.first[edges], np.arange(len(numbers) + 1))
    rings = _rings(start, graph.second[edges], graph.image[edges])
    for size in (5, 6):
        bonds = edges[rings[rings[:, 5] >= 0] if size == 6 else rings[rings[:, 5] < 0][:, :5]]
        if not len(bonds):
            continue
        atoms = graph.first[bonds]
        two = gives_two[atoms].sum(axis=1)
        nitrogen = (numbers[atoms] == 7) & gives_two[atoms]
        if size == 6:
            good = (two == nitrogen.sum(axis=1)) & (two <= 1)
        else:
            anion = (two == 0) & (numbers[atoms] == 7).any(axis=1)
            sandwich = (numbers[atoms] == 6).all(axis=1) & (on_metal[atoms] > 0).all(axis=1)
            good = (two == 1) | ((two == 2) & nitrogen.any(axis=1)) | anion | sandwich
        light = (numbers[atoms] < 10).all(axis=1)
        good &= ~light | (graph.length[bonds].mean(axis=1) <= LONGEST_MEAN)
        good &= _deviation(graph.vector[bonds]) <= PLANAR
        aromatic[bonds[good].ravel()] = True
    return aromatic | aromatic[graph.reverse]


def _carbonyls(
    graph: BondGraph, degree: NDArray[np.int64], hydrogens: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(n,) carbons with a double bond to a terminal oxygen, sulphur or selenium."""
    ends, centres = graph.second, graph.first
    element = graph.numbers[ends]
    limit = np.where(element == 8, CARBONYL, THIOCARBONYL)
    terminal = (degree[ends] == 1) & (hydrogens[ends] == 0) & _OXYGEN[element]
    out = np.zeros(len(degree), bool)
    out[centres[terminal & (graph.length <= limit) & ~METAL[graph.numbers[centres]]]] = True
    return out


def _deviation(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest distance of an atom of each ring from its mean plane, (r,).

    Args:
        vectors: (r, s, 3) vectors along the bonds of each ring.
    """
    corners = np.cumsum(vectors, axis=1)
    corners -= corners.mean(axis=1, keepdims=True)
    normal = np.linalg.svd(corners)[2][:, 2]
    farthest: NDArray[np.float64] = np.abs((corners * normal[:, None, :]).sum(axis=2)).max(axis=1)
    return farthest


@compiled(small=3000)
def _rings(
    start: NDArray[np.int64], second: NDArray[np.int64], image: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the bonds along each ring of five or six atoms, (r, 6); the last entry of five is -1.

    A ring ends in the cell in which it begins.
    """
    n = len(start) - 1
    out = np.empty((64, 6), np.int64)
    count = 0
    path = np.empty(7, np.int64)  # atoms
    cell = np.zeros((7, 3), np.int64)
    at = np.empty(7, np.int64)  # the bond being tried from each atom
    for origin in range(n):
        depth = 0
        path[0] = origin
        at[0] = start[origin]
        while depth >= 0:
            atom = path[depth]
            if at[depth] >= start[atom + 1]:
                depth -= 1
                if depth >= 0:
                    at[depth] += 1
                continue
            bond = at[depth]
            following = second[bond]
            if following < origin:  # that ring was found from its lowest atom
                at[depth] += 1
                continue
            for c in range(3):
                cell[depth + 1, c] = cell[depth, c] + image[bond, c]
            met = -1
            for d in range(depth + 1):
                if (
                    path[d] == following
                    and cell[d, 0] == cell[depth + 1, 0]
                    and cell[d, 1] == cell[depth + 1, 1]
                    and cell[d, 2] == cell[depth + 1, 2]
                ):
                    met = d
            if met >= 0 or depth == 5:
                if met == 0 and depth >= 4 and (path[1] <= path[depth]):  # each ring once, not both ways
                    if count == len(out):
                        grown = np.empty((2 * count, 6), np.int64)
                        grown[:count] = out
                        out = grown
                    out[count, 5] = -1
                    out[count, : depth + 1] = at[: depth + 1]
                    count += 1
                at[depth] += 1
                continue
            depth += 1
            path[depth] = following
            at[depth] = start[following]
    return out[:count]
