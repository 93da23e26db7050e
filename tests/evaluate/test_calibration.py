from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.evaluate import Calibration


def filled(confidence: np.ndarray, right: np.ndarray, parts: int = 1) -> Calibration:
    calibration = Calibration()
    for c, r in zip(np.array_split(confidence, parts), np.array_split(right, parts), strict=True):
        calibration.add(c, r)
    return calibration


def oracle_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Equation 3 of Guo et al. 2017, bin by bin."""
    error = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.integers(1, 4))
def test_error_matches_its_definition_however_it_is_batched(seed: int, n: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.01, 1.0, n)
    right = rng.random(n) < confidence**2
    assert filled(confidence, right, parts).expected_error() == pytest.approx(
        oracle_error(confidence, right), abs=1e-9
    )


def test_honest_and_boastful_models() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.2, 1.0, 200_000)
    honest = filled(confidence, rng.random(len(confidence)) < confidence)
    assert honest.expected_error() < 0.01
    boastful = filled(np.full(1000, 0.99), np.arange(1000) % 2 == 0)
    assert boastful.expected_error() == pytest.approx(0.49, abs=1e-6)
    mean, accuracy, sites = boastful.reliability()
    assert (mean[0], accuracy[0], sites[0]) == (pytest.approx(0.99), 0.5, 1000)


def test_coverage_is_the_largest_share_that_keeps_the_accuracy() -> None:
    # 60 sure and right, 40 less sure of which half are right: 99 % is kept only by answering the first 60.
    confidence = np.concatenate([np.full(60, 0.9999), np.full(40, 0.6)])
    right = np.concatenate([np.ones(60, bool), np.arange(40) % 2 == 0])
    calibration = filled(confidence, right)
    coverage, threshold = calibration.coverage_at(0.99)
    assert coverage == 0.6
    assert 0.6 < threshold <= 0.9999
    assert calibration.coverage_at(0.8) == (1.0, pytest.approx(0.6, abs=0.01))
    assert calibration.coverage_at(0.8)[1] <= 0.6


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_a_threshold_keeps_exactly_the_coverage_that_it_promises(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = 1 - rng.uniform(0, 1, n) ** 6 * 0.9
    right = rng.random(n) < confidence
    coverage, threshold = filled(confidence, right).coverage_at(0.9)
    if coverage:
        kept = confidence >= threshold
        assert kept.mean() == pytest.approx(coverage)
        assert right[kept].mean() >= 0.9 - 1e-12


def test_certainty_and_its_opposite_have_a_place() -> None:
    calibration = filled(np.array([1.0, 0.0]), np.array([True, False]))
    assert calibration.count.sum() == 2
    assert calibration.count[14] == 1


def test_nothing_added() -> None:
    assert np.isnan(Calibration().expected_error())
    coverage, threshold = Calibration().coverage_at(0.99)
    assert coverage == 0
    assert np.isnan(threshold)
