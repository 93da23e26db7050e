"""The smallest sufficient k: scores against k with standard errors, and tests of their differences.

The sites of a crystal, and the crystals of a group (a shared formula or family), are correlated. The groups
are therefore resampled: the cluster bootstrap of Efron and Tibshirani (1993, 10.1201/9780429246593). Every k
is scored on the same resampled groups, so that the differences are paired. The seeds of each k are resampled
independently, one fewer than there are, so that their variance is unbiased (Rao and Wu 1988,
10.1080/01621459.1988.10478591).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import InputError

Floats = NDArray[np.float64]
Score = Literal["macro_recall", "accuracy"]
SCORES: tuple[Score, ...] = ("macro_recall", "accuracy")

RESAMPLES = 2000
LEVEL = 0.05
"""Probability of suggesting too large a k by chance."""

USEFUL = 0.005
"""Smallest gain in the score that justifies a larger network, even if it is significant."""

_AT_ONCE = 250
"""Number of resamples in memory at a time."""


@dataclass(frozen=True)
class GroupCounts:
    """Correct predictions of several models on the same sites, by group of crystals.

    Attributes:
        ks: The k of each row of ``hits``, ascending.
        sites: (groups, elements) sites of each element.
        hits: (ks, seeds, groups, elements) sites whose element was predicted correctly.
    """

    ks: tuple[int, ...]
    sites: Floats
    hits: Floats

    def subset(self, groups: NDArray[np.integer]) -> GroupCounts:
        """Return the counts of some of the groups."""
        return GroupCounts(self.ks, self.sites[groups], self.hits[:, :, groups])

    def join(self, other: GroupCounts) -> GroupCounts:
        """Return the groups of both, for the same models."""
        sites = np.concatenate([self.sites, other.sites])
        return GroupCounts(self.ks, sites, np.concatenate([self.hits, other.hits], axis=2))

    def recall(self) -> Floats:
        """Return the (ks, seeds, elements) recall; NaN for elements without sites."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.hits.sum(axis=2) / self.sites.sum(axis=0))

    def scores(self, score: Score) -> Floats:
        """Return the (ks, seeds) scores of the models."""
        if score == "accuracy":
            return np.asarray(self.hits.sum(axis=(2, 3)) / self.sites.sum())
        return np.asarray(np.nanmean(self.recall(), axis=2))


@dataclass(frozen=True)
class Resampled:
    """Scores on resampled groups and seeds.

    Attributes:
        macro_recall, accuracy: (resamples, ks).
        recall: (resamples, ks, elements); NaN where a resample has no site of the element.
    """

    macro_recall: Floats
    accuracy: Floats
    recall: Floats

    def of(self, score: Score) -> Floats:
        """Return the (resamples, ks) values of a score."""
        return self.accuracy if score == "accuracy" else self.macro_recall


@dataclass(frozen=True)
class Comparison:
    """Comparison of a larger k with a smaller one.

    Attributes:
        k, larger: The smaller and the larger k.
        difference: Score of the larger less that of the smaller.
        error: Standard error of the difference over groups and seeds.
        p: One-sided p-value of the difference, in normal approximation.
        adjusted: ``p`` after Holm's correction for all k larger than this one.
        better: Whether the difference is significant and large enough.
    """

    k: int
    larger: int
    difference: float
    error: float
    p: float
    adjusted: float
    better: bool


@dataclass(frozen=True)
class Suggestion:
    """The suggested k with its comparisons and its stability.

    Attributes:
        k: The smallest k such that no larger one is better, see `Comparison.better`.
        best: The k with the highest score.
        one_standard_error: The smallest k within one standard error of the best (Breiman and others 1984,
            10.1201/9781315139470), for comparison.
        sureness: Share of the resamples in which the same k would be suggested.
        resamples: Share of the resamples by suggested k.
        comparisons: Comparisons of all pairs.
    """

    k: int
    best: int
    one_standard_error: int
    sureness: float
    resamples: dict[int, float]
    comparisons: tuple[Comparison, ...]


