"""Directions of neighbours: against the vectors that `nearest_neighbours` gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight import read
from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.geometry.neighbours import (
    nearest_neighbours,
    neighbours_of,
    shared,
    site_neighbours,
    site_surroundings,
    surroundings_of,
)

DATA = Path(__file__).parents[1] / "data"


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_directions_are_the_vectors_to_the_neighbours(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, k = int(generator.integers(1, 8)), int(generator.integers(1, 20))
    lattice = np.diag(generator.uniform(2, 9, 3)) + generator.normal(0, 0.5, (3, 3))
    points = generator.random((n, 3))
    crystal = Crystal("x", lattice, points, np.full(n, 6, np.uint8), np.arange(n, dtype=np.int32), ("C",) * n)
    distances, neighbours, directions = site_surroundings(crystal, k)
    plain = site_neighbours(crystal, k)
    np.testing.assert_array_equal(distances, plain[0])
    np.testing.assert_array_equal(neighbours, plain[1])
    assert directions.dtype == np.int8
    length, indices, images = nearest_neighbours(lattice, points, k)
    ways = (points[indices] + images - points[:, None]) @ lattice
    np.testing.assert_allclose(directions / 127, ways / length[..., None], atol=0.5 / 127 + 1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_several_crystals_as_each_alone(seed: int) -> None:
    generator = np.random.default_rng(seed)
    crystals = []
    for _ in range(int(generator.integers(1, 5))):
        n = int(generator.integers(1, 8))
        orbits = np.arange(n, dtype=np.int32) // 2
        labels = ("C",) * (int(orbits[-1]) + 1)
        lattice = np.diag(generator.uniform(2, 9, 3)) + generator.normal(0, 0.5, (3, 3))
        numbers = np.full(n, 6, np.uint8)
        crystals.append(Crystal("x", lattice, generator.random((n, 3)), numbers, orbits, labels))
    alone = [site_surroundings(crystal, 7) for crystal in crystals]
    for together, apart in zip(surroundings_of(crystals, 7), zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(together, np.concatenate(apart))
    with pytest.raises(InputError, match="at least one"):
        surroundings_of([], 7)


def test_a_neighbour_on_the_site_lies_nowhere() -> None:
    points = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    crystal = Crystal(
        "x", np.eye(3) * 5, points, np.array([6, 7], np.uint8), np.arange(2, dtype=np.int32), ("C", "N")
    )
    distances, _, directions = site_surroundings(crystal, 2)
    assert distances[0, 0] == 0
    assert not directions[:, 0].any()
    assert np.abs(directions[:, 1]).max() == 127


def test_kept_neighbours_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = list(read(sorted(DATA.glob("*.cif"))))
    expected = surroundings_of(crystals, 7)
    for crystal in crystals[::2]:
        neighbours_of(crystal, 9)
    for found, fresh in zip(surroundings_of(crystals, 7), expected, strict=True):
        np.testing.assert_array_equal(found, fresh)
    for crystal in crystals:
        neighbours_of(crystal, 9)
    monkeypatch.setattr(shared, "solve", lambda *given: pytest.fail("the sites were searched again"))
    for found, fresh in zip(surroundings_of(crystals, 7), expected, strict=True):
        np.testing.assert_array_equal(found, fresh)
