"""How firmly molecules hold together: the energy of a pair potential, for want of anything that knows better.

Between molecules a Lennard-Jones potential acts. Its attraction is the dispersion of Grimme 2006
(10.1002/jcc.20495), one coefficient for each element and geometric means for pairs; its minimum lies at
`WIDER` times the sum of the van der Waals radii. Hydrogen bonds may be as short as they like, since there are
no charges in it that would make them so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import Molecules
from atomsight.rank.molecules.contacts import ACCEPTORS, RADII, Contacts, atom_types, contacts_of

REACH = 9.0
"""Å; beyond, the attraction of a liquid of the same density and elements is added."""

WIDER = 1.05
"""The minimum over the sum of radii. Real molecular crystals of ``train`` and ``val`` neither want to shrink
nor to grow at 1.005 in the mean over them, at 1.15 in the median (their charges, which are not in here, pull
them together); between these the order of landscapes hardly changes."""

HARDEST = 0.7
"""Times the distance of the minimum: nearer pairs count as if they were this far, so that one clash does not
outweigh all else."""

BOND = 1.5
"""Å; a hydrogen bond is not held for shorter."""

DISPERSION = np.full(128, 10.0)
"""C6 by atomic number, J nm⁶/mol: Grimme 2006, table 1; others 10."""
for _z, _c6 in {
    1: 0.14,
    5: 3.13,
    6: 1.75,
    7: 1.23,
    8: 0.70,
    9: 0.75,
    14: 9.23,
    15: 7.84,
    16: 5.57,
    17: 5.07,
    32: 17.10,
    33: 16.37,
    34: 12.64,
    35: 12.47,
    50: 38.71,
    51: 38.44,
    52: 31.74,
    53: 31.50,
}.items():
    DISPERSION[_z] = _c6

_KILO = 1000.0
"""kJ Å⁶/mol in one J nm⁶/mol."""


def cohesion(crystal: Crystal, molecules: Molecules, contacts: Contacts | None = None) -> float:
    """What is gained when the molecules come together, kJ/mol of atoms; higher is firmer.

    Args:
        crystal: with its X-H bonds at neutron lengths, see `molecules.normalised`.
        molecules: its molecules.
        contacts: those within `REACH`, where they are known.
    """
    site, other, distance = contacts or contacts_of(crystal, molecules, REACH)
    types, own = atom_types(molecules), crystal.representatives
    acceptor = np.isin(types, ACCEPTORS)
    root = np.sqrt(_KILO * DISPERSION[crystal.numbers])
    radii = WIDER * RADII[crystal.numbers]
    energy = _energy(own[site], other, distance, types == 1, acceptor, root, radii)
    weight = crystal.multiplicities[site] / crystal.n_atoms
    tail = 2 * math.pi / 3 * root.mean() * root.sum() / crystal.volume / REACH**3
    return float(tail - 0.5 * (weight * energy).sum())


def _energy(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    distance: NDArray[np.float64],
    donor: NDArray[np.bool_],
    acceptor: NDArray[np.bool_],
    root: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(c,) energy of each contact, kJ/mol."""
    attraction = root[one] * root[other]
    minimum = radii[one] + radii[other]
    bond = (donor[one] & acceptor[other]) | (donor[other] & acceptor[one])
    sixth = _sixth_power(minimum / np.maximum(distance, HARDEST * minimum))
    repelled = attraction / _sixth_power(minimum) * (0.5 * sixth * sixth - sixth)
    return np.where(bond, -attraction / _sixth_power(np.maximum(distance, BOND)), repelled)


def _sixth_power(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sixth power by multiplication: ``**`` calls a slower function."""
    square = values * values
    return square * (square * square)
