from __future__ import annotations

import numpy as np
import pytest

from benchmarks.set_counts import SetCounts


def test_sets_are_counted_by_true_element() -> None:
    counts = SetCounts(3)
    counts.add(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=bool), np.array([0, 0, 0]))
    counts.add(np.array([[1, 1, 1], [0, 0, 1]], dtype=bool), np.array([1, 1]))
    assert counts.coverage == pytest.approx(3 / 5)
    assert counts.mean_size == pytest.approx(8 / 5)
    assert counts.single_share == pytest.approx(3 / 5)
    coverage, size = counts.by_element()
    np.testing.assert_allclose(coverage, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(size, [4 / 3, 2, np.nan])
    assert counts.macro_coverage() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert counts.macro_coverage(fewest=3) == pytest.approx(2 / 3)
    assert np.isnan(SetCounts(2).coverage)
