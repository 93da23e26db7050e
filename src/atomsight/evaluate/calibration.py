"""Calibration of probabilities, and the coverage at a required accuracy.

The *confidence* of a prediction is the probability of its first choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.scores import BINS, calibration_error, confidence_counts

_STEP, _LOW, _HIGH = 0.01, -6.0, 18.0
_FINE = round((_HIGH - _LOW) / _STEP)


def _fine(confidence: NDArray[np.floating]) -> NDArray[np.int64]:
    p = np.clip(np.asarray(confidence, dtype=np.float64), 1e-9, 1 - 1e-9)
    index = np.floor((np.log(p) - np.log1p(-p) - _LOW) / _STEP).astype(np.int64)
    return np.clip(index, 0, _FINE - 1)


@dataclass
class Calibration:
    """Counts over bins of the confidence, added batch by batch; memory does not grow with the data.

    There are two sets of bins: the 15 equal ones of the calibration error, and for the coverage curve 2,400
    bins with a width of 0.01 in the log-odds, because many confidences are close to 1.

    Attributes:
        count: (15,) sites.
        confidence: (15,) sum of their confidences.
        correct: (15,) sites whose first choice is right.
        fine_count: (2400,) sites by fine bin, ascending in confidence.
        fine_correct: (2400,) sites by fine bin whose first choice is right.
    """

    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    correct: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    fine_count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_FINE, dtype=np.int64))
    fine_correct: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_FINE, dtype=np.int64))

    def add(self, confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> None:
        """Count a batch.

        Args:
            confidence: (n,) in [0, 1].
            right: (n,) whether the first choice is right.
        """
        count, total, correct = confidence_counts(confidence, right)
        self.count += count
        self.confidence += total
        self.correct += correct
        fine = _fine(confidence)
        self.fine_count += np.bincount(fine, minlength=_FINE)
        self.fine_correct += np.bincount(fine[right], minlength=_FINE)

    def expected_error(self) -> float:
        """Return the expected calibration error of the first choice, see `scores.calibration_error`."""
        return calibration_error(self.count, self.confidence, self.correct)

    def reliability(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return mean confidence, accuracy and sites of the bins with sites, ascending in confidence."""
        used = self.count > 0
        n = self.count[used]
        return self.confidence[used] / n, self.correct[used] / n, n

    def coverage_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the threshold on the confidence, the coverage and the accuracy, highest threshold first.

        This is the risk-coverage curve of selective classification (Geifman and El-Yaniv 2017,
        arXiv:1705.08500), with accuracy = 1 - risk. A threshold is the lower edge of a fine bin.
        """
        used = np.flatnonzero(self.fine_count)[::-1]
        answered = np.cumsum(self.fine_count[used])
        right = np.cumsum(self.fine_correct[used])
        edges = _LOW + used * _STEP
        thresholds = np.where(used == 0, 0.0, 1 / (1 + np.exp(-edges)))
        total = max(int(self.fine_count.sum()), 1)
        return thresholds, answered / total, right / np.maximum(answered, 1)

    def coverage_at(self, accuracy: float) -> tuple[float, float]:
        """Return the largest coverage with at least this accuracy, and its threshold on the confidence.

        Returns:
            (coverage, threshold); (0.0, NaN) where no threshold reaches the accuracy. The threshold is chosen
            and measured on the same sites, so few sites give an uncertain threshold.
        """
        thresholds, coverage, reached = self.coverage_curve()
        good = np.flatnonzero(reached >= accuracy)
        if len(good) == 0:
            return 0.0, float("nan")
        return float(coverage[good[-1]]), float(thresholds[good[-1]])
