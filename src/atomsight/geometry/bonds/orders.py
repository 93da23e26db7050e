"""Types of bonds, from valences and lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import BOND_TYPES
from atomsight.geometry.bonds.connect import BondGraph
from atomsight.geometry.bonds.radii import COVALENT, METAL, table_of
from atomsight.geometry.bonds.rings import aromatic_bonds

UNKNOWN, SINGLE, DOUBLE, TRIPLE, QUADRUPLE, AROMATIC, DELOCALISED, PI = range(len(BOND_TYPES))

_LENGTHS = {
    (6, 6): (1.48, 1.34, 1.20),
    (6, 7): (1.43, 1.28, 1.15),
    (6, 8): (1.36, 1.21, 1.13),
    (6, 16): (1.77, 1.63, 1.53),
    (7, 7): (1.42, 1.24, 1.10),
    (7, 8): (1.37, 1.22, 1.10),
    (6, 15): (1.83, 1.68, 1.54),
    (6, 34): (1.92, 1.77, 1.68),
    (7, 16): (1.68, 1.55, 1.45),
    (7, 15): (1.68, 1.58, 1.50),
    (8, 16): (1.58, 1.44, 1.40),
    (8, 15): (1.59, 1.49, 1.45),
    (15, 16): (2.10, 1.94, 1.88),
    (8, 34): (1.75, 1.62, 1.58),
    (8, 17): (1.60, 1.43, 1.40),
    (8, 8): (1.46, 1.21, 1.15),
    (16, 16): (2.05, 1.89, 1.80),
    (14, 14): (2.34, 2.16, 2.06),
}
"""Working values for a single, double and triple bond, Å, by atomic numbers, lower first. They lie near the
means of Allen et al. 1987, 10.1039/p298700000s1, without being that table: a single bond is that between two
unsaturated atoms, which is what has to be told from a double one. ``benchmarks/bonds.py`` says how well they
do."""

ALIKE = 0.06
"""Å; terminal atoms of a carboxylate or nitrate that are this close in length share their double bond."""

DOUBLE_SHARE = 0.75
"""A bond is double when its length lies below this share of the way from the double to the single one."""

OXO = 0.82
"""A terminal oxygen or nitrogen closer to a metal than this share of the sum of the radii is doubly bonded
(V=O, U=O)."""

QUADRUPLE_SHARE = {24: 0.92, 42: 0.76, 43: 0.76, 74: 0.76, 75: 0.76}
"""Two atoms of chromium, molybdenum, technetium, tungsten or rhenium closer than this share of the sum of
their radii."""

OVERLAP = 0.72
"""Share of the sum of the radii below which no bond is (N2 has 0.77, C2H2 0.79): atoms left of disorder."""

_TERMINAL = table_of(8, 16, 34)
_PNICTOGEN, _THIO, _HALOGEN = table_of(15, 33), table_of(16, 34), table_of(17, 35, 53)
_CENTRE = table_of(6, 7, 15, 16, 17, 34, 35, 53)
_CAGE, _BARE = table_of(5, 6), table_of(7, 8, 16, 34)


def bond_types(graph: BondGraph) -> NDArray[np.uint8]:
    """(e,) the type of every bond of a graph, places in `BOND_TYPES`.

    In turn: aromatic rings (`rings`); terminal oxygens of a carbon, nitrogen, phosphorus, sulphur or halogen
    that share their double bonds (``delocalised``); triple, then double bonds, the shortest for their
    elements first, between atoms whose neighbours leave valences open. What is left is single. Metals: a
    ligand's bond is single; ``pi`` to carbons bound side by side; ``double`` to oxo groups; ``quadruple``
    between the few metals that do so, when they are as close. ``unknown`` are bonds of a metal among metals,
    those of boron cages, where two atoms do not share a pair, and contacts too short for any bond.
    """
    numbers = graph.numbers.astype(np.int64)
    types = np.full(len(graph.first), SINGLE, np.uint8)
    to_nonmetal = graph.to_nonmetal
    organic = to_nonmetal & ~METAL[numbers[graph.first]]
    degree = graph.count(organic)
    hydrogens = graph.count(organic & (numbers[graph.second] == 1))
    aromatic = aromatic_bonds(graph, hydrogens)
    types[aromatic] = AROMATIC
    open_valences = _open_valences(graph, organic, degree)
    open_valences[graph.first[aromatic]] = 0
    _share(graph, types, organic, degree, hydrogens, open_valences)
    _multiple(graph, types, organic, open_valences)
    _bridges(graph, types, organic, open_valences)
    cage = (numbers == 5) & (degree > 4)
    types[organic & cage[graph.first] & _CAGE[numbers[graph.second]]] = UNKNOWN
    types[organic & cage[graph.second] & _CAGE[numbers[graph.first]]] = UNKNOWN
    overlap = graph.length < OVERLAP * (COVALENT[numbers[graph.first]] + COVALENT[numbers[graph.second]])
    types[organic & overlap & (numbers[graph.first] > 1) & (numbers[graph.second] > 1)] = UNKNOWN
    _with_metals(graph, types, degree)
    return types


def _open_valences(
    graph: BondGraph, organic: NDArray[np.bool_], degree: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n,) how many pi bonds each atom can take part in."""
    numbers = graph.numbers
    left = np.zeros(len(numbers), np.int64)
    left[numbers == 6] = np.clip(4 - degree[numbers == 6], 0, 2)
    left[numbers == 7] = np.clip(3 - degree[numbers == 7], 0, 2)
    chalcogen = _TERMINAL[numbers]
    left[chalcogen] = degree[chalcogen] == 1
    left[_PNICTOGEN[numbers] & (degree == 2)] = 1
    left[_PNICTOGEN[numbers] & (degree == 4)] = 1
    left[_THIO[numbers] & (degree == 3)] = 1
    left[_THIO[numbers] & (degree == 4)] = 2
    halogen = _HALOGEN[numbers] & (degree >= 3)
    left[halogen] = degree[halogen] - 1
    for atom in np.flatnonzero((numbers == 7) & (degree == 2)):
        bonds = np.arange(graph.start[atom], graph.start[atom + 1])
        one, two = graph.vector[bonds[organic[bonds]]]
        if one @ two < -0.94 * np.linalg.norm(one) * np.linalg.norm(two):  # N=N=N and N≡N-R are straight
            left[atom] = 2
    for atom in np.flatnonzero((numbers == 6) & (degree == 1)):  # carbon monoxide
        left[graph.second[graph.start[atom] : graph.start[atom + 1]]] += 1
    return left


