"""One score from the features, and the verdict on it.

For each class of crystals a logistic regression tells real crystals from their decoys; its log-odds are the
score. The verdict ``unlikely`` goes to scores that at most a share of real crystals fall below, the *risk*: a
lower tolerance limit (Wilks 1941, 10.1214/aoms/1177731788), which is split conformal prediction that holds
for the crystals that the limit happens to rest on, and not on average over all that it might rest on (Vovk
2013, 10.1007/s10994-013-5355-6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import InputError

CONFIDENCE = 0.9
"""That a limit loses no more real crystals than the risk, whatever crystals it happens to rest on."""

FEW = 460
"""Real crystals from which on the lowest of them is a limit for a risk of 0.5 %: 0.995 to the power of 460 is
0.1."""

TAIL = 0.1
"""Share of the real crystals that tells how their scores fall off where there are fewer."""

OWN = 0.25
"""Weight of a candidate's own score beside its distance from the best. On ``val`` from 0 to 0.5 were alike;
with some, a formula of nothing but poor candidates keeps few."""


@dataclass(frozen=True)
class Combination:
    """Weights of the features, and scores of real crystals that thresholds rest on.

    Attributes:
        weights: (classes, features), in the order of `crystal_class.CLASSES`.
        bias: (classes,).
        real: by verdict class, ascending scores of real crystals that were in no training.
        margins: by verdict class, ascending margins of such crystals among decoys of their formula, see
            `margin`; empty where candidates are not to be judged beside each other.
        crowd: by verdict class, the median number of candidates that these margins were found among.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    real: Mapping[str, NDArray[np.float64]]
    margins: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    crowd: Mapping[str, float] = field(default_factory=dict)

    def scores(self, classes: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(c,) log-odds of real against decoy from (c,) places in `CLASSES` and (c, features)."""
        answer: NDArray[np.float64] = (values * self.weights[classes]).sum(axis=1) + self.bias[classes]
        return answer

    def thresholds(self, risk: float) -> dict[str, float]:
        """Score below which a crystal is ``unlikely``, by verdict class.

        With a confidence of `CONFIDENCE` at most a share `risk` of all real crystals falls below it. Where
        fewer than `FEW` are known, the scores are taken to fall off exponentially below their lowest tenth,
        which is an estimate without such confidence.

        Raises:
            InputError: the risk does not lie between 0 and 0.5.
        """
        if not 0 < risk <= 0.5:
            raise InputError(f"the risk must lie above 0 and be at most 0.5, not {risk:g}")
        return {name: _limit(scores, risk) for name, scores in self.real.items()}

    def margin_thresholds(self, risk: float) -> dict[str, float | None]:
        """Margin below which a candidate is ``unlikely`` beside the others, by verdict class; see
        `thresholds`."""
        return {name: _limit(values, risk) if len(values) else None for name, values in self.margins.items()}


def margin(score: float, best: float) -> float:
    """How a candidate stands beside the best of its formula: how far it falls short, and `OWN` of how far it
    falls below 0, where it is as likely a decoy as real."""
    return score - best + OWN * min(score, 0.0)


def tolerated(count: int, risk: float) -> int:
    """How many of so many real crystals a limit may lose, itself counted, so that with `CONFIDENCE` it loses
    at most a share `risk` of all: what lies below the i-th lowest of n is beta distributed (i, n + 1 - i)."""
    from scipy.special import betainc

    place = np.arange(1, int(risk * (count + 1)) + 1)
    return int((betainc(place, count + 1 - place, risk) >= CONFIDENCE).sum())


def _limit(values: NDArray[np.float64], risk: float) -> float:
    """Of ascending values of real crystals."""
    if len(values) < FEW:
        place = int(max(risk, TAIL) * (len(values) + 1))
        quantile = float(values[max(place, 1) - 1])
        return quantile if place and risk >= TAIL else min(quantile, _tail(values, risk))
    place = tolerated(len(values), risk)
    return float(values[place - 1]) if place else min(float(values[0]), _tail(values, risk))


def _tail(values: NDArray[np.float64], risk: float) -> float:
    tail = min(max(2, int(TAIL * len(values))), len(values) - 1)
    if tail < 1:
        return float(values[0])
    edge = float(values[tail])
    excess = float((edge - values[:tail]).mean())
    return edge - excess * max(0.0, float(np.log(tail / len(values) / risk)))


def fit_logistic(
    values: NDArray[np.float64],
    real: NDArray[np.bool_],
    signs: NDArray[np.float64],
    ridge: float = 1e-3,
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of a logistic regression that weighs both classes equally.

    Args:
        values: (c, features).
        real: (c,).
        signs: (features,) 1 where more can only speak for a crystal, -1 where against it, 0 where the feature
            is left out. Weights of the wrong sign become 0.
        ridge: on the weights of the standardised features.
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
