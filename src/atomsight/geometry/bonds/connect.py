"""Which atoms are bonded: the periodic graph of a crystal, from distances and coordination rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.radii import COVALENT, ELECTROPOSITIVE, METAL
from atomsight.geometry.jit import compiled, part
from atomsight.geometry.neighbours import neighbours_of

NONMETAL_SLACK = 0.25
"""Å beyond the sum of the covalent radii, between non-metals."""

METAL_SLACK = 0.40
"""Å beyond the sum, between a metal and a donor, and in boron cages; the tolerance of the CSD. Metal-carbon
and metal-hydrogen
bonds vary less: `NONMETAL_SLACK`."""

SHIELD = 0.20
"""Å by which a donor must be closer to a metal than the atom that it hides from it."""

BRIDGED = 0.87
"""Two metals that share a non-metal are bonded below this share of the sum of their radii."""

_MOST = {1: 1, 6: 4, 7: 4, 8: 3, 9: 1}


@dataclass(frozen=True)
class BondGraph:
    """All bonds of a motif, each in both directions, sorted by the atom that they start from.

    Attributes:
        numbers: (n,) atomic numbers of the motif.
        start: (n + 1,) int64; the bonds of atom i are ``start[i]`` to ``start[i + 1]``.
        first, second: (e,) int64, atoms of the motif.
        image: (e, 3) int64, the cell that the second atom is in.
        vector: (e, 3) float64, from the first to the second, Å.
        length: (e,) float64, Å.
        reverse: (e,) int64, the same bond in the other direction.
    """

    numbers: NDArray[np.uint8]
    start: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    image: NDArray[np.int64]
    vector: NDArray[np.float64]
    length: NDArray[np.float64]
    reverse: NDArray[np.int64]

    @property
    def to_nonmetal(self) -> NDArray[np.bool_]:
        """(e,) whether the second atom is a non-metal."""
        return ~METAL[self.numbers[self.second]]

    def kept(self, keep: NDArray[np.bool_]) -> BondGraph:
        """The graph of some of the bonds; `keep` is the same for both directions of each."""
        if keep.all():
            return self
        place = np.cumsum(keep) - 1
        first = self.first[keep]
        start = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(self.numbers)))])
        ends = first, self.second[keep], self.image[keep], self.vector[keep], self.length[keep]
        return BondGraph(self.numbers, start, *ends, place[self.reverse[keep]])

    def count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) how many of the bonds in a mask start from each atom."""
        return np.bincount(self.first[mask], minlength=len(self.numbers))


def bond_graph(crystal: Crystal) -> BondGraph:
    """The bonds of all atoms of the motif.

    Two atoms are candidates when they are no farther apart than the sum of their covalent radii (Cordero et
    al. 2008, 10.1039/b801115j) and a slack. Of these

    - hydrogen keeps its nearest partner only, another hydrogen if there is nothing else, unless it bridges
      borons or metals; carbon keeps four, nitrogen four, oxygen three, fluorine one, the shortest for their
      radii; boron cages are exempt;
    - a metal does not bind an atom that a donor between them hides (the carbon of a chelating carboxylate,
      the nitrogen of a nitrate), nor a hydrogen that is bonded already;
    - two metals that share a non-metal are bonded only when they are far closer than their radii (Re-Re,
      Mo-Mo), and never when both are electropositive.
    """
    return crystal.cached("bond graph", lambda: _bond_graph(crystal))


def _bond_graph(crystal: Crystal) -> BondGraph:
    numbers = crystal.numbers
    graph = _candidates(crystal)
    graph = graph.kept(_valence(graph))
    if METAL[numbers].any() and not METAL[numbers].all():
        graph = graph.kept(~_hidden(graph))
        graph = graph.kept(~_bridged(graph))
    return graph


