"""Element swaps that `check` is calibrated and evaluated with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.check.similarity import SIMILARITIES, SIMILARITY
from atomsight.core.elements import NUMBERS

SWAPS: tuple[tuple[str, str], ...] = (
    *(("C", "N"), ("N", "O"), ("O", "F"), ("S", "P"), ("Cl", "S"), ("Co", "Ni"), ("Co", "Zn")),
    *(("Ni", "Zn"), ("Fe", "Mn"), ("Cu", "Zn"), ("Zr", "Hf"), ("Al", "Li")),
)
"""Pairs of elements that are confused in published structures. Neighbours in the periodic table scatter
X-rays similarly, and elements of one group occupy the same positions."""

PARTNERS: dict[int, tuple[int, ...]] = {
    z: tuple(NUMBERS[b if a == symbol else a] for a, b in SWAPS if symbol in (a, b))
    for symbol, z in NUMBERS.items()
    if any(symbol in pair for pair in SWAPS)
}
"""For each element of `SWAPS`, the atomic numbers that it is swapped for."""


def swappable(element: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the sites whose element is in `SWAPS`."""
    return np.flatnonzero(np.isin(element, list(PARTNERS)))


def random_swap(
    element: NDArray[np.integer], generator: np.random.Generator, pair: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """Draw a site, with equal probability for each, and a new element for it.

    Args:
        element: (n,) atomic numbers of the sites.
        generator: random numbers.
        pair: restricts the swaps to these two elements.

    Returns:
        The site and its new atomic number; None if no site can be swapped.
    """
    sites = swappable(element) if pair is None else np.flatnonzero(np.isin(element, pair))
    if not len(sites):
        return None
    site = int(sites[generator.integers(len(sites))])
    old = int(element[site])
    choices = PARTNERS[old] if pair is None else tuple(z for z in pair if z != old)
    return site, int(choices[generator.integers(len(choices))])


def any_swap(
    element: NDArray[np.integer], elements: tuple[int, ...], generator: np.random.Generator
) -> tuple[int, int]:
    """Draw any site, and a new element: of the same group, or as often any other.

    Weights that are fitted to `SWAPS` alone give no suspicion to other swaps.

    Args:
        element: (n,) atomic numbers of the sites.
        elements: elements to choose from.
        generator: random numbers.

    Returns:
        The site and its new atomic number.
    """
    site = int(generator.integers(len(element)))
    old = int(element[site])
    others = [z for z in elements if z != old]
    group = [z for z in others if SIMILARITY[old, z, SIMILARITIES.index("same_group")]]
    choices = group if group and generator.random() < 0.5 else others
    return site, int(choices[generator.integers(len(choices))])
