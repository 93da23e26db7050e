"""Contacts between molecules: distances by the types of the two atoms, and their likelihood.

All candidates for the crystal structure of one molecule contain this molecule. They differ only in the
contacts between molecules. The score of a crystal is a sum over its contacts of the log ratio of the
frequencies of such a contact in real crystals and in random packings (a potential of mean force, Sippl 1990,
10.1016/S0022-2836(05)80269-4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import Molecules
from atomsight.geometry.bonds.radii import METAL
from atomsight.geometry.neighbours.knn import search

TYPES: tuple[str, ...] = (
    *("H on C", "H on N, O, S", "C of three or fewer", "C of four", "N with H", "N without H"),
    *("O of one", "O of two", "halogen", "S, P, B, Si", "metal", "other"),
)
"""Types of atoms, by element and bonded neighbours."""

REACH = 6.0
"""Å; longer contacts are ignored."""

EDGES = np.concatenate([[0.0], np.linspace(1.4, REACH, 24)])
"""Edges of the distance bins, Å. The first bin holds all shorter distances."""

BINS = len(EDGES) - 1

_FAMILY = np.full(128, 11)
_FAMILY[[9, 17, 35, 53]] = 8
_FAMILY[[5, 14, 15, 16, 34, 33, 52]] = 9


ACCEPTORS = (5, 6, 7, 8)
"""Types that accept a hydrogen bond."""


def atom_types(molecules: Molecules) -> NDArray[np.int64]:
    """Return the (n,) index in `TYPES` of every atom of the motif."""
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


@dataclass(frozen=True)
class Contacts:
    """Contacts between the molecules of a crystal, from its symmetry-unique sites.

    Attributes:
        crystal: the crystal.
        molecules: its molecules.
        types: (n,) index in `TYPES` of every atom of the motif.
        site: (c,) site of each contact.
        other: (c,) atom at the other end.
        distance: (c,) Å.
    """

    crystal: Crystal
    molecules: Molecules
    types: NDArray[np.int64]
    site: NDArray[np.int64]
    other: NDArray[np.int64]
    distance: NDArray[np.float64]

    def within(self, reach: float) -> Contacts:
        """Select the contacts shorter than a distance, Å."""
        near = self.distance < reach
        ends = self.site[near], self.other[near], self.distance[near]
        return Contacts(self.crystal, self.molecules, self.types, *ends)


def contacts_of(crystal: Crystal, molecules: Molecules, reach: float = REACH) -> Contacts:
    """Find the contacts of a crystal.

    A contact is a pair of atoms of different molecules, or of different copies of one molecule.

    Args:
        crystal: a molecular crystal.
        molecules: its molecules.
        reach: largest distance, Å.
    """
    own = crystal.representatives
    density = crystal.n_atoms / crystal.volume
    k = int(1.3 * density * 4 / 3 * np.pi * reach**3) + 16
    while True:
        distances, other, images = search(crystal.lattice, crystal.fractional, k, own)
        if distances[:, -1].min() >= reach:
            break
        k *= 2
    site, rank = np.nonzero(distances < reach)
    distance, other, images = distances[site, rank], other[site, rank], images[site, rank]
    atom = own[site]
    same = molecules.molecule[atom] == molecules.molecule[other]
    same &= (molecules.shift[other] - molecules.shift[atom] == images).all(axis=1)
    types = atom_types(molecules)
    return Contacts(crystal, molecules, types, site[~same], other[~same], distance[~same])


def pair_index(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of an unordered pair of types in the triangle of all pairs."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.asarray(high * (high + 1) // 2 + low)


PAIRS = len(TYPES) * (len(TYPES) + 1) // 2


def histogram(contacts: Contacts) -> NDArray[np.float64]:
    """Count contacts per atom of the cell, (PAIRS, BINS), by the types of the two atoms and the distance.

    Args:
        contacts: contacts within `REACH`.
    """
    crystal, types, site = contacts.crystal, contacts.types, contacts.site
    place = pair_index(types[crystal.representatives][site], types[contacts.other])
    bin_ = np.clip(np.searchsorted(EDGES, contacts.distance, side="right") - 1, 0, BINS - 1)
    weight = crystal.multiplicities[site] / crystal.n_atoms
    counts = np.bincount(place * BINS + bin_, weights=weight, minlength=PAIRS * BINS)
    return counts.reshape(PAIRS, BINS).astype(np.float64)


RADII = np.full(128, 2.0)
"""Van der Waals radii by atomic number, Å: Bondi 1964 (10.1021/j100785a001), hydrogen Rowland and Taylor 1996
(10.1021/jp953141+). The default for other elements is 2 Å."""

RADII[[1, 5, 6, 7, 8, 9, 14, 15]] = 1.10, 1.92, 1.70, 1.55, 1.52, 1.47, 2.10, 1.80
RADII[[16, 17, 33, 34, 35, 52, 53]] = 1.80, 1.75, 1.85, 1.90, 1.85, 2.06, 1.98

HYDROGEN_BOND = 0.9
"""Å by which a hydrogen bond may be shorter than the sum of the radii."""

TOLERATED = 0.4
"""Å by which the worst contact of a correct crystal is commonly shorter than the sum of the radii."""

MET = 2.5
"""Å; largest distance between the hydrogen and the acceptor of a hydrogen bond."""


def packing(contacts: Contacts) -> tuple[float, float, float]:
    """Compute how full the cell is, the worst clash, and the share of unused hydrogen-bond donors.

    Args:
        contacts: contacts within `REACH`.

    Returns:
        The share of the cell within the radii, less the overlap of bonded atoms (packing coefficient of
        Kitaigorodskii); how much the worst contact is shorter than the sum of the radii minus `TOLERATED`, Å,
        with an allowance of `HYDROGEN_BOND` for hydrogens on N, O, S; the share of these hydrogens without an
        acceptor within `MET`, 0 if there are none.
    """
    crystal, types, site = contacts.crystal, contacts.types, contacts.site
    graph, radii = contacts.molecules.graph, RADII[crystal.numbers]
    volume = (4 / 3 * np.pi * radii**3).sum()
    one, other, length = radii[graph.first], radii[graph.second], graph.length
    height = np.clip(one - (one**2 - other**2 + length**2) / (2 * length), 0, 2 * one)
    volume -= (np.pi * height**2 * (one - height / 3)).sum()

    own = crystal.representatives
    first, second = types[own][site], types[contacts.other]
    bond = ((first == 1) & np.isin(second, ACCEPTORS)) | ((second == 1) & np.isin(first, ACCEPTORS))
    wanted = radii[own][site] + radii[contacts.other] - np.where(bond, HYDROGEN_BOND, 0.0)
    clash = max(float((wanted - contacts.distance).max(initial=0.0)) - TOLERATED, 0.0)
    donors = types[own] == 1
    unmet = 0.0
    if donors.any():
        met = np.zeros(len(own), bool)
        met[site[(first == 1) & bond & (contacts.distance < MET)]] = True
        copies = crystal.multiplicities
        unmet = float((copies * (donors & ~met)).sum() / copies[donors].sum())
    return float(volume / crystal.volume), clash, unmet


SMOOTHING = 0.02
"""Contacts per atom that are added to both sides of the ratio, so that rare contacts have little weight."""

LARGEST = 2.0
"""Largest absolute value of a log ratio."""


def potential(
    seen: Sequence[tuple[NDArray[np.float64], Sequence[NDArray[np.float64]]]],
) -> NDArray[np.float64]:
    """Compute the (PAIRS, BINS) log ratio of contact frequencies in real crystals and random packings.

    Args:
        seen: for each real crystal its histogram, and the histograms of random packings of its molecules at
            its density.
    """
    usable = [(real, np.mean(packings, axis=0)) for real, packings in seen if len(packings)]
    real = np.mean([pair[0] for pair in usable], axis=0)
    chance = np.mean([pair[1] for pair in usable], axis=0)
    ratio: NDArray[np.float64] = np.log((real + SMOOTHING) / (chance + SMOOTHING))
    return np.clip(ratio, -LARGEST, LARGEST)