def limits(first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.float64]:
    """Longest possible bond between elements, Å, by atomic numbers."""
    slack = np.full(np.broadcast(first, second).shape, NONMETAL_SLACK)
    metals = METAL[first] ^ METAL[second]
    other = np.where(METAL[first], second, first)
    light = (other == 1) | (other == 6)
    slack[(metals & ~light) | ((first == 5) & (second == 5))] = METAL_SLACK
    longest: NDArray[np.float64] = COVALENT[first] + COVALENT[second] + slack
    return longest


_LIMITS: NDArray[np.float64] = limits(np.arange(len(COVALENT))[:, None], np.arange(len(COVALENT))[None, :])


def _candidates(crystal: Crystal) -> BondGraph:
    """All pairs of atoms near enough, as a graph."""
    numbers = crystal.numbers.astype(np.int64)
    present = np.unique(numbers)
    longest = np.zeros(len(COVALENT))
    longest[present] = _LIMITS[present[:, None], present[None, :]].max(axis=1)
    k = 12
    while True:
        distances, near, images = neighbours_of(crystal, k)
        if (distances[:, -1] > longest[numbers]).all() or k >= 192:
            break
        k *= 2
    close = distances <= _LIMITS[numbers[:, None], numbers[near]]
    start, first, second, image, reverse = _both_ways(close, near, images)
    fractional = crystal.fractional
    vector = (fractional[second] + image - fractional[first]) @ crystal.lattice
    length = np.linalg.norm(vector, axis=1)
    return BondGraph(crystal.numbers, start, first, second, image, vector, length, reverse)


@part
def _lead_to(one: NDArray[np.int64], other: NDArray[np.int64], both: NDArray[np.int64]) -> bool:
    """Whether two steps from cell to cell, (3,), lead where a third does."""
    x, y, z = one[0] + other[0] - both[0], one[1] + other[1] - both[1], one[2] + other[2] - both[2]
    return bool(x == 0 and y == 0 and z == 0)


