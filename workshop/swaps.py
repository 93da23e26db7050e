"""Which elements are mistaken for which: the swaps that `check` is calibrated on and measured by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.check.similarity import LIKENESS, LIKENESSES
from atomsight.core.elements import NUMBERS

SWAPS: tuple[tuple[str, str], ...] = (
    ("C", "N"),
    ("N", "O"),
    ("O", "F"),
    ("S", "P"),
    ("Cl", "S"),
    ("Co", "Ni"),
    ("Co", "Zn"),
    ("Ni", "Zn"),
    ("Fe", "Mn"),
    ("Cu", "Zn"),
    ("Zr", "Hf"),
    ("Al", "Li"),
)
"""Pairs that published structures confuse: neighbours in the periodic table scatter X-rays alike, and members
of one group sit in the same places."""

PARTNERS: dict[int, tuple[int, ...]] = {
    z: tuple(NUMBERS[b if a == symbol else a] for a, b in SWAPS if symbol in (a, b))
    for symbol, z in NUMBERS.items()
    if any(symbol in pair for pair in SWAPS)
}
"""Atomic numbers that each swappable element is swapped for."""


def swappable(element: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices of the sites whose element has a partner."""
    return np.flatnonzero(np.isin(element, list(PARTNERS)))


def random_swap(
    element: NDArray[np.integer], generator: np.random.Generator, kind: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """A site, each swappable one as likely as another, and what its element is swapped for.

    Args:
        element: (n,) atomic numbers of the sites.
        generator: decides.
        kind: only swaps between these two elements, either way.

    Returns:
        The site and its new atomic number; None where no site can be swapped.
    """
    sites = swappable(element) if kind is None else np.flatnonzero(np.isin(element, kind))
    if not len(sites):
        return None
    site = int(sites[generator.integers(len(sites))])
    old = int(element[site])
    choices = PARTNERS[old] if kind is None else tuple(z for z in kind if z != old)
    return site, int(choices[generator.integers(len(choices))])


def any_swap(
    element: NDArray[np.integer], elements: tuple[int, ...], generator: np.random.Generator
) -> tuple[int, int]:
    """Any site, its element swapped for one of its group or, as often, for any other.

    What is learned from `SWAPS` alone would never suspect a swap within a group or over a distance.

    Args:
        element: (n,) atomic numbers of the sites.
        elements: those to choose from.
        generator: decides.
    """
    site = int(generator.integers(len(element)))
    old = int(element[site])
    others = [z for z in elements if z != old]
    group = [z for z in others if LIKENESS[old, z, LIKENESSES.index("same_group")]]
    choices = group if group and generator.random() < 0.5 else others
    return site, int(choices[generator.integers(len(choices))])
