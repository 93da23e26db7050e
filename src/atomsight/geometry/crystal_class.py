"""The classes of crystals that scores, verdicts and suspicions are calibrated for.

| classes | used by | values |
|---|---|---|
| `CLASSES` | scores of `rank` | molecular, framework, inorganic |
| `VERDICT_CLASSES` | verdicts of `rank` | these, complex, element |
| `REFERENCE_CLASSES` | suspicions of `check` | five, by carbon, metal and hydrogen |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import NUMBERS, formula_counts
from atomsight.geometry.bonds.molecules import Molecules, joined_by_metals, molecules_of
from atomsight.geometry.bonds.radii import METAL

CLASSES: tuple[str, ...] = ("molecular", "framework", "inorganic")

VERDICT_CLASSES: tuple[str, ...] = (*CLASSES, "complex", "element")
"""Two more classes have limits of their own. Molecular scores suit molecules that contain a metal badly. Half
of the inorganic crystals of one element are gases that were frozen or compressed: they pack in any way and
would set the limit for all others."""

WITHOUT_HYDROGEN = ", without hydrogen"

REFERENCE_CLASSES: tuple[str, ...] = (
    "with carbon and metal",
    "with carbon and metal" + WITHOUT_HYDROGEN,
    "organic",
    "organic" + WITHOUT_HYDROGEN,
    "inorganic",
)
"""`check` compares a crystal with correct ones of its reference class. What is odd in a framework differs
from what is odd in a molecule, and more correct sites look wrong where hydrogens are missing."""

BOND = 1.75
"""Å; carbon counts only with carbon, hydrogen or nitrogen this near, so that a carbonate is inorganic."""


def may_be_molecular(crystal: Crystal) -> bool:
    """Return whether a crystal holds carbon, and hydrogen or nitrogen: its class depends on bonds."""
    counts = np.bincount(crystal.numbers, minlength=10)
    return bool(counts[6] and (counts[1] or counts[7]))


def crystal_class(crystal: Crystal) -> tuple[str, Molecules | None]:
    """Class of a crystal, and the molecules of a molecular one.

    A crystal without carbon beside hydrogen or nitrogen is inorganic. One that is connected without end is a
    framework, even if only by long bonds of metals. All others are molecular.

    Returns:
        One of `CLASSES`, and the molecules, or None for the other classes.
    """
    if not may_be_molecular(crystal):
        return "inorganic", None
    molecules = molecules_of(crystal)
    if molecules.finite and not joined_by_metals(crystal, molecules):
        return "molecular", molecules
    return "framework", None


def verdict_class(found: str, formula: str) -> str:
    """Which limits a candidate is judged by.

    Args:
        found: its class, one of `CLASSES`.
        formula: its formula.

    Returns:
        One of `VERDICT_CLASSES`.
    """
    elements = formula_counts(formula)
    if found == "inorganic":
        return "element" if len(elements) == 1 else found
    if found == "molecular" and any(METAL[NUMBERS[symbol]] for symbol in elements):
        return "complex"
    return found


def reference_class(
    element: NDArray[np.integer], distances: NDArray[np.floating], neighbours: NDArray[np.integer]
) -> str:
    """Which correct crystals `check` compares a crystal with.

    Args:
        element: (n,) atomic numbers of the sites.
        distances: (n, k) Å, ascending.
        neighbours: (n, k) site of each neighbour.

    Returns:
        One of `REFERENCE_CLASSES`.
    """
    carbons = np.flatnonzero(element == 6)
    near = np.isin(element[neighbours[carbons]], (1, 6, 7)) & (distances[carbons] < BOND)
    if not near.any():
        return "inorganic"
    bare = not (element == 1).any()
    return REFERENCE_CLASSES[bare] if METAL[element].any() else REFERENCE_CLASSES[2 + bare]


def weights_class(found: str) -> str:
    """Which weights the suspicion of a reference class has: ``inorganic`` or ``with carbon``.

    Different evidence counts against an element in small inorganic cells than in molecules and frameworks.
    """
    return found if found == "inorganic" else "with carbon"
