from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.models.composition.assignment import assign, optimal_assignment
from learnable_crystals import learnable_crystals


def value(p: np.ndarray, multiplicities: np.ndarray, columns: np.ndarray) -> float:
    return float((multiplicities * np.log(p[np.arange(len(p)), columns])).sum())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_the_best_of_all_assignments_is_found(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sites, elements = int(generator.integers(1, 7)), int(generator.integers(1, 4))
    p = generator.dirichlet(np.full(elements, 0.5), sites).clip(1e-6)
    multiplicities = generator.choice([1, 2, 3, 4, 6], sites)
    truth = generator.integers(0, elements, sites)
    counts = np.bincount(truth, weights=multiplicities, minlength=elements).astype(int)

    best = max(
        value(p, multiplicities, np.array(columns))
        for columns in product(range(elements), repeat=sites)
        if (np.bincount(columns, weights=multiplicities, minlength=elements) == counts).all()
    )
    found = optimal_assignment(p, multiplicities, counts)
    assert (np.bincount(found, weights=multiplicities, minlength=elements) == counts).all()
    assert value(p, multiplicities, found) == pytest.approx(best, abs=1e-6)


def test_a_formula_that_the_multiplicities_cannot_give_is_refused() -> None:
    p = np.full((2, 2), 0.5)
    with pytest.raises(InputError, match="no assignment"):
        optimal_assignment(p, np.array([2, 2]), np.array([1, 3]))
    with pytest.raises(InputError, match="5 atoms a cell, the sites 4"):
        optimal_assignment(p, np.array([2, 2]), np.array([1, 4]))


def test_a_hundred_sites_are_assigned_at_once() -> None:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(6), 100)
    multiplicities = generator.choice([1, 2, 4, 8], 100)
    truth = generator.integers(0, 6, 100)
    counts = np.bincount(truth, weights=multiplicities, minlength=6).astype(int)
    found = optimal_assignment(p, multiplicities, counts)
    assert (np.bincount(found, weights=multiplicities) == counts).all()
    assert value(p, multiplicities, found) >= value(p, multiplicities, truth)


def test_symmetry_that_is_not_stated_changes_nothing() -> None:
    """One site of four copies, and the same four atoms as four sites, get the same element."""
    rows = np.array([[0.7, 0.3], [0.2, 0.8], [0.45, 0.55]])
    multiplicities = np.array([4, 2, 4])
    whole = optimal_assignment(rows, multiplicities, np.array([4, 6]))
    apart = optimal_assignment(
        np.repeat(rows, multiplicities, axis=0), np.ones(10, dtype=int), np.array([4, 6])
    )
    assert np.repeat(whole, multiplicities).tolist() == apart.tolist()


def test_conditional_probabilities_lie_within_the_formula() -> None:
    crystal = next(c for c in learnable_crystals(20) if set(c.numbers.tolist()) == {1, 6})
    answer = np.random.default_rng(0).dirichlet(np.ones(4), crystal.n_sites).astype(np.float32)
    conditional, predicted = assign(crystal, (1, 6, 8, 30), answer)
    np.testing.assert_allclose(conditional.sum(axis=1), 1, atol=1e-6)
    assert (conditional[:, 2:] == 0).all()
    np.testing.assert_allclose(conditional[:, 0] / conditional[:, 1], answer[:, 0] / answer[:, 1], rtol=1e-4)
    assert np.bincount(predicted, minlength=9)[[1, 6]].tolist() == [crystal.counts["H"], crystal.counts["C"]]


def test_one_element_needs_no_solver() -> None:
    crystal = Crystal(
        name="x",
        lattice=np.eye(3),
        fractional=np.zeros((1, 3)),
        numbers=np.array([6], dtype=np.uint8),
        orbits=np.zeros(1, dtype=np.int32),
        labels=("C1",),
    )
    conditional, predicted = assign(crystal, (1, 6), np.array([[1.0, 0.0]], dtype=np.float32))
    assert conditional.tolist() == [[0.0, 1.0]]
    assert predicted.tolist() == [6]
