"""Findings about a whole crystal: missing hydrogens, atoms too close to each other, isolated atoms."""

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
"""Shortest accepted distance over the sum of covalent radii. Real bonds go down to 0.67 (the uranyl ion)."""

CLOSEST_HYDROGENS = 1.0
"""Å; shortest accepted distance of two hydrogens that are bonded to other atoms; CH2 has 1.7."""

LINEAR = 150.0
"""Degrees; a carbon with two neighbours at a smaller angle lacks a third neighbour."""

SINGLE = 1.3
"""Å; a carbon whose only neighbour is farther away is not the end of a cyanide, carbonyl or alkyne."""

LONELY = 2.4
"""Å; an oxygen with no nearer neighbour is a water molecule without its hydrogens."""

NAMED = 6
"""Maximum number of sites that a finding lists."""


@dataclass(frozen=True)
class Finding:
    """A problem of a crystal as a whole.

    Attributes:
        problem: ``close_atoms``, ``missing_hydrogen``, ``lone_oxygen`` or ``same_geometry``.
        text: one sentence.
        sites: sites that have the problem.
    """

    problem: str
    text: str
    sites: tuple[int, ...] = ()


def find_problems(crystal: Crystal) -> list[Finding]:
    """Find the problems of a crystal that need no other crystals.

    See `ReferenceSites.same_geometry` for those that do.
    """
    bonds = perceive_bonds(crystal)
    distances, indices, _ = neighbours_of(crystal, 4, crystal.representatives)
    found = [
        _close_atoms(crystal, distances, indices),
        _missing_hydrogens(crystal, bonds),
        _lone_oxygens(crystal, distances),
    ]
    return [finding for finding in found if finding is not None]


def _close_atoms(
    crystal: Crystal, distances: NDArray[np.float64], indices: NDArray[np.int64]
) -> Finding | None:
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
    return Finding(
        "close_atoms",
        f"{one} and {partner} are {distances[site, place]:.2f} Å apart, closer than any bond"
        + (f"; {len(sites)} sites are so close to another" if len(sites) > 2 else ""),
        tuple(sites.tolist()),
    )


def _missing_hydrogens(crystal: Crystal, bonds: Bonds) -> Finding | None:
    promised = "missing_hydrogen" in crystal.flags
    sites = _open_carbons(crystal, bonds)
    if not promised and not sites:
        return None
    parts = []
    if promised:
        parts.append("the file's formula promises more hydrogens than it gives positions")
    if sites:
        more = f" and {len(sites) - NAMED} more" if len(sites) > NAMED else ""
        parts.append(f"{_labels(crystal, sites)}{more} must carry hydrogens that are not there")
    return Finding("missing_hydrogen", "; ".join(parts), tuple(sites))


def _open_carbons(crystal: Crystal, bonds: Bonds) -> list[int]:
    """Find carbons with two neighbours at an angle, or one at the length of a single bond."""
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


def _lone_oxygens(crystal: Crystal, distances: NDArray[np.float64]) -> Finding | None:
    sites = np.flatnonzero((crystal.site_numbers == 8) & (distances[:, 0] > LONELY)).tolist()
    if not sites:
        return None
    verb = "has" if len(sites) == 1 else "have"
    return Finding(
        "lone_oxygen",
        f"{_labels(crystal, sites)} {verb} no {SYMBOLS[1]} and nothing else within {LONELY} Å: water "
        "without its hydrogens, or an ion's or a solvent's atom without the rest",
        tuple(sites),
    )


def _labels(crystal: Crystal, sites: list[int]) -> str:
    """List the labels of the first `NAMED` sites."""
    return ", ".join(crystal.labels[site] for site in sites[:NAMED])
