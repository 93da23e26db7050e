"""PDD, AMD and the earth mover's distance, from their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atomsight
from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.geometry.neighbours import amd_batch, amd_from_distances, pdd_from_distances, transport_cost
from atomsight.geometry.neighbours._brute import brute_force_neighbours
from atomsight.geometry.neighbours.emd import _programme
from cells import Set, crystal_of, lattice_of, periodic_sets

FEW = settings(max_examples=30, deadline=None)


@FEW
@given(periodic_sets(most=6), st.integers(1, 12))
def test_amd_is_the_mean_over_the_motif(a_set: Set, k: int) -> None:
    expected = brute_force_neighbours(*a_set, k)[0].mean(axis=0)
    np.testing.assert_allclose(atomsight.amd(crystal_of(*a_set), k), expected, rtol=0, atol=1e-9)


@FEW
@given(periodic_sets(most=6), st.integers(1, 12))
def test_pdd_without_collapse_is_the_sorted_table(a_set: Set, k: int) -> None:
    rows = atomsight.pdd(crystal_of(*a_set), k, collapse_tolerance=-1)
    expected = brute_force_neighbours(*a_set, k)[0]
    np.testing.assert_allclose(rows[:, 0], 1 / len(expected))
    np.testing.assert_allclose(np.sort(rows[:, 1:], axis=0), np.sort(expected, axis=0), rtol=0, atol=1e-9)
    assert rows[:, 1:].tolist() == sorted(rows[:, 1:].tolist())


@FEW
@given(periodic_sets(most=8), st.integers(1, 12))
def test_collapse_keeps_the_weights_and_the_mean(a_set: Set, k: int) -> None:
    crystal = crystal_of(*a_set)
    rows = atomsight.pdd(crystal, k)
    assert rows[:, 0].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(rows[:, 0] @ rows[:, 1:], atomsight.amd(crystal, k), atol=1e-9)
    gaps = np.abs(rows[:, None, 1:] - rows[None, :, 1:]).max(axis=2)
    assert (gaps[~np.eye(len(rows), dtype=bool)] > 1e-4).all()


def test_rock_salt_has_one_row_and_its_orbits_say_the_same() -> None:
    salt = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    fractional = np.concatenate([salt, (salt + 0.5) % 1.0])
    numbers = np.repeat(np.array([11, 17], np.uint8), 4)
    orbits = np.repeat(np.array([0, 1], np.int32), 4)
    rows = atomsight.pdd(Crystal("salt", 5.64 * np.eye(3), fractional, numbers, orbits, ("Na1", "Cl1")), 18)
    assert rows.shape == (1, 19)
    np.testing.assert_allclose(rows[0], [1.0] + [2.82] * 6 + [2.82 * 2**0.5] * 12)


def test_chains_of_rows_join() -> None:
    rows = pdd_from_distances([[1.0], [1.00008], [1.00016], [2.0]], [1, 1, 2, 4], collapse_tolerance=1e-4)
    np.testing.assert_allclose(rows, [[0.5, 1.0001], [0.5, 2.0]])


def test_batch_of_amds() -> None:
    rng = np.random.default_rng(0)
    distances, multiplicities = np.sort(rng.random((9, 4)), axis=1).astype(np.float32), rng.integers(1, 9, 9)
    found = amd_batch(distances, multiplicities, [0, 2, 3, 9])
    for row, (p, q) in zip(found, [(0, 2), (2, 3), (3, 9)], strict=True):
        np.testing.assert_allclose(row, amd_from_distances(distances[p:q], multiplicities[p:q]))
    with pytest.raises(InputError, match="offsets"):
        amd_batch(distances, multiplicities, [0, 2, 2, 9])


@FEW
@given(periodic_sets(most=8), st.integers(1, 12), st.floats(0, 0.05), st.integers(0, 2**32 - 1))
def test_small_moves_change_the_distance_little(a_set: Set, k: int, size: float, seed: int) -> None:
    lattice, fractional = a_set
    moves = np.random.default_rng(seed).normal(size=fractional.shape)
    moves *= size / np.linalg.norm(moves, axis=1, keepdims=True)
    moved = fractional + moves @ np.linalg.inv(lattice)
    one, other = (atomsight.pdd(crystal_of(lattice, f), k) for f in (fractional, moved))
    distance = atomsight.earth_movers_distance(one, other)
    assert distance <= 2 * size + 1e-3  # and the collapse of rows
    assert atomsight.earth_movers_distance(other, one) == pytest.approx(distance, abs=1e-9)
    difference = np.abs(one[:, 0] @ one[:, 1:] - other[:, 0] @ other[:, 1:]).max()
    assert distance >= difference - 1e-9


def test_the_same_crystal_told_otherwise_is_at_distance_nought() -> None:
    rng = np.random.default_rng(8)
    lattice, fractional = lattice_of("compact", rng), rng.random((7, 3))
    doubled = np.concatenate([fractional * [0.5, 1, 1], fractional * [0.5, 1, 1] + [0.5, 0, 0]])
    one = atomsight.pdd(crystal_of(lattice, fractional), 20, collapse_tolerance=-1)
    other = atomsight.pdd(crystal_of(lattice * [[2], [1], [1]], doubled), 20, collapse_tolerance=-1)
    assert atomsight.earth_movers_distance(one, other) == pytest.approx(0.0, abs=1e-9)


def test_transport_by_hand() -> None:
    assert transport_cost([1, 1], [1, 1], [[0, 5], [5, 0]]) == 0.0
    assert transport_cost([3, 1], [1, 1], [[0, 2], [7, 0]]) == pytest.approx(0.25 * 2)
    assert transport_cost([1.0], [0.2, 0.8], [[1.0, 2.0]]) == pytest.approx(1.8)


@FEW
@given(st.integers(2, 7), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_assignment_and_programme_agree(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    supply, demand, cost = rng.integers(1, 6, n), rng.integers(1, 6, m), rng.random((n, m))
    expected = _programme(supply / supply.sum(), demand / demand.sum(), cost)
    assert transport_cost(supply, demand, cost) == pytest.approx(expected, abs=1e-9)


def test_weights_without_a_common_unit() -> None:
    rng = np.random.default_rng(2)
    supply, demand, cost = rng.random(5), rng.random(4), rng.random((5, 4))
    got = transport_cost(supply, demand, cost)
    assert got == pytest.approx(_programme(supply / supply.sum(), demand / demand.sum(), cost))
    assert cost.min() < got < cost.max()


def test_bad_input_names_the_argument() -> None:
    good = np.array([[0.5, 1.0, 2.0], [0.5, 1.5, 2.0]])
    with pytest.raises(InputError, match="different k"):
        atomsight.earth_movers_distance(good, good[:, :2])
    with pytest.raises(InputError, match=r"^b:"):
        atomsight.earth_movers_distance(good, good * 2)
    with pytest.raises(InputError, match=r"^distances:"):
        pdd_from_distances(np.empty((0, 3)), [])
    with pytest.raises(InputError, match=r"^multiplicities:"):
        pdd_from_distances([[1.0], [2.0]], [1])
