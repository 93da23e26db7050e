from __future__ import annotations

import numpy as np
import pytest

from atomsight.evaluate import confused_pairs, normalise_rows

MATRIX = np.array([[90, 10, 0], [4, 16, 0], [0, 3, 0]])


def test_rows_become_shares() -> None:
    shares = normalise_rows(np.array([[3, 1], [0, 0]]))
    assert shares[0].tolist() == [0.75, 0.25]
    assert np.isnan(shares[1]).all()


def test_pairs_by_count_and_by_rate() -> None:
    by_count = confused_pairs(MATRIX)
    assert [(p.true, p.predicted, p.count) for p in by_count] == [(0, 1, 10), (1, 0, 4), (2, 1, 3)]
    by_rate = confused_pairs(MATRIX, by="rate")
    assert [(p.true, p.predicted) for p in by_rate] == [(2, 1), (1, 0), (0, 1)]
    assert [p.rate for p in by_rate] == pytest.approx([1.0, 0.2, 0.1])


def test_symmetric_pairs_join_both_directions() -> None:
    pairs = confused_pairs(MATRIX, symmetric=True)
    assert [(p.true, p.predicted, p.count) for p in pairs] == [(0, 1, 14), (1, 2, 3)]
    assert pairs[0].rate == pytest.approx(14 / 120)


def test_rare_elements_can_be_left_out() -> None:
    assert all(p.true != 2 for p in confused_pairs(MATRIX, by="rate", minimum=5))


def test_the_matrix_is_left_as_it_was() -> None:
    before = MATRIX.copy()
    confused_pairs(MATRIX)
    assert (before == MATRIX).all()


def test_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="'count' or 'rate'"):
        confused_pairs(MATRIX, by="size")