def _share(
    graph: BondGraph,
    types: NDArray[np.uint8],
    organic: NDArray[np.bool_],
    degree: NDArray[np.int64],
    hydrogens: NDArray[np.int64],
    left: NDArray[np.int64],
) -> None:
    """Mark the bonds of carboxylates, nitrates and their like; their atoms have no valence left."""
    numbers = graph.numbers
    centres = _CENTRE[numbers] & (degree >= 3)
    terminal = organic & centres[graph.first] & (degree[graph.second] == 1) & (hydrogens[graph.second] == 0)
    terminal &= _TERMINAL[numbers[graph.second]]
    for atom in np.flatnonzero(graph.count(terminal) >= 2):
        bonds = np.arange(graph.start[atom], graph.start[atom + 1])
        bonds = bonds[terminal[bonds]]
        bonds = bonds[numbers[graph.second[bonds]] == numbers[graph.second[bonds]].max()]
        if len(bonds) < 2 or np.ptp(graph.length[bonds]) > ALIKE or (numbers[atom] == 16 and len(bonds) == 2):
            continue
        types[bonds] = types[graph.reverse[bonds]] = DELOCALISED
        left[atom] = 0
        left[graph.second[bonds]] = 0


def _multiple(
    graph: BondGraph, types: NDArray[np.uint8], organic: NDArray[np.bool_], left: NDArray[np.int64]
) -> None:
    """Give out triple bonds, then double ones, the shortest for their elements first."""
    first, second, numbers = graph.first, graph.second, graph.numbers
    fit = organic & (types == SINGLE) & (left[first] > 0) & (left[second] > 0) & (first <= second)
    bonds = np.flatnonzero(fit)
    share, triple = np.full(len(bonds), np.inf), np.zeros(len(bonds), bool)
    for place, bond in enumerate(bonds):
        low, high = sorted((int(numbers[first[bond]]), int(numbers[second[bond]])))
        usual = _LENGTHS.get((low, high))
        if usual is None:
            continue
        single, double, third = usual
        share[place] = (graph.length[bond] - double) / (single - double)
        triple[place] = graph.length[bond] < (double + third) / 2
    for wanted, kind in ((2, TRIPLE), (1, DOUBLE)):
        for place in np.argsort(share, kind="stable"):
            bond = bonds[place]
            one, two = first[bond], second[bond]
            if share[place] > DOUBLE_SHARE or types[bond] != SINGLE or min(left[one], left[two]) < wanted:
                continue
            if kind == TRIPLE and not triple[place]:
                continue
            if one == two and left[one] < 2 * wanted:
                continue
            types[bond] = types[graph.reverse[bond]] = kind
            left[one] -= wanted
            left[two] -= wanted


