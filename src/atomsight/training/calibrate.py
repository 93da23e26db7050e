"""Temperature calibration: one number after which a network's probabilities mean what they say."""

from __future__ import annotations

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from atomsight.core import scores


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Row-wise softmax of (n, elements) logits divided by the temperature, float64."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def log_loss(logits: NDArray[np.floating], targets: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Mean of -ln p(true element), nats.

    Args:
        logits: (n, elements).
        targets: (n,) column of the true element.
        temperature: divides the logits.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    top = scaled.max(axis=1)
    normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((normaliser - scaled[np.arange(len(targets)), targets]).mean())


def macro_recall(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Mean over the elements that are present of the share of their sites that get them as first choice."""
    n = probabilities.shape[1]
    return scores.macro_recall(scores.count_pairs(targets, probabilities.argmax(axis=1), (n, n)))


def calibration_error(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Expected calibration error of the first choice, see `scores.calibration_error`."""
    right = probabilities.argmax(axis=1) == targets
    return scores.calibration_error(*scores.confidence_counts(probabilities.max(axis=1), right))


def best_temperature(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """The temperature in 1/20 .. 20 with the least log loss.

    Temperature scaling: Guo et al. 2017, arXiv:1706.04599.

    The log loss is convex in 1 / temperature, hence has one minimum, which a bounded line search over the
    logarithm finds.
    """
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda t: log_loss(logits, targets, exp(t)),
        bounds=(log(0.05), log(20.0)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(exp(result.x))
