"""How suspicious each site's element is: what the model says blindly, what it says given the other elements,
how alike the two elements are, and what changing the element does to the sites around and to the whole.

They go into one logistic score, whose weights `calibrate_check` learns from swapped elements in crystals
that no training saw. A wrong element also spoils the context of its neighbours: so for the most suspicious
sites the change is tried, and the neighbours' pseudo-log-likelihoods (Besag 1975, 10.2307/2987782) say
whether they fit better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.similarity import LIKENESS, LIKENESSES
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility

SURE = 0.993
"""A site whose element is blindly so probable is not hidden: its surroundings never spoke against one that
was, among 25,000 sites of validation crystals."""

TRIES = 3
"""Sites of a crystal at which the change is tried."""

WORTH_TRYING = -2.0
"""Sum of both log-odds above which it is."""

MOST = 2.0
"""What one neighbour's log-likelihood may add or take away: a single site must not decide."""

UNTIL_TRIED = 0.7
"""Share of the work that is held to be done when the first suggestion is tried."""

MOST_PLAUSIBLE = 12.0
"""What the change of the crystal's log-odds may be at most."""

FLOOR = 1e-12
"""Least probability, so that logarithms stay finite."""

FEATURES = (
    *("blind", "given_others", "neighbours", "plausible", *LIKENESSES),
    *("present", "repeated", "log_sites"),
)
"""What the weights belong to: log-odds of the suggested element against the assigned one, blindly and given
the other elements; where the suggestion was tried, else 0, the change of the neighbours' log-likelihoods
(capped) and of the crystal's log-odds of being real and no decoy (`plausibility`); the likenesses; 1 where
another site holds the suggested element; 1 where another site holds the assigned one; logarithm of the
number of sites."""


@dataclass(frozen=True)
class Weights:
    """Of the logistic score.

    Attributes:
        values: (len(FEATURES),).
        offset: added to the sum.
    """

    values: NDArray[np.float64]
    offset: float


@dataclass(frozen=True)
class Examined:
    """What was found out about the n sites of one crystal.

    Attributes:
        blind: (n, elements) probabilities from the distances alone.
        given: (n, elements) probabilities given the elements of all other sites.
        suggested: (n,) column of the best other element.
        score: (n,) log-odds that the element is wrong, as the weights have it, without a meaning between
            crystals; -inf where the model does not know the element.
        features: (n, len(FEATURES)).
        tried: (n,) whether the suggestion was tried.
        gain: (n,) what the change adds to the log-likelihoods of the site and of the sites around; NaN where
            it was not tried.
    """

    blind: NDArray[np.float32]
    given: NDArray[np.float32]
    suggested: NDArray[np.int64]
    score: NDArray[np.float64]
    features: NDArray[np.float64]
    tried: NDArray[np.bool_]
    gain: NDArray[np.float64]


def examine(
    model: MaskedSiteModel,
    distances: NDArray[np.float32],
    neighbours: NDArray[np.int64],
    element: NDArray[np.int64],
    weights: Weights,
    *,
    directions: NDArray[np.int8] | None = None,
    plausibility: Plausibility | None = None,
    share: NDArray[np.floating] | None = None,
    blind: NDArray[np.float32] | None = None,
    also: int | None = None,
    watch: Callable[[float], None] | None = None,
) -> Examined:
    """Examine one crystal.

    Args:
        model: the model.
        distances: (n, model.k) float32, Å.
        neighbours: (n, model.k) int64, site of each neighbour.
        element: (n,) int64, atomic numbers as assigned.
        weights: of the score.
        directions: (n, model.k, 3) int8, for a model that looks at them.
        plausibility: network of the feature ``plausible``; without it that is 0.
        share: (n,) of the crystal's atoms that each site stands for; None takes them as equal.
        blind: (n, elements) blind probabilities, where they are known already.
        also: a site at which the suggestion is tried in any case.
        watch: receives the share of the work that is done, before each run of the network on the crystal;
            what it raises ends the work.
    """
    rows = np.arange(len(element))
    names = np.asarray(model.elements)
    if blind is None:
        begin: dict[str, NDArray[Any]] = {"distances": distances, "neighbours": neighbours, "site": rows}
        if directions is not None:
            begin["directions"] = directions
        blind = model.probabilities(begin)
    own = np.full(256, -1)
    own[names] = np.arange(len(names))
    column = own[element]
    known = column >= 0

    hidden = np.flatnonzero(model.own_probabilities(blind, element) < SURE)
    given = blind.copy()
    if len(hidden):
        given[hidden] = model.hidden_one_by_one(
            distances, neighbours, element, hidden, directions, _part(watch, 0.0, UNTIL_TRIED)
        )
    log_blind, log_given = (np.log(np.maximum(p, FLOOR)).astype(np.float64) for p in (blind, given))
    blind_odds, given_odds = (p - p[rows, column][:, None] for p in (log_blind, log_given))

    times = np.bincount(element, minlength=256)
    shape = blind.shape
    features = np.zeros((*shape, len(FEATURES)))
    features[..., 0], features[..., 1] = blind_odds, given_odds
    features[..., 4 : 4 + len(LIKENESSES)] = LIKENESS[element[:, None], names]
    features[..., -3] = times[names] > 0
    features[..., -2] = times[element][:, None] > 1
    features[..., -1] = np.log(len(element))
    scores = features @ weights.values + weights.offset
    scores[rows, column] = -np.inf
    suggested = scores.argmax(axis=1)
    features, score = features[rows, suggested], scores[rows, suggested]
    score[~known] = -np.inf

    tried, gain = np.zeros(len(element), dtype=bool), np.full(len(element), np.nan)
    chosen = np.argsort(-score, kind="stable")[:TRIES].tolist()
    candidates = {*chosen, *([] if also is None else [also])}
    each = (1 - UNTIL_TRIED) / max(len(candidates), 1)
    for place, site in enumerate(candidates):
        if not known[site] or features[site, :2].sum() < WORTH_TRYING:
            continue
        around = hidden[known[hidden] & (hidden != site)]
        around = around[np.isin(around, neighbours[site]) | (neighbours[around] == site).any(axis=1)]
        change = np.zeros(0)
        if len(around):
            changed = element.copy()
            changed[site] = names[suggested[site]]
            then = model.hidden_one_by_one(
                distances,
                neighbours,
                changed,
                around,
                directions,
                _part(watch, UNTIL_TRIED + place * each, each),
            )
            then = np.log(np.maximum(then[np.arange(len(around)), column[around]], FLOOR))
            change = then - log_given[around, column[around]]
        features[site, 2] = np.clip(change, -MOST, MOST).sum()
        tried[site], gain[site] = True, change.sum() + features[site, 1]
    if plausibility is not None and tried.any():
        versions = [element]
        for site in np.flatnonzero(tried):
            versions.append(element.copy())
            versions[-1][site] = names[suggested[site]]
        share = np.full(len(element), 1 / len(element)) if share is None else share
        logits = plausibility.versions(distances, neighbours, versions, share, directions)
        features[tried, 3] = np.clip(logits[1:] - logits[0], -MOST_PLAUSIBLE, MOST_PLAUSIBLE)
    score[tried] = features[tried] @ weights.values + weights.offset
    return Examined(blind, given, suggested, score, features, tried, gain)


def _part(watch: Callable[[float], None] | None, start: float, size: float) -> Callable[[float], None] | None:
    """A watcher of one part of the work, told as a share of the whole."""
    return None if watch is None else lambda share: watch(start + size * share)