@compiled(small=20_000)
def _both_ways(
    close: NDArray[np.bool_], near: NDArray[np.int64], images: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Neighbours that are each other's, sorted by both atoms and the cell of the second.

    Args:
        close: (n, k) whether each neighbour is near enough for a bond.
        near: (n, k) atom of each neighbour.
        images: (n, k, 3) its cell.

    Returns:
        start, first, second, image and reverse of `BondGraph`.
    """
    n, k = close.shape
    second, image = np.empty(n * k, np.int64), np.empty((n * k, 3), np.int64)
    start = np.zeros(n + 1, np.int64)
    count = 0
    for atom in range(n):
        for rank in range(k):
            other = near[atom, rank]
            if not close[atom, rank]:
                continue
            place = count
            while place > start[atom]:
                before = second[place - 1] - other
                for axis in range(3):
                    if before == 0:
                        before = image[place - 1, axis] - images[atom, rank, axis]
                if before < 0:
                    break
                second[place], image[place] = second[place - 1], image[place - 1]
                place -= 1
            second[place] = other
            for axis in range(3):
                image[place, axis] = images[atom, rank, axis]
            count += 1
        start[atom + 1] = count

    reverse, row = np.full(count, -1, np.int64), np.zeros(count + 1, np.int64)
    first, nowhere = np.empty(count, np.int64), np.zeros(3, np.int64)
    for atom in range(n):
        for bond in range(start[atom], start[atom + 1]):
            first[bond] = atom
            other = second[bond]
            for back in range(start[other], start[other + 1]):
                if second[back] == atom and _lead_to(image[back], image[bond], nowhere):
                    reverse[bond] = back
                    break
            row[bond + 1] = row[bond] + (reverse[bond] >= 0)
    kept = np.flatnonzero(reverse >= 0)
    for atom in range(n + 1):
        start[atom] = row[start[atom]]
    return start, first[kept], second[kept], image[kept], row[reverse[kept]]


def _valence(graph: BondGraph) -> NDArray[np.bool_]:
    """Which bonds remain when no atom has more non-metal neighbours than its element allows."""
    numbers, keep = graph.numbers, np.ones(len(graph.first), bool)
    counts = graph.count(graph.to_nonmetal)
    limit = np.full(128, 99)
    limit[list(_MOST)] = list(_MOST.values())
    everything = np.diff(graph.start)
    crowded = np.where(numbers == 1, everything, counts) > limit[numbers]
    ratio = graph.length / (COVALENT[numbers[graph.first]] + COVALENT[numbers[graph.second]])
    for atom in np.flatnonzero(crowded):
        bonds = np.arange(graph.start[atom], graph.start[atom + 1])
        partners = numbers[graph.second[bonds]]
        if numbers[atom] == 1:
            bonds = bonds[np.lexsort((graph.length[bonds], partners == 1))]
            nearest = numbers[graph.second[bonds[0]]]
            if nearest == 5 or METAL[nearest]:  # a bridging hydride
                others = numbers[graph.second[bonds]]
                keep[bonds[(others != 5) & ~METAL[others]]] = False
            else:
                keep[bonds[1:]] = False
        elif 5 not in partners:
            bonds = bonds[~METAL[partners]]
            keep[bonds[np.argsort(ratio[bonds], kind="stable")[limit[numbers[atom]] :]]] = False
    return keep & keep[graph.reverse]


def _hidden(graph: BondGraph) -> NDArray[np.bool_]:
    """Bonds between a metal and an atom behind a closer donor, both ways."""
    held = graph.count(graph.to_nonmetal)
    hidden = _behind(graph.numbers, graph.start, graph.first, graph.second, graph.image, graph.length, held)
    return hidden | hidden[graph.reverse]


@compiled(small=20_000)
def _behind(
    numbers: NDArray[np.uint8],
    start: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    image: NDArray[np.int64],
    length: NDArray[np.float64],
    held: NDArray[np.int64],
) -> NDArray[np.bool_]:
    hidden = np.zeros(len(first), np.bool_)
    for bond in range(len(first)):
        metal, atom = first[bond], second[bond]
        if not METAL[numbers[metal]] or METAL[numbers[atom]]:
            continue
        if numbers[atom] == 1:
            hidden[bond] = held[atom] > 0
            continue
        for other in range(start[atom], start[atom + 1]):
            between = second[other]
            if METAL[numbers[between]] or numbers[between] in (1, 5, 6):
                continue
            for direct in range(start[metal], start[metal + 1]):
                closer = second[direct] == between and length[direct] < length[bond] - SHIELD
                if closer and _lead_to(image[bond], image[other], image[direct]):
                    hidden[bond] = True
    return hidden


def _bridged(graph: BondGraph) -> NDArray[np.bool_]:
    """Pairs of metals that a non-metal holds together without a bond of their own, both ways."""
    dropped = _held_together(graph.numbers, graph.start, graph.first, graph.second, graph.image, graph.length)
    return dropped | dropped[graph.reverse]


@compiled(small=20_000)
def _held_together(
    numbers: NDArray[np.uint8],
    start: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    image: NDArray[np.int64],
    length: NDArray[np.float64],
) -> NDArray[np.bool_]:
    dropped = np.zeros(len(first), np.bool_)
    for bond in range(len(first)):
        one, two = first[bond], second[bond]
        if not METAL[numbers[one]] or not METAL[numbers[two]]:
            continue
        electropositive = ELECTROPOSITIVE[numbers[one]] and ELECTROPOSITIVE[numbers[two]]
        if not electropositive and length[bond] < BRIDGED * (COVALENT[numbers[one]] + COVALENT[numbers[two]]):
            continue
        for mine in range(start[one], start[one + 1]):
            if METAL[numbers[second[mine]]]:
                continue
            for theirs in range(start[two], start[two + 1]):
                if second[mine] == second[theirs] and _lead_to(image[bond], image[theirs], image[mine]):
                    dropped[bond] = True
                    break
            if dropped[bond]:
                break
    return dropped
