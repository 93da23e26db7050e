from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomsight.core.scores import count_pairs, macro_recall
from atomsight.evaluate import metrics


def oracle_rank(row: np.ndarray, true: int) -> int:
    """By definition: sort by probability, earlier columns first among equals, and look for the true class."""
    order = sorted(range(len(row)), key=lambda c: (-row[c], c))
    return order.index(true)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 9))
def test_ranks_are_places_in_the_sorted_row(seed: int, n: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 4, (n, classes)) / 4  # few distinct values, so that ties are met
    truth = rng.integers(0, classes, n)
    ranks = metrics.true_ranks(p, truth)
    assert ranks.tolist() == [oracle_rank(row, t) for row, t in zip(p, truth, strict=True)]
    assert ((ranks == 0) == (p.argmax(axis=1) == truth)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 6))
def test_scores_follow_their_definitions(seed: int, n: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, classes, n), rng.integers(0, classes, n)
    matrix = count_pairs(truth, predicted, (classes, classes))
    scores = metrics.element_scores(matrix)
    assert metrics.accuracy(matrix) == pytest.approx((truth == predicted).mean())
    recalls = []
    for c in range(classes):
        hit, of_class, given_class = (truth == c) & (predicted == c), truth == c, predicted == c
        assert scores.support[c] == of_class.sum()
        if of_class.any():
            recalls.append(hit.sum() / of_class.sum())
            assert scores.recall[c] == pytest.approx(recalls[-1])
        else:
            assert np.isnan(scores.recall[c])
            assert np.isnan(scores.f1[c])
        if given_class.any():
            assert scores.precision[c] == pytest.approx(hit.sum() / given_class.sum())
        else:
            assert np.isnan(scores.precision[c])
        if hit.any():
            assert scores.f1[c] == pytest.approx(2 / (1 / scores.recall[c] + 1 / scores.precision[c]))
    assert macro_recall(matrix) == pytest.approx(np.mean(recalls))


def test_macro_recall_leaves_out_elements_that_never_occur() -> None:
    matrix = np.array([[8, 2, 0], [0, 1, 1], [0, 0, 0]])
    assert macro_recall(matrix) == pytest.approx((0.8 + 0.5) / 2)
    assert metrics.accuracy(matrix) == pytest.approx(9 / 12)


def test_top_k_counts_the_first_k() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    truth = np.array([0, 1, 2, 2])
    ranks = count_pairs(truth, metrics.true_ranks(p, truth), (3, 3))
    assert [metrics.top_accuracy(ranks, k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]
    assert metrics.top_recall(ranks, 2).tolist() == [1.0, 1.0, 0.5]


def test_log_loss_is_bounded_for_a_sure_mistake() -> None:
    losses = metrics.log_losses(np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([1, 0]))
    assert losses == pytest.approx([-np.log(1e-12), -np.log(0.25)])


def test_nothing_counted_is_not_a_number() -> None:
    empty = np.zeros((2, 2), dtype=np.int64)
    assert np.isnan(metrics.accuracy(empty))
    assert np.isnan(macro_recall(empty))
    assert np.isnan(metrics.top_accuracy(empty, 1))
    assert np.isnan(metrics.clustered_error(np.array([1]), np.array([2])))


def test_clustered_error_against_the_spread_of_simulated_studies() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 12, 400)
    estimates, accuracies = [], []
    for _ in range(300):
        share = rng.beta(4, 2, 400)  # every crystal has its own difficulty, so its sites go together
        correct = rng.binomial(sizes, share)
        accuracies.append(correct.sum() / sizes.sum())
        estimates.append(metrics.clustered_error(correct, sizes))
    assert np.mean(estimates) == pytest.approx(np.std(accuracies), rel=0.12)
    naive = np.sqrt(np.mean(accuracies) * (1 - np.mean(accuracies)) / sizes.sum())
    assert np.mean(estimates) > 1.2 * naive
