"""The score of a candidate, and thresholds on it.

For each class of crystals a logistic regression separates real crystals from decoys. Its log-odds are the
score. A threshold is a lower tolerance limit of the scores of real crystals (Wilks 1941,
10.1214/aoms/1177731788): with a given confidence at most a share of real crystals, the *risk*, lies below it.
This is split conformal prediction with a guarantee that is conditional on the calibration crystals (Vovk
2013, 10.1007/s10994-013-5355-6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import InputError

CONFIDENCE = 0.9
"""Confidence that the share of real crystals below a threshold does not exceed the risk."""

FEW = 460
"""Number of real crystals from which their lowest score is a threshold for a risk of 0.5 %: 0.995 to the
power of 460 is 0.1."""

TAIL = 0.1
"""Share of the real crystals to which an exponential tail is fitted if there are fewer."""

OWN = 0.25
"""Weight of a candidate's own score in its margin. Values from 0 to 0.5 were equally good on ``val``; with a
positive value, few candidates are kept if all candidates of a formula are poor."""


@dataclass(frozen=True)
class Limits:
    """Real crystals that the thresholds of a verdict class are calibrated on.

    Attributes:
        scores: (n,) ascending scores of real crystals that were not used in training.
        margins: (m,) ascending margins of such crystals among decoys of their formula, see `margin`; empty if
            candidates of a formula are not compared.
        group_size: median number of candidates in the groups of these margins.
    """

    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    margins: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    group_size: float = 1.0


@dataclass(frozen=True)
class Combination:
    """Weights of the features, and the real crystals of the thresholds.

    Attributes:
        weights: (classes, features), in the order of `crystal_class.CLASSES`.
        bias: (classes,).
        limits: by verdict class.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    limits: Mapping[str, Limits]

    def scores(self, classes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the (c,) log-odds of real against decoy.

        Args:
            classes: (c,) index in `CLASSES`.
            values: (c, features).
        """
        return np.asarray((values * self.weights[classes]).sum(axis=1) + self.bias[classes])

    def thresholds(self, risk: float) -> dict[str, float]:
        """Compute the score below which a crystal is ``unlikely``, by verdict class.

        With confidence `CONFIDENCE` at most a share `risk` of all real crystals lies below it. If fewer than
        `FEW` are known, an exponential tail below their lowest tenth gives an estimate without this
        confidence.

        Raises:
            InputError: the risk does not lie between 0 and 0.5.
        """
        if not 0 < risk <= 0.5:
            raise InputError(f"the risk must lie above 0 and be at most 0.5, not {risk:g}")
        return {name: _threshold(one.scores, risk) for name, one in self.limits.items()}

    def margin_thresholds(self, risk: float) -> dict[str, float | None]:
        """Compute the margin below which a candidate is ``unlikely``, by verdict class; see `thresholds`."""
        return {
            name: _threshold(one.margins, risk) if len(one.margins) else None
            for name, one in self.limits.items()
        }


def margin(score: float, best: float) -> float:
    """Compare a candidate with the best one of its formula.

    Returns:
        Its score minus the best score, plus `OWN` times its score if that is negative.
    """
    return score - best + OWN * min(score, 0.0)


def tolerated(count: int, risk: float) -> int:
    """Return the rank of the threshold among the ascending scores of real crystals; 0 if there are too few.

    The share of all real crystals below the i-th of n scores is beta distributed (i, n + 1 - i). The rank is
    the largest for which this share is at most `risk` with confidence `CONFIDENCE`.
    """
    from scipy.special import betainc

    place = np.arange(1, int(risk * (count + 1)) + 1)
    return int((betainc(place, count + 1 - place, risk) >= CONFIDENCE).sum())


def _threshold(values: NDArray[np.float64], risk: float) -> float:
    """Compute the threshold from ascending values of real crystals."""
    if len(values) < FEW:
        place = int(max(risk, TAIL) * (len(values) + 1))
        quantile = float(values[max(place, 1) - 1])
        return quantile if place and risk >= TAIL else min(quantile, _tail(values, risk))
    place = tolerated(len(values), risk)
    return float(values[place - 1]) if place else min(float(values[0]), _tail(values, risk))


def _tail(values: NDArray[np.float64], risk: float) -> float:
    """Extrapolate ascending values by an exponential tail."""
    tail = min(max(2, int(TAIL * len(values))), len(values) - 1)
    if tail < 1:
        return float(values[0])
    edge = float(values[tail])
    excess = float((edge - values[:tail]).mean())
    return edge - excess * max(0.0, float(np.log(tail / len(values) / risk)))


def fit_logistic(
    values: NDArray[np.float64], real: NDArray[np.bool_], signs: NDArray[np.float64], ridge: float = 1e-3
) -> tuple[NDArray[np.float64], float]:
    """Fit a logistic regression that gives both classes equal weight.

    Args:
        values: (c, features).
        real: (c,).
        signs: (features,) 1 if the weight must not be negative, -1 if it must not be positive, 0 if the
            feature is not used.
        ridge: penalty on the weights of the standardised features.

    Returns:
        (features,) weights, and the bias.
    """
    from scipy.optimize import minimize

    scale = values.std(axis=0)
    used = (signs != 0) & (scale > 1e-9)
    x = values[:, used] / scale[used]
    y = np.where(real, 1.0, -1.0)
    share = np.where(real, 0.5 / real.sum(), 0.5 / (~real).sum())

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = parameters[:-1], parameters[-1]
        margin = y * (x @ weight + bias)
        slope = -y * share / (1 + np.exp(np.clip(margin, -500, 500)))
        value = (share * np.logaddexp(0, -margin)).sum() + 0.5 * ridge * (weight**2).sum()
        return float(value), np.append(slope @ x + ridge * weight, slope.sum())

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in signs[used]] + [(None, None)]
    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    weights = np.zeros(values.shape[1])
    weights[used] = found.x[:-1] / scale[used]
    return weights, float(found.x[-1])