def resample(counts: GroupCounts, resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """Score every k on groups and seeds drawn with replacement.

    Raises:
        InputError: There are fewer than two groups.
    """
    n_ks, seeds, groups, elements = counts.hits.shape
    if groups < 2:
        raise InputError(f"{groups} group of crystals cannot be resampled; use a larger split")
    generator = np.random.default_rng(seed)
    flat = np.moveaxis(counts.hits, 2, 0).reshape(groups, -1)
    draws = max(seeds - 1, 1)
    parts: list[tuple[Floats, Floats, Floats]] = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        weights = generator.multinomial(groups, np.full(groups, 1 / groups), size).astype(np.float64)
        sites = weights @ counts.sites
        hits = (weights @ flat).reshape(size, n_ks, seeds, elements)
        shape = (size, n_ks, draws, 1)
        chosen = generator.integers(seeds, size=shape) if seeds > 1 else np.zeros(shape, dtype=np.int64)
        drawn = np.take_along_axis(hits, chosen, axis=2).mean(axis=2)
        with np.errstate(invalid="ignore"):
            recall = drawn / sites[:, None]
        parts.append((np.nanmean(recall, axis=2), drawn.sum(axis=2) / sites.sum(axis=1)[:, None], recall))
    macro, accuracy, by_element = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Resampled(macro, accuracy, by_element)


def compare(ks: Sequence[int], scores: Floats, errors: Floats, useful: float = USEFUL) -> list[Comparison]:
    """Compare every larger k with every smaller one.

    The k are tested in ascending order, and the first without a better larger one is chosen. These hypotheses
    have a fixed order, so each is tested at the full `LEVEL` (Westfall and Krishen 2001,
    10.1016/S0378-3758(01)00077-5). The comparisons of one k with all larger ones share the level by Holm's
    step-down procedure (1979, jstor.org/stable/4615733).

    Args:
        ks: The k, ascending.
        scores: (ks,) means over the seeds.
        errors: (ks, ks) standard errors of the differences.
        useful: Smallest gain that counts.
    """
    found = []
    for i, k in enumerate(ks):
        gains = scores[i + 1 :] - scores[i]
        p = np.array([_one_sided(gain, error) for gain, error in zip(gains, errors[i, i + 1 :], strict=True)])
        for j, adjusted in enumerate(holm(p)):
            better = bool(adjusted < LEVEL and gains[j] >= useful)
            gain, error = float(gains[j]), float(errors[i, i + 1 + j])
            found.append(Comparison(k, ks[i + 1 + j], gain, error, float(p[j]), float(adjusted), better))
    return found


def holm(p: Floats) -> Floats:
    """Return Holm's adjusted p-values, in the same order."""
    if not len(p):
        return p
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def smallest_sufficient(ks: Sequence[int], comparisons: Sequence[Comparison]) -> int:
    """Return the smallest k such that no larger one is better."""
    return min(set(ks) - {c.k for c in comparisons if c.better})


def suggest(
    counts: GroupCounts,
    score: Score = "macro_recall",
    *,
    useful: float = USEFUL,
    resampled: Resampled | None = None,
) -> Suggestion:
    """Suggest a k.

    A larger k is better than a smaller one if its score, averaged over the seeds, is higher by ``useful`` or
    more and if the gain divided by its bootstrap standard error is significant, see `compare`. For the
    stability, the same rule with the same standard errors is applied to the scores of each resample.

    Args:
        counts: Counts of the split on which k is chosen.
        score: ``macro_recall`` or ``accuracy``.
        useful: Smallest gain that counts.
        resampled: Result of `resample`, if it is known.
    """
    drawn = (resampled or resample(counts)).of(score)
    scores = counts.scores(score).mean(axis=1)
    ks = counts.ks
    errors = _errors(drawn)
    comparisons = compare(ks, scores, errors, useful)
    chosen = smallest_sufficient(ks, comparisons)
    again = [smallest_sufficient(ks, compare(ks, row, errors, useful)) for row in drawn]
    shares = {k: again.count(k) / len(again) for k in ks if k in again}
    best = int(scores.argmax())
    near = scores >= scores[best] - np.std(drawn[:, best], ddof=1)
    return Suggestion(
        k=chosen,
        best=ks[best],
        one_standard_error=ks[int(near.argmax())],
        sureness=shares.get(chosen, 0.0),
        resamples=shares,
        comparisons=tuple(comparisons),
    )


def suggest_on_halves(
    counts: GroupCounts,
    score: Score = "macro_recall",
    *,
    useful: float = USEFUL,
    halvings: int = 50,
    resamples: int = 200,
    seed: int = 0,
) -> dict[int, float]:
    """Suggest a k on random halves of the groups, which shows how much the suggestion depends on the split.

    Returns:
        Share of the 2 x ``halvings`` halves by suggested k.

    Raises:
        InputError: There are fewer than four groups.
    """
    groups = len(counts.sites)
    if groups < 4:
        raise InputError(f"{groups} groups of crystals cannot be halved; use larger splits")
    generator = np.random.default_rng(seed)
    found: list[int] = []
    for _ in range(halvings):
        order = generator.permutation(groups)
        for half in (order[: groups // 2], order[groups // 2 :]):
            part = counts.subset(half)
            drawn = resample(part, resamples, int(generator.integers(2**31))).of(score)
            scores = part.scores(score).mean(axis=1)
            comparisons = compare(counts.ks, scores, _errors(drawn), useful)
            found.append(smallest_sufficient(counts.ks, comparisons))
    return {k: found.count(k) / len(found) for k in counts.ks if k in found}


def _errors(drawn: Floats) -> Floats:
    """Return the (ks, ks) standard errors of the differences from (resamples, ks) scores."""
    return np.asarray(np.std(drawn[:, None, :] - drawn[:, :, None], axis=0, ddof=1))


def _one_sided(difference: float, error: float) -> float:
    if error <= 0:
        return 0.0 if difference > 0 else 1.0
    return 0.5 * erfc(difference / error / sqrt(2))
