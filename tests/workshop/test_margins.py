"""The score below which `rank` calls a candidate unlikely, against what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from atomsight.core.errors import InputError
from atomsight.rank.score import CONFIDENCE, Combination, Limits, tolerated


def alone(scores: np.ndarray) -> Combination:
    return Combination(np.zeros((1, 1)), np.zeros(1), {"x": Limits(np.sort(scores))})


def test_thresholds_hold_the_risk_for_most_crystals_that_they_may_rest_on() -> None:
    generator = np.random.default_rng(0)
    lost = [norm.cdf(alone(generator.normal(size=999)).thresholds(0.01)["x"]) for _ in range(400)]
    assert 0.88 < np.mean(np.array(lost) <= 0.01) < 0.97
    scores = np.sort(generator.normal(size=999))
    assert alone(scores).thresholds(0.0001)["x"] < scores[0]
    with pytest.raises(InputError, match="risk"):
        alone(scores).thresholds(0)


@pytest.mark.parametrize(
    ("count", "risk"), [(130, 0.02), (460, 0.005), (459, 0.005), (1258, 0.005), (999, 0.3)]
)
def test_how_many_may_be_lost_is_what_the_binomial_tells(count: int, risk: float) -> None:
    lost = tolerated(count, risk)
    assert binom.cdf(lost - 1, count, risk) <= 1 - CONFIDENCE < binom.cdf(lost, count, risk)


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=40),
    st.sampled_from([1, 30]),
    st.tuples(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5)),
)
def test_a_smaller_risk_never_throws_more_away(
    values: list[float], times: int, risks: tuple[float, float]
) -> None:
    known = alone(np.repeat(values, times) + np.linspace(0, 1e-3, len(values) * times))
    less, more = (known.thresholds(risk)["x"] for risk in sorted(risks))
    assert less <= more


@pytest.mark.parametrize(("count", "more", "less"), [(999, 0.0025, 0.0005), (14, 0.1, 0.09)])
def test_one_that_stands_far_below_counts_at_smaller_risks_too(count: int, more: float, less: float) -> None:
    """The others, of whom the tail is told, would set a higher limit."""
    known = alone(np.append(np.linspace(0, 1, count - 1), -1000.0))
    assert known.thresholds(more)["x"] == -1000
    assert known.thresholds(less)["x"] <= -1000
