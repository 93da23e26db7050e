"""Which candidates are kept: each by its own score, and beside the others of its formula.

A score is the log-odds of real against decoy over all formulas, and for some formulas even the real crystal
scores low. Beside the candidates of its own formula it seldom does: it is the best or close to it. Where
there are enough candidates, the verdict therefore goes by how far one falls short of the best; how far real
crystals fall short of the best of their decoys sets the limit (as in `combine`).
"""

from __future__ import annotations

import math

from atomsight.bonds.radii import METAL
from atomsight.elements import NUMBERS, formula_counts
from atomsight.screen.combine import Combination, margin
from atomsight.screen.features import KINDS

LEAST = 10
"""Candidates of a formula from which on they are judged beside each other."""

CROWDING = 0.8
"""Score by which the limit is lowered for each factor e of more candidates than real crystals were calibrated
beside: the best of more decoys is better. On ``val`` the limit at a risk of 0.5 % moved by 0.3 to 0.8."""


SORTS = (*KINDS, "complex", "element")
"""What verdicts are calibrated for apart: the kinds; molecules with a metal in them, which molecular scores
suit ill; and inorganic crystals of one element, half of which are gases that were frozen or pressed, whose
atoms or molecules pack in any way: they would set the limit for all others."""


def sort_of(kind: str, formula: str) -> str:
    """One of `SORTS`, of a candidate of this kind and formula."""
    elements = formula_counts(formula)
    if kind == "inorganic":
        return "element" if len(elements) == 1 else kind
    if kind == "molecular" and any(METAL[NUMBERS[symbol]] for symbol in elements):
        return "complex"
    return kind


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
        self._alone = dict(zip(SORTS, combination.thresholds(risk).tolist(), strict=True))
        self._beside = dict(zip(SORTS, combination.margin_thresholds(risk), strict=True))
        self._crowd = dict(zip(SORTS, combination.crowd, strict=True))

    def alone(self, sort: str, score: float) -> str:
        """By the score itself; of one of `SORTS`, as below."""
        return "unlikely" if score < self._alone[sort] else "keep"

    def limit(self, sort: str, among: int) -> float | None:
        """Least `combine.margin` that is kept among so many candidates of a formula; None where each is
        judged by itself."""
        least = self._beside[sort]
        if least is None or among < LEAST:
            return None
        return least - CROWDING * math.log(max(1.0, among / self._crowd[sort]))

    def beside(self, sort: str, score: float, best: float, among: int) -> str:
        """By the best score among the candidates of its formula, itself included."""
        limit = self.limit(sort, among)
        if limit is None:
            return self.alone(sort, score)
        return "unlikely" if margin(score, best) < limit else "keep"

    def words(self, sort: str, score: float, best: float, among: int) -> tuple[str, ...]:
        """Why a candidate is unlikely beside the others; nothing where it is not."""
        limit = self.limit(sort, among)
        if limit is None or margin(score, best) >= limit:
            return ()
        return (
            f"its score is {best - score:.1f} below the best of {among:,} candidates of its formula; a real "
            f"structure falls as short with a chance of at most {100 * self.risk:g} %",
        )
