"""Approximate cohesion energy of molecules (Lennard-Jones potential with the C6 coefficients of Grimme).

The attraction is the dispersion of Grimme 2006 (10.1002/jcc.20495), with one coefficient per element and
geometric means for pairs. The minimum lies at `WIDER` times the sum of the van der Waals radii. Hydrogen
bonds have no repulsion, because the potential has no charges that could make them short.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.rank.molecules.contacts import ACCEPTORS, RADII, Contacts

REACH = 9.0
"""Å; at longer distances the attraction of a liquid of the same density and elements is added."""

WIDER = 1.05
"""Distance of the minimum over the sum of the radii. At 1.005 the mean pressure on real molecular crystals of
``train`` and ``val`` is zero, at 1.15 the median pressure (the potential lacks their charges). Rankings
hardly change between these values."""

HARDEST = 0.7
"""Smallest distance over the distance of the minimum. Shorter distances are replaced by it, so that one clash
does not dominate the energy."""

BOND = 1.5
"""Å; smallest distance of a hydrogen bond in the energy."""

DISPERSION = np.full(128, 10.0)
"""C6 by atomic number, J nm⁶/mol: Grimme 2006, table 1; the default for other elements is 10."""
DISPERSION[[1, 5, 6, 7, 8, 9, 14, 15, 16]] = 0.14, 3.13, 1.75, 1.23, 0.70, 0.75, 9.23, 7.84, 5.57
DISPERSION[[17, 32, 33, 34, 35]] = 5.07, 17.10, 16.37, 12.64, 12.47
DISPERSION[[50, 51, 52, 53]] = 38.71, 38.44, 31.74, 31.50

_KILO = 1000.0
"""kJ Å⁶/mol per J nm⁶/mol."""


def cohesion(contacts: Contacts) -> float:
    """Compute the cohesion energy of molecules, kJ/mol of atoms; higher values are more stable.

    Args:
        contacts: contacts within `REACH` of a crystal with X-H bonds of neutron lengths, see
            `molecules.normalised`.
    """
    crystal, types, other = contacts.crystal, contacts.types, contacts.other
    one = crystal.representatives[contacts.site]
    root = np.sqrt(_KILO * DISPERSION[crystal.numbers])
    radii = WIDER * RADII[crystal.numbers]
    donor, acceptor = types == 1, np.isin(types, ACCEPTORS)
    attraction = root[one] * root[other]
    minimum = radii[one] + radii[other]
    bond = (donor[one] & acceptor[other]) | (donor[other] & acceptor[one])
    sixth = _sixth_power(minimum / np.maximum(contacts.distance, HARDEST * minimum))
    energy = attraction / _sixth_power(minimum) * (0.5 * sixth * sixth - sixth)
    energy = np.where(bond, -attraction / _sixth_power(np.maximum(contacts.distance, BOND)), energy)
    weight = crystal.multiplicities[contacts.site] / crystal.n_atoms
    tail = 2 * math.pi / 3 * root.mean() * root.sum() / crystal.volume / REACH**3
    return float(tail - 0.5 * (weight * energy).sum())


def _sixth_power(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the sixth power by multiplication, which is faster than ``**``."""
    square = values * values
    return square * (square * square)
