"""Which candidates are kept: each by its own score, and beside the others of its formula.

A score is the log-odds of real against decoy over all formulas, and for some formulas even the real crystal
scores low. Beside the candidates of its own formula it seldom does: it is the best or close to it. Where
there are enough candidates, the verdict therefore goes by how far one falls short of the best; how far real
crystals fall short of the best of their decoys sets the limit (as in `combine`).
"""

from __future__ import annotations

import math

from atomsight.rank.score import Combination, margin

LEAST = 10
"""Candidates of a formula from which on they are judged beside each other."""

CROWDING = 0.8
"""Score by which the limit is lowered for each factor e of more candidates than real crystals were calibrated
beside: the best of more decoys is better. On ``val`` the limit at a risk of 0.5 % moved by 0.3 to 0.8."""


class Verdicts:
    """``keep`` or ``unlikely``.

    Args:
        combination: what the scores come from.
        risk: chance that a real structure is called ``unlikely``, at most.

    Raises:
        InputError: the risk does not lie between 0 and 0.5.
    """

    def __init__(self, combination: Combination, risk: float) -> None:
        self.risk = risk
        self._alone = combination.thresholds(risk)
        self._beside = combination.margin_thresholds(risk)
        self._crowd = combination.crowd

    def alone(self, verdict_class: str, score: float) -> str:
        """Verdict by the score itself.

        Args:
            verdict_class: one of `crystal_class.VERDICT_CLASSES`.
            score: of the candidate.
        """
        return "unlikely" if score < self._alone[verdict_class] else "keep"

    def limit(self, verdict_class: str, among: int) -> float | None:
        """Least `combine.margin` that is kept among so many candidates of a formula; None where each is
        judged by itself."""
        least = self._beside[verdict_class]
        if least is None or among < LEAST:
            return None
        return least - CROWDING * math.log(max(1.0, among / self._crowd[verdict_class]))

    def beside(self, verdict_class: str, score: float, best: float, among: int) -> str:
        """By the best score among the candidates of its formula, itself included."""
        limit = self.limit(verdict_class, among)
        if limit is None:
            return self.alone(verdict_class, score)
        return "unlikely" if margin(score, best) < limit else "keep"

    def words(self, verdict_class: str, score: float, best: float, among: int) -> tuple[str, ...]:
        """Why a candidate is unlikely beside the others; nothing where it is not."""
        limit = self.limit(verdict_class, among)
        if limit is None or margin(score, best) >= limit:
            return ()
        return (
            f"its score is {best - score:.1f} below the best of {among:,} candidates of its formula; a real "
            f"structure falls as short with a chance of at most {100 * self.risk:g} %",
        )
