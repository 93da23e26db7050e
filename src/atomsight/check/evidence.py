"""Sentences on the evidence against the element of a site.

The evidence is: its distances, its number of neighbours, the predictions, and the effect of a change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.check.suspicion import CheckInput, SiteScores
from atomsight.check.usual_distances import MOST_NEIGHBOURS, bonded_neighbours, load
from atomsight.core.elements import SYMBOLS

RARE = 0.02
"""Share of an element's training sites below which a number of neighbours is reported as unusual."""

NAMED = 3
"""Maximum number of distances and elements in a sentence."""


def explain(site: int, found: SiteScores, elements: tuple[int, ...], given: CheckInput) -> list[str]:
    """Describe the evidence at one site, the most concrete first.

    Args:
        site: index of the site.
        found: scores of the sites.
        elements: atomic numbers of the model's columns.
        given: the crystal.
    """
    own, other = int(given.element[site]), int(elements[found.suggested[site]])
    distances, around = given.distances[site], given.element[given.neighbours[site]]
    near = [_bonded(z, distances, around) for z in (own, other)]
    either = near[0] | near[1]
    sentences = [
        *_distances(own, other, distances[either], around[either]),
        *_coordination(own, other, *(int(mask.sum()) for mask in near)),
        f"the geometry alone means {_ranked(found.blind[site], elements)}; with the other elements known: "
        f"{_ranked(found.conditional[site], elements)}",
    ]
    if found.tried[site]:
        gain = float(found.gain[site])
        change = "gains" if gain > 0 else "loses"
        sentences.append(
            f"with {SYMBOLS[other]} in place of {SYMBOLS[own]} the crystal {change} {abs(gain):.1f} in "
            f"log-likelihood, {gain - found.features[site, 1]:+.1f} of it at the sites around"
        )
    return sentences


def _bonded(z: int, distances: NDArray[np.floating], around: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Select the neighbours within bonding distance of a site with element z."""
    return np.asarray(bonded_neighbours(np.array([z]), distances[None], around[None])[0])


def _distances(
    own: int, other: int, distances: NDArray[np.floating], around: NDArray[np.integer]
) -> list[str]:
    """Describe unusual distances to the nearest of the bonded neighbours of each element."""
    table = load().distances
    sentences = []
    partners, first = np.unique(around, return_index=True)
    for partner, length in zip(partners.tolist(), distances[first].tolist(), strict=True):
        usual, better = table.get((own, partner)), table.get((other, partner))
        if usual is None or usual[0] <= length <= usual[4]:
            continue
        side = "shorter" if length < usual[0] else "longer"
        text = (
            f"nearest {SYMBOLS[partner]} at {length:.2f} Å: {side} than 99.5 % of "
            f"{SYMBOLS[own]}-{SYMBOLS[partner]} in training (median {usual[2]:.2f})"
        )
        if better is not None and better[0] <= length <= better[4]:
            text += f", usual for {SYMBOLS[other]} (median {better[2]:.2f})"
        sentences.append(text)
    return sentences[:NAMED]


def _coordination(own: int, other: int, number: int, other_number: int) -> list[str]:
    """Describe an unusual number of bonded neighbours."""
    table = load().coordination
    number, other_number = min(number, MOST_NEIGHBOURS), min(other_number, MOST_NEIGHBOURS)
    if own not in table or (share := table[own][number]) >= RARE:
        return []
    text = f"{number} bonded neighbours: so have {share:.1%} of the {SYMBOLS[own]} sites in training"
    if other in table and (other_share := table[other][other_number]) > share:
        text += f"; as {SYMBOLS[other]} it has {other_number}, like {other_share:.0%} of them"
    return [text]


def _ranked(probabilities: NDArray[np.floating], elements: tuple[int, ...]) -> str:
    """List the most probable elements."""
    order = np.argsort(-probabilities)[:NAMED]
    return ", ".join(
        f"{SYMBOLS[elements[j]]} {probabilities[j]:.2f}" for j in order if probabilities[j] >= 0.01
    )
