"""Which atoms are bonded: the periodic graph of a crystal, from distances and coordination rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.bonds.radii import COVALENT, ELECTROPOSITIVE, METAL
from atomsight.crystal import Crystal
from atomsight.neighbours import nearest_neighbours

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
_BASE = 1 << 10


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
    numbers = crystal.numbers
    candidates = _candidates(crystal)
    graph = _graph(crystal, *candidates)
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
    return COVALENT[first] + COVALENT[second] + slack


def _candidates(crystal: Crystal) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    numbers = crystal.numbers.astype(np.int64)
    present = np.unique(numbers)
    longest = np.zeros(128)
    longest[present] = limits(present[:, None], present[None, :]).max(axis=1)
    k = 12
    while True:
        distances, second, images = nearest_neighbours(crystal.lattice, crystal.fractional, k)
        if (distances[:, -1] > longest[numbers]).all() or k >= 192:
            break
        k *= 2
    first = np.repeat(np.arange(len(numbers)), k)
    second, distances = second.ravel(), distances.ravel()
    near = distances <= limits(numbers[first], numbers[second])
    return first[near].astype(np.int64), second[near], images.reshape(-1, 3)[near].astype(np.int64)


def _keys(
    first: NDArray[np.int64], second: NDArray[np.int64], image: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    place = np.clip(image, -_BASE // 2, _BASE // 2 - 1) + _BASE // 2
    return (((first * n + second) * _BASE + place[:, 0]) * _BASE + place[:, 1]) * _BASE + place[:, 2]


def _graph(
    crystal: Crystal, first: NDArray[np.int64], second: NDArray[np.int64], image: NDArray[np.int64]
) -> BondGraph:
    """The graph of the bonds that are given in both directions."""
    n = crystal.n_atoms
    forward, backward = _keys(first, second, image, n), _keys(second, first, -image, n)
    order = np.argsort(forward, kind="stable")
    reverse = np.searchsorted(forward, backward, sorter=order)
    both = forward[order[np.minimum(reverse, len(order) - 1)]] == backward
    order = order[both[order]]
    first, second, image = first[order], second[order], image[order]
    reverse = np.searchsorted(forward[order], backward[order])
    fractional = crystal.fractional
    vector = (fractional[second] + image - fractional[first]) @ crystal.lattice
    start = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=n))])
    length = np.linalg.norm(vector, axis=1)
    return BondGraph(crystal.numbers, start, first, second, image, vector, length, reverse)


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
    hidden = np.zeros(len(graph.first), bool)
    numbers = graph.numbers
    reaches = METAL[numbers[graph.first]] & graph.to_nonmetal
    held = graph.count(graph.to_nonmetal)
    for bond in np.flatnonzero(reaches):
        metal, atom = graph.first[bond], graph.second[bond]
        element = numbers[atom]
        if element == 1:
            hidden[bond] = held[atom] > 0
            continue
        for other in range(graph.start[atom], graph.start[atom + 1]):
            between = graph.second[other]
            if METAL[numbers[between]] or numbers[between] in (1, 5, 6):
                continue
            cell = graph.image[bond] + graph.image[other]
            for direct in range(graph.start[metal], graph.start[metal + 1]):
                if (
                    graph.second[direct] == between
                    and graph.length[direct] < graph.length[bond] - SHIELD
                    and (graph.image[direct] == cell).all()
                ):
                    hidden[bond] = True
    return hidden | hidden[graph.reverse]


def _bridged(graph: BondGraph) -> NDArray[np.bool_]:
    """Pairs of metals that a non-metal holds together without a bond of their own, both ways."""
    numbers = graph.numbers
    dropped = np.zeros(len(graph.first), bool)
    pairs = METAL[numbers[graph.first]] & ~graph.to_nonmetal
    for bond in np.flatnonzero(pairs):
        one, two = graph.first[bond], graph.second[bond]
        if graph.length[bond] < BRIDGED * (COVALENT[numbers[one]] + COVALENT[numbers[two]]) and not (
            ELECTROPOSITIVE[numbers[one]] and ELECTROPOSITIVE[numbers[two]]
        ):
            continue
        shared = {
            (graph.second[b], *(graph.image[b]))
            for b in range(graph.start[one], graph.start[one + 1])
            if not METAL[numbers[graph.second[b]]]
        }
        dropped[bond] = any(
            (graph.second[b], *(graph.image[b] + graph.image[bond])) in shared
            for b in range(graph.start[two], graph.start[two + 1])
        )
    return dropped | dropped[graph.reverse]
