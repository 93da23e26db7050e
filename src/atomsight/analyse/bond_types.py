"""Bond types of distance peaks, for pairs of elements where the literature is unambiguous.

The ranges contain the mean lengths of Allen, Kennard, Watson, Brammer, Orpen and Taylor (J. Chem. Soc. Perkin
Trans. 2, 1987, S1-S19, 10.1039/P298700000S1), with a margin for temperature and method. A peak outside all
ranges has no type: most distances to metals depend on coordination and charge, and 1.42-1.46 Å between two
carbons is a single bond between sp² atoms as well as a long aromatic one.

Bonds to hydrogen have two types. X-ray refinement places hydrogen at fixed distances that follow the electron
density (C-H 0.93-0.98, N-H 0.86-0.88, O-H 0.82-0.85 Å). Neutron diffraction and DFT locate the nuclei, which
are 0.1 Å further away.
"""

from __future__ import annotations

from atomsight.core.elements import NUMBERS

TOO_SHORT = "too short for a bond"
"""Peaks this far below the shortest bond of a pair: overlapping atoms, such as disorder left in a file."""

_MARGIN = 0.12

_RANGES: dict[str, list[tuple[str, float, float]]] = {
    "C-C": [("triple", 1.16, 1.24), ("double or aromatic", 1.30, 1.42), ("single", 1.46, 1.58)],
    "C-N": [("triple", 1.12, 1.19), ("double or aromatic", 1.26, 1.36), ("single", 1.44, 1.52)],
    "C-O": [("double or carboxylate", 1.19, 1.285), ("single", 1.34, 1.46)],
    "C-H": [("riding H (X-ray)", 0.92, 1.00), ("H at its nucleus", 1.05, 1.12)],
    "N-H": [("riding H (X-ray)", 0.84, 0.92), ("H at its nucleus", 0.99, 1.05)],
    "O-H": [("riding H (X-ray)", 0.80, 0.88), ("H at its nucleus", 0.94, 1.03)],
    "C-F": [("single", 1.31, 1.40)],
    "C-Cl": [("single", 1.70, 1.80)],
    "C-Br": [("single", 1.86, 1.98)],
    "C-S": [("double", 1.64, 1.69), ("single", 1.72, 1.84)],
    "C-P": [("single", 1.77, 1.86)],
    "N-N": [("double", 1.22, 1.28)],
    "N-O": [("nitro or nitrate", 1.20, 1.26)],
    "O-S": [("sulfone or sulfate", 1.42, 1.49)],
    "B-F": [("tetrafluoroborate", 1.34, 1.41)],
}
RANGES: dict[frozenset[int], list[tuple[str, float, float]]] = {
    frozenset(NUMBERS[symbol] for symbol in pair.split("-")): ranges for pair, ranges in _RANGES.items()
}
"""Bond type, smallest and largest length in Å, by unordered pair of atomic numbers."""


def bond_type(centre: int, neighbour: int, distance: float) -> str | None:
    """Return the bond type of a peak.

    Args:
        centre: Atomic number of one element.
        neighbour: Atomic number of the other.
        distance: Position of the peak, Å.

    Returns:
        The type; None where it is ambiguous.
    """
    ranges = RANGES.get(frozenset((centre, neighbour)), [])
    for name, low, high in ranges:
        if low <= distance <= high:
            return name
    return TOO_SHORT if ranges and distance < min(low for _, low, _ in ranges) - _MARGIN else None
