from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.core.errors import InputError
from atomsight.evaluate.metrics import clustered_error
from atomsight.evaluate.sweep.suggest import (
    GroupCounts,
    compare,
    holm,
    resample,
    smallest_sufficient,
    suggest,
    suggest_on_halves,
)


def counts(recalls: list[float], groups: int = 200, seeds: int = 3, seed: int = 0) -> GroupCounts:
    """Two elements, ten sites of each in every group, hit with the probability of each k."""
    generator = np.random.default_rng(seed)
    sites = np.full((groups, 2), 10.0)
    hits = np.stack([generator.binomial(10, p, size=(seeds, groups, 2)) for p in recalls]).astype(float)
    return GroupCounts(tuple(range(1, len(recalls) + 1)), sites, hits)


def test_the_knee_is_found() -> None:
    found = suggest(counts([0.5, 0.7, 0.85, 0.9, 0.9, 0.9]))
    assert found.k == 4
    assert found.sureness > 0.8
    assert found.one_standard_error in (4, 5, 6)
    assert sum(found.resamples.values()) == pytest.approx(1)
    first = found.comparisons[0]
    assert (first.k, first.larger, first.better) == (1, 2, True)
    assert first.difference == pytest.approx(0.2, abs=0.03)


def test_a_gain_that_is_significant_but_small_does_not_count() -> None:
    made = counts([0.9, 0.92], groups=3000)
    assert suggest(made, useful=0.005).k == 2
    assert suggest(made, useful=0.05).k == 1


def test_a_gain_that_is_large_but_uncertain_does_not_count() -> None:
    made = counts([0.6, 0.7], groups=4, seeds=1)
    (comparison,) = suggest(made).comparisons
    assert comparison.error > 0.02
    assert suggest(counts([0.5, 0.5, 0.5])).k == 1


def test_accuracy_and_macro_recall_weigh_elements_differently() -> None:
    sites = np.tile([100.0, 1.0], (50, 1))
    hits = np.stack([sites * [0.9, 0.2], sites * [0.9, 0.8]])[:, None]
    made = GroupCounts((1, 2), sites, hits)
    assert made.scores("macro_recall")[:, 0] == pytest.approx([0.55, 0.85])
    assert made.scores("accuracy")[:, 0] == pytest.approx([90.2 / 101, 90.8 / 101])


def test_the_error_of_the_accuracy_is_that_of_cluster_sampling() -> None:
    made = counts([0.8], groups=300, seeds=1)
    drawn = resample(made, 4000).accuracy[:, 0]
    known = made.sites.sum(axis=1)
    expected = clustered_error(made.hits[0, 0].sum(axis=1), known)
    assert np.std(drawn) == pytest.approx(expected, rel=0.06)


def test_seeds_add_their_variance() -> None:
    """All groups alike, so that only the seeds differ: the error is their standard error."""
    sites = np.full((40, 1), 10.0)
    values = np.array([0.5, 0.6, 0.9])
    hits = (np.ones((1, 3, 40, 1)) * values[None, :, None, None]) * 10
    drawn = resample(GroupCounts((1,), sites, hits), 20000).macro_recall[:, 0]
    assert np.std(drawn) == pytest.approx(np.std(values, ddof=1) / 3**0.5, rel=0.03)


def test_pairing_makes_equal_models_equal() -> None:
    made = counts([0.8], seeds=1)
    twice = GroupCounts((3, 7), made.sites, np.concatenate([made.hits, made.hits]))
    found = suggest(twice)
    assert found.k == 3
    assert found.comparisons[0].error == 0
    assert found.sureness == 1


def test_holm_against_the_textbook() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_monotone_and_never_below(p: list[float]) -> None:
    values = np.array(p)
    adjusted = holm(values)
    assert (adjusted >= values - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_no_larger_k_betters_the_suggestion(scores: list[float], error: float) -> None:
    ks = tuple(range(2, 2 + len(scores)))
    comparisons = compare(ks, np.array(scores), np.full((len(ks), len(ks)), error))
    k = smallest_sufficient(ks, comparisons)
    assert not any(c.better for c in comparisons if c.k == k)
    assert all(any(c.better for c in comparisons if c.k == smaller) for smaller in ks if smaller < k)


def test_halves_agree_where_the_answer_is_clear() -> None:
    shares = suggest_on_halves(counts([0.3, 0.9, 0.9], groups=400), halvings=10)
    assert shares.get(2, 0) > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_elements_that_are_absent_leave_the_mean() -> None:
    made = counts([0.5, 0.9])
    with_absent = GroupCounts(
        made.ks,
        np.concatenate([made.sites, np.zeros((len(made.sites), 1))], axis=1),
        np.concatenate([made.hits, np.zeros((*made.hits.shape[:3], 1))], axis=3),
    )
    assert with_absent.scores("macro_recall") == pytest.approx(made.scores("macro_recall"))
    assert suggest(with_absent).k == 2


def test_too_few_groups() -> None:
    with pytest.raises(InputError, match="1 group"):
        resample(counts([0.5], groups=1))
    with pytest.raises(InputError, match="cannot be halved"):
        suggest_on_halves(counts([0.5], groups=3))
