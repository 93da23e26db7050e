"""Temperature scaling (Guo et al. 2017, arXiv:1706.04599) and scores on the validation set."""

from __future__ import annotations

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from atomsight.core import scores
from atomsight.core.errors import ModelError

Logits = NDArray[np.floating]
Targets = NDArray[np.integer]


def softmax(logits: Logits, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the row-wise softmax of (n, elements) logits divided by the temperature, float64."""
    from scipy import special

    return np.asarray(special.softmax(np.asarray(logits, np.float64) / temperature, axis=1))


def checked_difference(
    before: NDArray[np.floating], after: NDArray[np.floating], most: float, text: str, when: str = ""
) -> float:
    """Return the largest difference between probabilities of two networks that are to be the same.

    Args:
        before: (n, elements) of one.
        after: (n, elements) of the other.
        most: largest difference allowed.
        text: beginning of the message: what differs from what.
        when: end of its first part.

    Raises:
        ModelError: they differ by more.
    """
    difference = float(np.abs(before - after).max(initial=0.0))
    if not difference <= most:
        raise ModelError(f"{text} by {difference:.2g} in probability{when}; {most} is allowed")
    return difference


def log_loss(logits: Logits, targets: Targets, temperature: float = 1.0) -> float:
    """Return the mean of -ln p(true element), nats.

    Args:
        logits: (n, elements).
        targets: (n,) column of the true element.
        temperature: divides the logits.
    """
    from scipy import special

    logarithms = special.log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(-logarithms[np.arange(len(targets)), targets].mean())


def calibration_error(probabilities: NDArray[np.floating], targets: Targets) -> float:
    """Return the expected calibration error of the first choice, see `scores.calibration_error`."""
    right = probabilities.argmax(axis=1) == targets
    return scores.calibration_error(*scores.confidence_counts(probabilities.max(axis=1), right))


def validation_scores(logits: Logits, targets: Targets, temperature: float = 1.0) -> dict[str, float]:
    """Return the scores of logits on the validation set.

    Args:
        logits: (n, elements).
        targets: (n,) column of the true element.
        temperature: divides the logits.

    Returns:
        ``sites``, ``accuracy``, ``macro_recall``, ``log_loss`` and ``calibration_error``.
    """
    probabilities = softmax(logits, temperature)
    first = probabilities.argmax(axis=1)
    shape = (probabilities.shape[1],) * 2
    return {
        "sites": len(targets),
        "accuracy": float((first == targets).mean()),
        "macro_recall": scores.macro_recall(scores.count_pairs(targets, first, shape)),
        "log_loss": log_loss(logits, targets, temperature),
        "calibration_error": calibration_error(probabilities, targets),
    }


def best_temperature(logits: Logits, targets: Targets) -> float:
    """Return the temperature between 1/20 and 20 with the least log loss.

    The log loss is convex in 1 / temperature and has one minimum, so a bounded line search over the logarithm
    finds it.

    Args:
        logits: (n, elements).
        targets: (n,) column of the true element.
    """
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda t: log_loss(logits, targets, exp(t)),
        bounds=(log(0.05), log(20.0)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(exp(result.x))
