"""Verdicts on candidates: by their own score, or by comparison with the other candidates of their formula.

For some formulas even the real crystal has a low score, but it is the best candidate or close to it. If a
formula has enough candidates, the verdict therefore depends on the margin to the best one. Its threshold is
calibrated on the margins of real crystals among decoys of their formula.
"""

from __future__ import annotations

import math

from atomsight.rank.score import Combination, margin

LEAST = 10
"""Number of candidates of a formula from which they are compared with each other."""

CROWDING = 0.8
"""Group-size correction: the threshold falls by this times the logarithm of the number of candidates over
that of the calibration, because the best of more decoys is better. On ``val`` the threshold at a risk of 0.5
% fell by 0.3 to 0.8."""


class Verdicts:
    """Computes verdicts, ``keep`` or ``unlikely``.

    Args:
        combination: weights and calibration of the scores.
        risk: largest chance that a real structure is called ``unlikely``.

    Raises:
        InputError: the risk does not lie between 0 and 0.5.
    """

    def __init__(self, combination: Combination, risk: float) -> None:
        self.risk = risk
        self._thresholds = combination.thresholds(risk)
        self._margins = combination.margin_thresholds(risk)
        self._limits = combination.limits

    def alone(self, verdict_class: str, score: float) -> str:
        """Return the verdict by the score itself.

        Args:
            verdict_class: one of `crystal_class.VERDICT_CLASSES`.
            score: score of the candidate.
        """
        return "unlikely" if score < self._thresholds[verdict_class] else "keep"

    def limit(self, verdict_class: str, among: int) -> float | None:
        """Return the smallest `score.margin` with verdict ``keep``.

        Args:
            verdict_class: one of `crystal_class.VERDICT_CLASSES`.
            among: number of candidates of the formula.

        Returns:
            The threshold; None if the verdict depends on the candidate's own score.
        """
        least = self._margins[verdict_class]
        if least is None or among < LEAST:
            return None
        return least - CROWDING * math.log(max(1.0, among / self._limits[verdict_class].group_size))

    def explain(self, verdict_class: str, score: float, best: float, among: int) -> tuple[str, ...]:
        """Explain why a candidate is unlikely in comparison; empty if it is not."""
        limit = self.limit(verdict_class, among)
        if limit is None or margin(score, best) >= limit:
            return ()
        return (
            f"its score is {best - score:.1f} below the best of {among:,} candidates of its formula; a real "
            f"structure falls as short with a chance of at most {100 * self.risk:g} %",
        )
