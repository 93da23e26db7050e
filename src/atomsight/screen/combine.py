"""One score from the features, and the verdict on it.

For each kind of crystal a logistic regression tells real crystals from their decoys; its log-odds are the
score. The verdict ``unlikely`` goes to scores that only a share of real crystals fall below, the *risk*
(split conformal
prediction: Vovk et al. 2005, 10.1007/b106715).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.errors import InputError

TAIL = 0.1
"""Share of the real crystals that tells how their scores fall off where there are too few for a quantile."""


OWN = 0.25
"""Weight of a candidate's own score beside its distance from the best. On ``val`` from 0 to 0.5 were alike;
with some, a formula of nothing but poor candidates keeps few."""


@dataclass(frozen=True)
class Combination:
    """What the features count for, by kind.

    Attributes:
        weights: (kinds, features).
        bias: (kinds,).
        real: for each of `verdicts.SORTS`, scores of real crystals that were in no training, ascending.
        margins: for each of them, how such crystals stood beside decoys of their formula, see `margin`,
            ascending; empty where candidates are not to be judged beside each other.
        crowd: for each of them, among how many, as a rule.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    real: tuple[NDArray[np.float64], ...]
    margins: tuple[NDArray[np.float64], ...] = ()
    crowd: tuple[float, ...] = ()

    def scores(self, kind: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(c,) log-odds of real against decoy from (c,) kinds and (c, features)."""
        answer: NDArray[np.float64] = (values * self.weights[kind]).sum(axis=1) + self.bias[kind]
        return answer

    def thresholds(self, risk: float) -> NDArray[np.float64]:
        """(sorts,) score below which a crystal is ``unlikely``.

        Of n real crystals the floor(risk * (n + 1))-th lowest score is the threshold: a further real crystal
        falls below it with a chance of at most `risk`. Where n is too small for that, the scores are taken to
        fall off exponentially below their lowest tenth.

        Raises:
            InputError: the risk does not lie between 0 and 0.5.
        """
        if not 0 < risk <= 0.5:
            raise InputError(f"the risk must lie above 0 and be at most 0.5, not {risk:g}")
        return np.array([_threshold(scores, risk) for scores in self.real])

    def margin_thresholds(self, risk: float) -> list[float | None]:
        """For each sort the margin below which a candidate is ``unlikely`` beside the others; see
        `thresholds`."""
        return [_threshold(margins, risk) if len(margins) else None for margins in self.margins]


def margin(score: float, best: float) -> float:
    """How a candidate stands beside the best of its formula: how far it falls short, and `OWN` of how far it
    falls below 0, where it is as likely a decoy as real."""
    return score - best + OWN * min(score, 0.0)


def _threshold(scores: NDArray[np.float64], risk: float) -> float:
    place = int(risk * (len(scores) + 1))
    if place >= 1:
        return float(scores[place - 1])
    tail = max(2, int(TAIL * len(scores)))
    edge = float(scores[tail])
    excess = float((edge - scores[:tail]).mean())
    return edge - excess * float(np.log(tail / len(scores) / risk))


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
