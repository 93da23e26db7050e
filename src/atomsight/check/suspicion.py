"""Scores of how likely the element of each site is wrong.

The features of a site are the prediction from the distances alone, the prediction given the other elements,
the similarity of the assigned and the suggested element, and the effect of the change on the neighbouring
sites and on the crystal. A logistic score combines them; `calibrate_check` fits its weights on swapped
elements in crystals that were not used in training. A wrong element also impairs the predictions of its
neighbours. For the most suspicious sites the change is therefore tried, and the pseudo-log-likelihoods of the
neighbours (Besag 1975, 10.2307/2987782) are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.similarity import SIMILARITIES, SIMILARITY
from atomsight.geometry.crystal_class import reference_class
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility

SURE = 0.993
"""Blind probability of the assigned element from which a site is not predicted again given the other
elements. In 25,000 sites of validation crystals no such prediction contradicted the assigned element."""

TRIES = 3
"""Number of sites of a crystal at which the suggested element is tried."""

WORTH_TRYING = -2.0
"""Sum of both log-odds from which the suggested element is tried."""

MOST = 2.0
"""Largest change of one neighbour's log-likelihood that is counted, so that a single site cannot decide."""

UNTIL_TRIED = 0.7
"""Share of the work, for progress, that is done before the first suggestion is tried."""

MOST_PLAUSIBLE = 12.0
"""Largest change of the crystal's log-odds that is counted."""

FLOOR = 1e-12
"""Lower bound of a probability before its logarithm is taken."""

FEATURES = (
    *("blind", "given_others", "neighbours", "plausible", *SIMILARITIES),
    *("present", "repeated", "log_sites"),
)
"""Features of the score: log-odds of the suggested element against the assigned one, from distances alone and
given the other elements; if the suggestion was tried, else 0, the change of the neighbours' log-likelihoods
(capped) and of the crystal's plausibility (log-odds of real against decoy); the similarities; 1 if another
site has the suggested element; 1 if another site has the assigned element; logarithm of the number of
sites."""


@dataclass(frozen=True)
class Weights:
    """Weights of the logistic score.

    Attributes:
        values: (len(FEATURES),).
        offset: added to the sum.
    """

    values: NDArray[np.float64]
    offset: float


@dataclass(frozen=True)
class CheckInput:
    """The n sites of a crystal, as input of the networks.

    Attributes:
        distances: (n, model.k) Å, ascending.
        neighbours: (n, model.k) site of each neighbour.
        element: (n,) atomic numbers as assigned.
        directions: (n, model.k, 3), for a model that uses them.
        weight: (n,) share of the crystal's atoms that each site stands for.
    """

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    element: NDArray[np.int64]
    directions: NDArray[np.int8] | None
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, model: MaskedSiteModel, columns: Mapping[str, NDArray[Any]]) -> CheckInput:
        """Select the input of a model.

        Args:
            model: the model.
            columns: columns of a dataset: ``distances``, ``neighbours``, ``element``, ``multiplicity``, and
                ``directions`` for a model that uses them.
        """
        return cls(
            np.ascontiguousarray(columns["distances"][:, : model.k], dtype=np.float32),
            columns["neighbours"][:, : model.k].astype(np.int64),
            columns["element"].astype(np.int64),
            model.directions_of(columns),
            columns["multiplicity"] / columns["multiplicity"].sum(),
        )

    @property
    def reference_class(self) -> str:
        """Class of crystals that the crystal is compared with, see `crystal_class.reference_class`."""
        return reference_class(self.element, self.distances, self.neighbours)

    def with_element(self, site: int, number: int) -> CheckInput:
        """Replace the element of a site."""
        element = self.element.copy()
        element[site] = number
        return replace(self, element=element)


