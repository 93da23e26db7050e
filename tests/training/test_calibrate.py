from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax as scipy_softmax

from atomsight.training.calibrate import best_temperature, calibration_error, log_loss, softmax


@given(st.integers(0, 1000), st.floats(0.2, 5.0))
def test_softmax_and_log_loss(seed: int, temperature: float) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 20, (10, 4)).astype(np.float32)
    targets = generator.integers(0, 4, 10)
    expected = scipy_softmax(logits.astype(np.float64) / temperature, axis=1)
    np.testing.assert_allclose(softmax(logits, temperature), expected, atol=1e-12)
    loss = -np.log(expected[np.arange(10), targets]).mean()
    np.testing.assert_allclose(log_loss(logits, targets, temperature), loss, rtol=1e-6)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.3, 4.0))
def test_the_temperature_of_overheated_logits_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20000, 3))
    cumulative = softmax(logits).cumsum(axis=1)
    targets = (generator.random((20000, 1)) > cumulative).sum(axis=1)
    assert best_temperature(logits * temperature, targets) == pytest.approx(temperature, rel=0.05)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.45, 0.55]])
    targets = np.array([0, 1, 0, 1])
    # The bin of 0.9 has accuracy 0.5, that of 0.55 has accuracy 1; half of the sites each.
    assert calibration_error(probabilities, targets) == pytest.approx(0.5 * 0.4 + 0.5 * 0.45)