def _bridges(
    graph: BondGraph, types: NDArray[np.uint8], organic: NDArray[np.bool_], left: NDArray[np.int64]
) -> None:
    """Set the types of bonds between aromatic rings and carbons with an open valence.

    Four such carbons join the rings of a porphyrin. Their short bonds into the rings share the double bond.
    """
    ring = graph.count(types == AROMATIC) > 0
    low, high = _LENGTHS[6, 6][1], _LENGTHS[6, 6][0]
    short = graph.length < low + DOUBLE_SHARE * (high - low)
    carbons = graph.numbers == 6
    into = organic & short & carbons[graph.first] & (left[graph.first] == 1) & ~ring[graph.first]
    into &= ring[graph.second] & carbons[graph.second] & (types == SINGLE)
    several = graph.count(into)[graph.first] > 1
    mark(types, graph, into & several, DELOCALISED)
    mark(types, graph, into & ~several, DOUBLE)


def _with_metals(graph: BondGraph, types: NDArray[np.uint8], degree: NDArray[np.int64]) -> None:
    numbers, first, second = graph.numbers, graph.first, graph.second
    from_metal = METAL[numbers[first]]
    total = COVALENT[numbers[first]] + COVALENT[numbers[second]]
    among = graph.count(from_metal & METAL[numbers[second]])
    ligand = from_metal & graph.to_nonmetal
    bare = ligand & (degree[second] == 0) & _BARE[numbers[second]]
    alone = bare & (graph.count(METAL[numbers[second]])[second] == 1)
    mark(types, graph, alone & (graph.length < OXO * total), DOUBLE)
    mark(types, graph, _side_on(graph, ligand & (numbers[second] == 6)), PI)
    pair = from_metal & METAL[numbers[second]]
    mark(types, graph, pair & ((among[first] > 4) | (among[second] > 4)), UNKNOWN)
    share = np.array([QUADRUPLE_SHARE.get(z, 0.0) for z in range(128)])[numbers[first]]
    close = pair & (numbers[first] == numbers[second]) & (graph.length < share * total)
    mark(types, graph, close & (among[first] <= 2), QUADRUPLE)


def mark(types: NDArray[np.uint8], graph: BondGraph, bonds: NDArray[np.bool_], kind: int) -> None:
    """Set the type of some bonds, in both directions."""
    types[bonds | bonds[graph.reverse]] = kind


def _side_on(graph: BondGraph, to_carbon: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bonds from a metal to a carbon whose neighbouring carbon the same metal binds too."""
    out = np.zeros(len(graph.first), bool)
    held: dict[int, dict[tuple[int, ...], int]] = {}
    for bond in np.flatnonzero(to_carbon).tolist():
        place = (int(graph.second[bond]), *graph.image[bond].tolist())
        held.setdefault(int(graph.first[bond]), {})[place] = bond
    for carbons in held.values():
        for place, bond in carbons.items():
            for other in range(graph.start[place[0]], graph.start[place[0] + 1]):
                beside = (graph.image[bond] + graph.image[other]).tolist()
                out[bond] |= (int(graph.second[other]), *beside) in carbons
    return out
