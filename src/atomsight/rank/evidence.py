"""Sentences on the evidence against a candidate, for ``rank --explain``."""

from __future__ import annotations

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.rank.features import FEATURES, Features

SITES = 3
"""Maximum number of sites in the sentences of one kind of evidence."""

ODD = -3.0
"""Log-odds of a site below which it is reported."""

UNLIKELY = -3.0
"""log p(element | geometry) of a site below which it is reported."""

SHORT = -0.03
"""Log ratio of a distance and the shortest usual distance below which it is reported."""

_CLOSE = "closest neighbour at {:.0f} % of the shortest usual distance"


def explain(crystal: Crystal, features: Features, place: int) -> tuple[str, ...]:
    """Describe the evidence against one candidate, evidence on single sites first.

    Args:
        crystal: the candidate.
        features: features of several candidates.
        place: index of the candidate among them.
    """
    closest, log_odds = features.closest[place], features.log_odds[place]
    log_probs = features.log_probs[place]
    sentences = []
    for values, shown, limit, sentence in (
        (closest, 100 * np.exp(closest), SHORT, _CLOSE),
        (log_odds, log_odds, ODD, "implausible surroundings, log-odds {:.1f}"),
        (log_probs, log_probs, UNLIKELY, "improbable element at these distances, log p {:.1f}"),
    ):
        for site in np.argsort(values, kind="stable")[:SITES]:
            if values[site] < limit:
                element = SYMBOLS[crystal.site_numbers[site]]
                sentences.append(f"{crystal.labels[site]} ({element}): {sentence.format(shown[site])}")
    for feature, value in zip(FEATURES, features.values[place].tolist(), strict=True):
        if value > feature.threshold:
            sentences.append(feature.sentence(value))
    return tuple(sentences)