@dataclass(frozen=True)
class SiteScores:
    """Scores of the n sites of one crystal.

    Attributes:
        blind: (n, elements) probabilities from the distances alone.
        conditional: (n, elements) probabilities given the elements of all other sites.
        suggested: (n,) column of the best other element.
        score: (n,) log-odds that the element is wrong, not comparable between crystals; -inf if the model
            does not know the element.
        features: (n, len(FEATURES)).
        tried: (n,) whether the suggestion was tried.
        gain: (n,) change of the log-likelihoods of the site and its neighbours by the suggestion; NaN if it
            was not tried.
    """

    blind: NDArray[np.float32]
    conditional: NDArray[np.float32]
    suggested: NDArray[np.int64]
    score: NDArray[np.float64]
    features: NDArray[np.float64]
    tried: NDArray[np.bool_]
    gain: NDArray[np.float64]


def score_sites(
    model: MaskedSiteModel,
    given: CheckInput,
    weights: Weights,
    plausibility: Plausibility | None = None,
    *,
    blind: NDArray[np.float32] | None = None,
    also: int | None = None,
    watch: Callable[[float], None] | None = None,
) -> SiteScores:
    """Score the sites of one crystal.

    Args:
        model: predicts the elements.
        given: the crystal.
        weights: weights of the score.
        plausibility: network of the feature ``plausible``; None sets the feature to 0.
        blind: (n, elements) blind probabilities, if they are known.
        also: a site at which the suggestion is tried in any case.
        watch: receives the share of the work that is done, before each run of the network. An exception
            that it raises ends the work.
    """
    element, neighbours = given.element, given.neighbours
    rows, names = np.arange(len(element)), np.asarray(model.elements)
    if blind is None:
        columns: dict[str, NDArray[Any]] = {"distances": given.distances, "neighbours": neighbours}
        columns["site"] = rows
        if given.directions is not None:
            columns["directions"] = given.directions
        blind = model.probabilities(columns)
    own = np.full(256, -1)
    own[names] = np.arange(len(names))
    column = own[element]
    known = column >= 0

    def conditional_at(
        sites: NDArray[np.integer], elements: NDArray[np.int64], start: float, size: float
    ) -> NDArray[np.float32]:
        """Predict sites given the other elements; this is a share ``size`` of the work."""
        part = None if watch is None else lambda share: watch(start + size * share)
        return model.hidden_one_by_one(given.distances, neighbours, elements, sites, given.directions, part)

    hidden = np.flatnonzero(model.own_probabilities(blind, element) < SURE)
    conditional = blind.copy()
    if len(hidden):
        conditional[hidden] = conditional_at(hidden, element, 0.0, UNTIL_TRIED)
    log_blind, log_given = (np.log(np.maximum(p, FLOOR)).astype(np.float64) for p in (blind, conditional))

    times = np.bincount(element, minlength=256)
    features = np.zeros((*blind.shape, len(FEATURES)))
    features[..., 0], features[..., 1] = (p - p[rows, column][:, None] for p in (log_blind, log_given))
    features[..., 4 : 4 + len(SIMILARITIES)] = SIMILARITY[element[:, None], names]
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
        changed = given.with_element(site, int(names[suggested[site]])).element
        around = hidden[known[hidden] & (hidden != site)]
        around = around[np.isin(around, neighbours[site]) | (neighbours[around] == site).any(axis=1)]
        change = np.zeros(0)
        if len(around):
            then = conditional_at(around, changed, UNTIL_TRIED + place * each, each)
            then = np.log(np.maximum(then[np.arange(len(around)), column[around]], FLOOR))
            change = then - log_given[around, column[around]]
        features[site, 2] = np.clip(change, -MOST, MOST).sum()
        tried[site], gain[site] = True, change.sum() + features[site, 1]
    if plausibility is not None and tried.any():
        changes = ((site, int(names[suggested[site]])) for site in np.flatnonzero(tried).tolist())
        versions = [element, *(given.with_element(*one).element for one in changes)]
        logits = plausibility.assignment_logits(
            given.distances, neighbours, versions, given.weight, given.directions
        )
        features[tried, 3] = np.clip(logits[1:] - logits[0], -MOST_PLAUSIBLE, MOST_PLAUSIBLE)
    score[tried] = features[tried] @ weights.values + weights.offset
    return SiteScores(blind, conditional, suggested, score, features, tried, gain)
