"""Scores of a classifier of elements, as pure functions of arrays.

Two small integer matrices hold all counts, so that a dataset of any size is scored in one pass with constant
memory: the confusion matrix (true x predicted) and the rank matrix (true x rank of the true element). The
*rank* is the number of elements that are more probable than the true one: 0 where the first choice is right.
All scores count a symmetry-unique site once, whatever its multiplicity.

A score that is not defined, such as the recall of an element that does not occur, is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.scores import ratio

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def true_ranks(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count the classes that come before the true one.

    Of equal probabilities the earlier column comes first, as in ``argmax``: rank 0 means that ``argmax`` is
    the true class.

    Args:
        probabilities: (n, classes).
        truth: (n,) column of the true class.

    Returns:
        (n,) int64 in 0 .. classes - 1.
    """
    column = np.asarray(truth, dtype=np.int64)[:, None]
    own = np.take_along_axis(probabilities, column, axis=1)
    earlier = np.arange(probabilities.shape[1]) < column
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return np.asarray(before.sum(axis=1), dtype=np.int64)


def log_losses(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> Floats:
    """Return minus the natural logarithm of the probability of the true class, (n,) float64 in nats.

    A probability below 1e-12 counts as 1e-12, so that one site cannot make the mean infinite.
    """
    own = np.take_along_axis(probabilities, np.asarray(truth, dtype=np.int64)[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(own.astype(np.float64), 1e-12))


@dataclass(frozen=True)
class ElementScores:
    """Scores of every class, each an array over the classes in the order of the confusion matrix.

    Attributes:
        support: Sites whose true class it is.
        predicted: Sites for which it was predicted.
        correct: Sites for which both hold.
        precision: correct / predicted; NaN for a class never predicted.
        recall: correct / support; NaN for a class without sites.
        f1: 2 correct / (support + predicted), the harmonic mean of both; NaN for a class without sites.
    """

    support: Counts
    predicted: Counts
    correct: Counts
    precision: Floats
    recall: Floats
    f1: Floats


def element_scores(matrix: Counts) -> ElementScores:
    """Compute precision, recall and F1 of every class from a confusion matrix, rows true."""
    support, predicted, correct = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    f1 = ratio(2 * correct, support + predicted)
    f1[support == 0] = np.nan
    return ElementScores(support, predicted, correct, ratio(correct, predicted), ratio(correct, support), f1)


def accuracy(matrix: Counts) -> float:
    """Return the share of sites whose first choice is right; NaN without sites."""
    total = int(matrix.sum())
    return float(np.trace(matrix) / total) if total else float("nan")


def top_accuracy(ranks: Counts, k: int) -> float:
    """Return the share of sites with the true class among the k most probable, from a rank matrix."""
    total = int(ranks.sum())
    return float(ranks[:, :k].sum() / total) if total else float("nan")


def top_recall(ranks: Counts, k: int) -> Floats:
    """Return the share of each class's sites that have it among the k most probable; NaN without sites."""
    return ratio(ranks[:, :k].sum(axis=1), ranks.sum(axis=1))


def clustered_error(correct: NDArray[np.integer], sites: NDArray[np.integer]) -> float:
    """Return the standard error of the accuracy when the sites of a cluster are correlated.

    It is the linearised ratio estimator of cluster sampling (Cochran, Sampling Techniques, 3rd ed. 1977,
    section 9A).

    Args:
        correct: (clusters,) sites predicted rightly in each cluster.
        sites: (clusters,) sites of each cluster.

    Returns:
        The standard error; NaN for fewer than two clusters.
    """
    used = np.asarray(sites) > 0
    correct, sites = np.asarray(correct)[used], np.asarray(sites)[used]
    n = len(sites)
    if n < 2:
        return float("nan")
    residual = correct - correct.sum() / sites.sum() * sites
    return float(np.sqrt(n / (n - 1) * np.sum(residual**2)) / sites.sum())
