"""Signs that concern a whole crystal: hydrogens that are missing, atoms impossibly close, atoms that hang
alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Bonds, Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.geometry.bonds import perceive_bonds
from atomsight.geometry.bonds.radii import COVALENT, METAL
from atomsight.geometry.neighbours import neighbours_of

CLOSEST = 0.62
"""Times the sum of covalent radii. Real bonds go down to 0.67 (the uranyl ion)."""

CLOSEST_HYDROGENS = 1.0
"""Å between two hydrogens that are both bonded to something else; CH2 has 1.7."""

LINEAR = 150.0
"""Degrees; a carbon with two neighbours at a smaller angle lacks a third."""

SINGLE = 1.3
"""Å; a carbon whose only neighbour is farther away is no cyanide, carbonyl or alkyne end."""

LONELY = 2.4
"""Å; an oxygen with nothing nearer, not even hydrogen, is a water molecule without its hydrogens."""

NAMED = 6
"""Sites that a sign names."""


@dataclass(frozen=True)
class Sign:
    """Something that concerns the crystal as a whole.

    Attributes:
        kind: ``close_atoms``, ``missing_hydrogen``, ``lone_oxygen`` or ``same_geometry``.
        text: one sentence.
        sites: the sites that show it.
    """

    kind: str
    text: str
    sites: tuple[int, ...] = ()


def signs_of(crystal: Crystal) -> list[Sign]:
    """The signs that a crystal shows by itself; see `against` for those that need other crystals."""
    bonds = perceive_bonds(crystal)
    distances, indices, _ = neighbours_of(crystal, 4, crystal.representatives)
    found = [
        _close_atoms(crystal, distances, indices),
        _missing_hydrogens(crystal, bonds),
        _lone_oxygens(crystal, distances),
    ]
    return [sign for sign in found if sign is not None]


def _close_atoms(crystal: Crystal, distances: NDArray[np.float64], indices: NDArray[np.int64]) -> Sign | None:
    own, other = crystal.site_numbers[:, None], crystal.numbers[indices]
    least = CLOSEST * (COVALENT[own] + COVALENT[other])
    hydrogens = (own == 1) & (other == 1)
    alone = (distances[:, :1] < CLOSEST_HYDROGENS) & (distances[:, 1:2] > 1.6)  # a hydrogen molecule
    least = np.where(hydrogens & ~alone, CLOSEST_HYDROGENS, least)
    close = distances < least
    sites = np.flatnonzero(close.any(axis=1))
    if not len(sites):
        return None
    ratio = np.where(close, distances / least, np.inf)
    site, place = np.unravel_index(int(ratio.argmin()), ratio.shape)
    one, partner = crystal.labels[int(site)], crystal.labels[int(crystal.orbits[indices[site, place]])]
    return Sign(
        "close_atoms",
        f"{one} and {partner} are {distances[site, place]:.2f} Å apart, closer than any bond"
        + (f"; {len(sites)} sites are so close to another" if len(sites) > 2 else ""),
        tuple(sites.tolist()),
    )


def _missing_hydrogens(crystal: Crystal, bonds: Bonds) -> Sign | None:
    promised = "missing_hydrogen" in crystal.flags
    sites = _open_carbons(crystal, bonds)
    if not promised and not sites:
        return None
    parts = []
    if promised:
        parts.append("the file's formula promises more hydrogens than it gives positions")
    if sites:
        named = ", ".join(crystal.labels[site] for site in sites[:NAMED])
        more = f" and {len(sites) - NAMED} more" if len(sites) > NAMED else ""
        parts.append(f"{named}{more} must carry hydrogens that are not there")
    return Sign("missing_hydrogen", "; ".join(parts), tuple(sites))


def _open_carbons(crystal: Crystal, bonds: Bonds) -> list[int]:
    """Carbons with two neighbours at an angle, or with one that is no multiple bond away."""
    number = crystal.site_numbers
    where = crystal.fractional @ crystal.lattice
    start = np.searchsorted(bonds.sites, np.arange(crystal.n_sites + 1))
    found = []
    for site in np.flatnonzero(number == 6).tolist():
        part = slice(start[site], start[site + 1])
        partners = crystal.numbers[bonds.atoms[part]]
        if METAL[partners].any() or not 1 <= len(partners) <= 2:
            continue
        if len(partners) == 1:
            if bonds.lengths[part][0] > SINGLE:
                found.append(site)
            continue
        arms = where[bonds.atoms[part]] + bonds.images[part] @ crystal.lattice
        arms = arms - where[crystal.representatives[site]]
        cosine = arms[0] @ arms[1] / np.prod(np.linalg.norm(arms, axis=1))
        if np.degrees(np.arccos(np.clip(cosine, -1, 1))) < LINEAR:
            found.append(site)
    return found


def _lone_oxygens(crystal: Crystal, distances: NDArray[np.float64]) -> Sign | None:
    sites = np.flatnonzero((crystal.site_numbers == 8) & (distances[:, 0] > LONELY)).tolist()
    if not sites:
        return None
    named = ", ".join(crystal.labels[site] for site in sites[:NAMED])
    verb = "has" if len(sites) == 1 else "have"
    return Sign(
        "lone_oxygen",
        f"{named} {verb} no {SYMBOLS[1]} and nothing else within {LONELY} Å: water without its hydrogens, or "
        "an ion's or a solvent's atom without the rest",
        tuple(sites),
    )
