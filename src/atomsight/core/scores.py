"""Scores that training and evaluation share, as pure functions of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Equal-width bins of the confidence in [0, 1], as in Guo et al. 2017 (arXiv:1706.04599)."""


def ratio(numerator: NDArray[np.integer], denominator: NDArray[np.integer]) -> NDArray[np.float64]:
    """Quotients of two arrays of counts, NaN where the denominator is zero."""
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


def none_if_nan(value: float) -> float | None:
    """Return a score as a plain number, None where it is NaN."""
    return None if np.isnan(value) else float(value)


def macro(values: NDArray[np.float64]) -> float:
    """Mean over the classes for which the score is defined; NaN where it is defined for none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def count_pairs(
    rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """(shape) int64: how often each pair occurs; rows are true classes, columns predictions or ranks."""
    flat = np.asarray(rows, dtype=np.int64) * shape[1] + np.asarray(columns, dtype=np.int64)
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def macro_recall(matrix: NDArray[np.int64]) -> float:
    """Mean recall over the elements that occur, each with the same weight.

    Args:
        matrix: (elements, elements) confusion counts, rows true, columns predicted.
    """
    return macro(ratio(np.diag(matrix), matrix.sum(axis=1)))


def confidence_counts(
    confidence: NDArray[np.floating], right: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Count sites by confidence, in bins that are open below and closed above, so that 1.0 is in the last.

    Args:
        confidence: (n,) probability of the first choice, in [0, 1].
        right: (n,) whether the first choice is right.

    Returns:
        (15,) sites, sum of their confidences, and how many are right.
    """
    index = np.ceil(np.asarray(confidence, dtype=np.float64) * BINS).astype(np.int64) - 1
    bins = np.clip(index, 0, BINS - 1)
    total: NDArray[np.float64] = np.bincount(bins, weights=confidence, minlength=BINS)  # type: ignore[assignment]
    return np.bincount(bins, minlength=BINS), total, np.bincount(bins[right], minlength=BINS)


def calibration_error(
    count: NDArray[np.int64], confidence: NDArray[np.float64], correct: NDArray[np.int64]
) -> float:
    """Expected calibration error: the mean over sites of |accuracy - mean confidence| of the site's bin.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3; first choice only.

    Args:
        count: (15,) sites of each bin, see `confidence_counts`.
        confidence: (15,) sum of their confidences.
        correct: (15,) how many are right.

    Returns:
        The error; NaN without sites.
    """
    total = int(count.sum())
    return float(np.abs(correct - confidence).sum() / total) if total else float("nan")
