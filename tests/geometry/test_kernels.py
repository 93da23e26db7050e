"""The parts of the kernel, each against its plain meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.geometry.cell import face_distances, invert_transform, reduce_cell
from atomsight.geometry.neighbours import nearest_neighbours
from atomsight.geometry.neighbours._direct import search_directly
from atomsight.geometry.neighbours._kernel import ATOM, SPARE, _ascending, search_many
from cells import KINDS, lattice_of


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
def test_reduced_lattices_are_the_same_lattice_and_compact(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = lattice_of(kind, rng)
    change = np.eye(3, dtype=int)
    change[1, 0], change[2, 0], change[2, 1] = rng.integers(-50, 51, 3)
    lattice = change[rng.permutation(3)] @ lattice
    reduced, transform, inverse = np.empty((3, 3)), np.empty((3, 3), np.int64), np.empty((3, 3), np.int64)
    reduce_cell(lattice, reduced, transform)
    invert_transform(transform, inverse)
    np.testing.assert_allclose(transform @ lattice, reduced, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(transform @ inverse, np.eye(3, dtype=int))
    # Minkowski: no combination with coefficients -1, 0, 1 is shorter than the last vector in it.
    lengths = np.linalg.norm(reduced, axis=1)
    assert (np.diff(lengths) >= -1e-9).all()
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            assert np.linalg.norm(reduced[2] + a * reduced[0] + b * reduced[1]) >= lengths[2] - 1e-6
        assert np.linalg.norm(reduced[1] + a * reduced[0]) >= lengths[1] - 1e-6
    out = np.empty(3)
    assert face_distances(reduced, out) == pytest.approx(abs(np.linalg.det(lattice)), rel=1e-6)
    np.testing.assert_allclose(out, 1 / np.linalg.norm(np.linalg.inv(reduced), axis=0), rtol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 900), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 40]))
def test_order_of_candidates(count: int, seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random(count) ** (2 / 3) * 7
    if distinct:
        values = rng.choice(values[:distinct], count)
    shifts = rng.permutation(np.array(list(np.ndindex(2, 5, 100))) - 2)[:count]
    atoms = rng.integers(0, 3, count)
    tags = (atoms << ATOM) + np.arange(count)
    near, ordered, ordered_tags = np.full(count + SPARE, np.nan), np.empty(count), np.empty(count, np.int64)
    near[:count] = values
    work = np.empty((5, count + SPARE), np.int64)
    _ascending(near, tags, count, 7.0, ordered, ordered_tags, work, shifts)
    order = np.lexsort((*shifts.T[::-1], atoms, values))
    np.testing.assert_array_equal(ordered, values[order])
    np.testing.assert_array_equal(ordered_tags, tags[order])  # equal values in order of atom, then cell


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_compiled_and_numpy_search_give_the_same_bits(kind: str, seed: int, free: bool, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    lattice, n, k = lattice_of(kind, rng), int(rng.integers(1, 30)), int(rng.integers(1, 50))
    points = rng.random((n, 3)) * 3 - 1
    if ties:
        points = np.round(points * 4) / 4
    queries = rng.random((3, 3)) * 5 if free else np.arange(n)
    search_many.spent = np.inf  # the kernel answers
    expected = nearest_neighbours(lattice, points, k, queries)
    found = search_directly(lattice, points, queries, k, most=10**7)
    assert isinstance(found, tuple)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
