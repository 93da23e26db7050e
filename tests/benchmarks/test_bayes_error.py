from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bayes_error import least_error, nearest_of_other_groups, pair_mixing


def test_twins_are_of_other_groups_and_nearest() -> None:
    generator = np.random.default_rng(0)
    points, groups = generator.random((300, 3)), generator.integers(0, 40, 300)
    queries = np.arange(0, 300, 3)
    twins = nearest_of_other_groups(points, groups, queries, reach=5.0)
    gaps = np.abs(points[queries][:, None] - points[None]).max(axis=2)
    gaps[groups[queries][:, None] == groups[None]] = np.inf
    np.testing.assert_allclose(twins.gap, gaps.min(axis=1))
    assert twins.site.tolist() == gaps.argmin(axis=1).tolist()
    assert not twins.crowded.any()


def test_where_no_twin_is_within_reach_or_all_are_of_the_own_group() -> None:
    points = np.concatenate([np.zeros((60, 2)), [[1.0, 1.0]]])
    groups = np.concatenate([np.zeros(60, dtype=int), [1]])
    twins = nearest_of_other_groups(points, groups, np.array([0, 60]), reach=0.1)
    assert np.isinf(twins.gap).all()
    assert twins.site.tolist() == [-1, -1]
    assert twins.crowded.tolist() == [True, False]


@pytest.mark.parametrize("error", [0.0, 0.05, 0.3, 0.9])
def test_the_bounds_hold_each_other(error: float) -> None:
    m = 20
    lower, upper = least_error(error * (m - 1) / m, m)
    assert 0 <= lower <= upper
    assert lower * (2 - m / (m - 1) * lower) == pytest.approx(error * (m - 1) / m)


def test_mixing_of_equal_and_of_different_elements() -> None:
    generator = np.random.default_rng(1)
    zr_hf = generator.choice([40, 72], (4000, 2), p=[0.8, 0.2])
    carbon = np.full((500, 2), 6)
    pairs = np.concatenate([zr_hf, carbon, [[6, 40]]])
    (top, *rest) = pair_mixing(pairs[:, 0], pairs[:, 1])
    assert top[:2] == (40, 72)
    assert top[3] == pytest.approx(1, abs=0.05)
    assert all(row[3] < 0.02 for row in rest)
