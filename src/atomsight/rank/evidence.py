"""What speaks against a candidate, in words."""

from __future__ import annotations

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.rank.features import NAMES, Described
from atomsight.rank.molecules.contacts import TOLERATED

SITES = 3
"""Sites named at most for each reason."""

ODD = -3.0
"""Log-odds of a site's surroundings from which on they are named."""

UNLIKELY = -3.0
"""log p(element | geometry) of a site from which on it is named."""

SHORT = -0.03
"""Logarithm of a distance over what such pairs keep from which on it is named."""

VOLUME = 0.15
"""Logarithm of the volume over the expected one from which on it is named, for inorganic crystals and for
molecules."""


def words(crystal: Crystal, described: Described, place: int) -> tuple[str, ...]:
    """Sentences on one of the described crystals, those on single sites first."""
    names = [
        f"{label} ({SYMBOLS[z]})"
        for label, z in zip(crystal.labels, crystal.site_numbers.tolist(), strict=True)
    ]
    said = []
    for values, limit, sentence in (
        (described.site_closest[place], SHORT, "{}: closest neighbour at {:.0f} % of what such pairs keep"),
        (described.site_logits[place], ODD, "{}: surroundings as in decoys, log-odds {:.1f}"),
        (described.site_blind[place], UNLIKELY, "{}: distances of another element, log p {:.1f}"),
    ):
        for site in np.argsort(values, kind="stable")[:SITES]:
            if values[site] < limit:
                value = 100 * np.exp(values[site]) if "%" in sentence else values[site]
                said.append(sentence.format(names[site], value))
    value = dict(zip(NAMES, described.values[place].tolist(), strict=True))
    if value["dense"] > VOLUME:
        said.append(f"cell {100 * (1 - np.exp(-value['dense'])):.0f} % smaller than the formula lets expect")
    if value["loose"] > VOLUME:
        said.append(f"cell {100 * (np.exp(value['loose']) - 1):.0f} % larger than the formula lets expect")
    if value["clash"] > 0:
        said.append(f"a contact between molecules {value['clash'] + TOLERATED:.2f} Å shorter than the radii")
    if value["unmet"] > 0:
        said.append(f"{100 * value['unmet']:.0f} % of the hydrogens on N, O, S find no acceptor")
    return tuple(said)
