"""Contacts between molecules: distances by the types of the two atoms, and how likely they are.

In a landscape of one molecule all candidates share the molecule, so that only what lies between molecules
tells them apart. The score of a crystal is a sum over its contacts of the logarithm of how much more often
real crystals show such a pair at such a distance than chance would (a potential of mean force, Sippl 1990,
10.1016/S0022-2836(05)80269-4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import Molecules
from atomsight.geometry.neighbours.knn import search

TYPES: tuple[str, ...] = (
    *("H on C", "H on N, O, S", "C of three or fewer", "C of four", "N with H", "N without H"),
    *("O of one", "O of two", "halogen", "S, P, B, Si", "metal", "other"),
)
"""Types of atoms, told by the element and what it is bonded to."""

REACH = 6.0
"""Å; contacts beyond do not count."""

EDGES = np.concatenate([[0.0], np.linspace(1.4, REACH, 24)])
"""Edges of the bins of distance, Å. All that is closer than the second is in the first."""

BINS = len(EDGES) - 1

_FAMILY = np.full(128, 11)
_FAMILY[[9, 17, 35, 53]] = 8
_FAMILY[[5, 14, 15, 16, 34, 33, 52]] = 9


ACCEPTORS = (5, 6, 7, 8)
"""Types that take a hydrogen bond."""


def atom_types(molecules: Molecules) -> NDArray[np.int64]:
    """(n,) place in `TYPES` of every atom of the motif."""
    from atomsight.geometry.bonds.radii import METAL

    graph = molecules.graph
    z = graph.numbers.astype(np.int64)
    bonded = np.diff(graph.start)
    partner = z[graph.second]
    to_polar = graph.count(np.isin(partner, (7, 8, 16, 9))) > 0
    to_hydrogen = graph.count(partner == 1) > 0
    types = _FAMILY[z]
    types = np.where(METAL[z], 10, types)
    types = np.where(z == 1, np.where(to_polar, 1, 0), types)
    types = np.where(z == 6, np.where(bonded >= 4, 3, 2), types)
    types = np.where(z == 7, np.where(to_hydrogen, 4, 5), types)
    return np.where(z == 8, np.where(bonded <= 1, 6, 7), types)


class Contacts(NamedTuple):
    """Contacts of the symmetry-unique sites: (c,) site, (c,) atom at the other end, (c,) distance in Å."""

    site: NDArray[np.int64]
    other: NDArray[np.int64]
    distance: NDArray[np.float64]

    def within(self, reach: float) -> Contacts:
        """Those of a smaller reach."""
        near = self.distance < reach
        return Contacts(self.site[near], self.other[near], self.distance[near])


def contacts_of(crystal: Crystal, molecules: Molecules, reach: float = REACH) -> Contacts:
    """The contacts of a crystal.

    A contact is a pair of atoms of different molecules, or of different copies of one, no farther apart than
    ``reach``, Å.
    """
    own = crystal.representatives
    density = crystal.n_atoms / crystal.volume
    k = int(1.3 * density * 4 / 3 * np.pi * reach**3) + 16
    while True:
        distances, other, images = search(crystal.lattice, crystal.fractional, k, own)
        if distances[:, -1].min() >= reach:
            break
        k *= 2
    site = np.repeat(np.arange(len(own)), k)
    distances, other, images = distances.ravel(), other.ravel(), images.reshape(-1, 3)
    near = distances < reach
    site, distances, other, images = site[near], distances[near], other[near], images[near]
    atom = own[site]
    same = molecules.molecule[atom] == molecules.molecule[other]
    same &= (molecules.shift[other] - molecules.shift[atom] == images).all(axis=1)
    return Contacts(site[~same], other[~same], distances[~same])


def pair_index(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of a pair of types, whichever comes first, in a triangle of them."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return high * (high + 1) // 2 + low


PAIRS = len(TYPES) * (len(TYPES) + 1) // 2


def histogram(
    crystal: Crystal, molecules: Molecules, contacts: Contacts | None = None
) -> NDArray[np.float64]:
    """(PAIRS, BINS) contacts per atom of the cell, by the types of the two atoms and the distance;
    ``contacts`` are those within `REACH`, where they are known."""
    site, other, distance = contacts or contacts_of(crystal, molecules)
    types = atom_types(molecules)
    place = pair_index(types[crystal.representatives][site], types[other])
    bin_ = np.clip(np.searchsorted(EDGES, distance, side="right") - 1, 0, BINS - 1)
    weight = crystal.multiplicities[site] / crystal.n_atoms
    counts = np.bincount(place * BINS + bin_, weights=weight, minlength=PAIRS * BINS)
    return counts.reshape(PAIRS, BINS).astype(np.float64)


RADII = np.full(128, 2.0)
"""Van der Waals radii by atomic number, Å: Bondi 1964 (10.1021/j100785a001), hydrogen Rowland and Taylor 1996
(10.1021/jp953141+), others 2 Å."""
for _z, _radius in {
    1: 1.10,
    5: 1.92,
    6: 1.70,
    7: 1.55,
    8: 1.52,
    9: 1.47,
    14: 2.10,
    15: 1.80,
    16: 1.80,
    17: 1.75,
    33: 1.85,
    34: 1.90,
    35: 1.85,
    52: 2.06,
    53: 1.98,
}.items():
    RADII[_z] = _radius

HYDROGEN_BOND = 0.9
"""Å by which a hydrogen bond may be shorter than the sum of the radii."""

TOLERATED = 0.4
"""Å by which the worst contact of a sound crystal commonly falls short of the radii."""

MET = 2.5
"""Å; a hydrogen on N, O that has an acceptor this near is used."""


def packing(
    crystal: Crystal, molecules: Molecules, contacts: Contacts | None = None
) -> tuple[float, float, float]:
    """How full the cell is, the worst clash, and the hydrogen bonds that are wasted; ``contacts`` as in
    `histogram`.

    Returns:
        The share of the cell within the radii, overlaps of bonded atoms taken off (Kitaigorodskii's packing
        coefficient); how far the worst contact falls short of the radii by more than `TOLERATED`, Å, with
        `HYDROGEN_BOND` granted to
        hydrogens on N, O, S; the share of such hydrogens without an acceptor within `MET`, 0 where there
        are none.
    """
    graph, numbers = molecules.graph, crystal.numbers
    radii = RADII[numbers]
    volume = (4 / 3 * np.pi * radii**3).sum()
    one, other, length = radii[graph.first], radii[graph.second], graph.length
    height = np.clip(one - (one**2 - other**2 + length**2) / (2 * length), 0, 2 * one)
    volume -= (np.pi * height**2 * (one - height / 3)).sum()

    types = atom_types(molecules)
    own = crystal.representatives
    site, second, distance = contacts or contacts_of(crystal, molecules)
    kind, partner = types[own][site], types[second]
    bond = ((kind == 1) & np.isin(partner, ACCEPTORS)) | ((partner == 1) & np.isin(kind, ACCEPTORS))
    wanted = radii[own][site] + radii[second] - np.where(bond, HYDROGEN_BOND, 0.0)
    clash = max(float((wanted - distance).max(initial=0.0)) - TOLERATED, 0.0)
    donors = types[own] == 1
    unmet = 0.0
    if donors.any():
        met = np.zeros(len(own), bool)
        met[site[(kind == 1) & bond & (distance < MET)]] = True
        copies = crystal.multiplicities
        unmet = float((copies * (donors & ~met)).sum() / copies[donors].sum())
    return float(volume / crystal.volume), clash, unmet


SMOOTHING = 0.02
"""Contacts per atom of a type pair and bin, added to both sides of the ratio: what is seldom seen says
little."""

LARGEST = 2.0
"""Largest logarithm of a ratio."""


def potential(
    seen: Sequence[tuple[NDArray[np.float64], Sequence[NDArray[np.float64]]]],
) -> NDArray[np.float64]:
    """(PAIRS, BINS) logarithm of how much more often real crystals show a contact than packings do.

    Args:
        seen: for each real crystal its histogram, and those of packings of its molecules at its density,
            which are what chance would give.
    """
    usable = [(real, np.mean(packings, axis=0)) for real, packings in seen if len(packings)]
    real = np.mean([pair[0] for pair in usable], axis=0)
    chance = np.mean([pair[1] for pair in usable], axis=0)
    ratio: NDArray[np.float64] = np.log((real + SMOOTHING) / (chance + SMOOTHING))
    return np.clip(ratio, -LARGEST, LARGEST)
