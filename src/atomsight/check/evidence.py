"""What speaks against a site's element, in words: its distances, its number of neighbours, what the model
makes of both, and what changing the element does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.check import usual_distances as usual
from atomsight.check.suspicion import Examined
from atomsight.core.elements import SYMBOLS

RARE = 0.02
"""Share of an element's sites in training below which a number of neighbours speaks against it."""

NAMED = 3
"""Distances and elements named at most."""


def evidence_of(
    site: int,
    found: Examined,
    elements: tuple[int, ...],
    element: NDArray[np.integer],
    distances: NDArray[np.floating],
    neighbours: NDArray[np.integer],
) -> list[str]:
    """Sentences about one site, the most concrete first.

    Args:
        site: which.
        found: what `examine` found.
        elements: atomic numbers of the model's columns.
        element: (n,) atomic numbers as assigned.
        distances: (n, k) Å.
        neighbours: (n, k) site of each neighbour.
    """
    own, other = int(element[site]), int(elements[found.suggested[site]])
    around = element[neighbours[site]]
    words = [
        *_distances(own, other, distances[site], around),
        *_coordination(own, other, distances[site], around),
    ]
    meant = _ranked(found.blind[site], elements)
    words.append(
        f"the geometry alone means {meant}; with the other elements known: "
        f"{_ranked(found.given[site], elements)}"
    )
    if found.tried[site]:
        gain = float(found.gain[site])
        change = "gains" if gain > 0 else "loses"
        words.append(
            f"with {SYMBOLS[other]} in place of {SYMBOLS[own]} the crystal {change} {abs(gain):.1f} in "
            f"log-likelihood, {gain - found.features[site, 1]:+.1f} of it at the sites around"
        )
    return words


def _distances(
    own: int, other: int, distances: NDArray[np.floating], around: NDArray[np.integer]
) -> list[str]:
    table = usual.load().distances
    near = usual.bonded_neighbours(np.array([own]), distances[None], around[None])[0]
    near |= usual.bonded_neighbours(np.array([other]), distances[None], around[None])[0]
    words = []
    for place in np.unique(around[near], return_index=True)[1] if near.any() else []:
        place = int(np.flatnonzero(near)[place])
        partner, length = int(around[place]), float(distances[place])
        held = table.get((own, partner))
        if held is None:
            continue
        low, _, middle, _, high = held
        if low <= length <= high:
            continue
        side = "shorter" if length < low else "longer"
        text = (
            f"nearest {SYMBOLS[partner]} at {length:.2f} Å: {side} than 99.5 % of "
            f"{SYMBOLS[own]}-{SYMBOLS[partner]} in training (median {middle:.2f})"
        )
        better = table.get((other, partner))
        if better is not None and better[0] <= length <= better[4]:
            text += f", usual for {SYMBOLS[other]} (median {better[2]:.2f})"
        words.append(text)
    return words[:NAMED]


def _coordination(
    own: int, other: int, distances: NDArray[np.floating], around: NDArray[np.integer]
) -> list[str]:
    table = usual.load().coordination
    shares = []
    for z in (own, other):
        number = int(usual.bonded_neighbours(np.array([z]), distances[None], around[None])[0].sum())
        number = min(number, usual.MOST_NEIGHBOURS)
        shares.append((number, table[z][number] if z in table else None))
    (number, share), (other_number, other_share) = shares
    if share is None or share >= RARE:
        return []
    text = f"{number} bonded neighbours: so have {share:.1%} of the {SYMBOLS[own]} sites in training"
    if other_share is not None and other_share > share:
        text += f"; as {SYMBOLS[other]} it has {other_number}, like {other_share:.0%} of them"
    return [text]


def _ranked(probabilities: NDArray[np.floating], elements: tuple[int, ...]) -> str:
    order = np.argsort(-probabilities)[:NAMED]
    named = [f"{SYMBOLS[elements[j]]} {probabilities[j]:.2f}" for j in order if probabilities[j] >= 0.01]
    return ", ".join(named)
