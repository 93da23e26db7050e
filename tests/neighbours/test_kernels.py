"""The parts of the kernel, each against its plain meaning, and how they are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cells import KINDS, lattice_of
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.neighbours._compiled import kernel
from atomsight.neighbours._lattice import heights, reduce_lattice
from atomsight.neighbours._select import ascending
from atomsight.neighbours._simd import LANES, gather_within, keep_within


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
def test_reduced_lattices_are_the_same_lattice_and_compact(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = lattice_of(kind, rng)
    change = np.eye(3, dtype=int)
    change[1, 0], change[2, 0], change[2, 1] = rng.integers(-50, 51, 3)
    lattice = change[rng.permutation(3)] @ lattice
    reduced, transform, inverse = np.empty((3, 3)), np.empty((3, 3), np.int64), np.empty((3, 3), np.int64)
    reduce_lattice(lattice, reduced, transform, inverse)
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
    assert heights(reduced, out) == pytest.approx(abs(np.linalg.det(lattice)), rel=1e-6)
    np.testing.assert_allclose(out, 1 / np.linalg.norm(np.linalg.inv(reduced), axis=0), rtol=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 900), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 40]))
def test_order_of_candidates(count: int, seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.full(count + LANES, np.nan)
    values[:count] = rng.random(count) ** (2 / 3) * 7
    if distinct:
        values[:count] = rng.choice(values[:distinct][~np.isnan(values[:distinct])], count)
    room = count + LANES
    order = np.empty(room, np.int64)
    scratch = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room))
    ascending(values, count, 7.0, order, scratch)
    assert sorted(order[:count].tolist()) == list(range(count))
    np.testing.assert_array_equal(values[order[:count]], np.sort(values[:count]))


def test_all_candidates_at_distance_nought() -> None:
    order = np.empty(300, np.int64)
    scratch = (np.empty(300, np.int64), np.empty(300, np.int64), np.empty(300, np.int64), np.empty(300))
    ascending(np.zeros(300), 290, 0.0, order, scratch)
    assert sorted(order[:290].tolist()) == list(range(290))


@kernel
def _filter(points, x, y, z, limit, kept, kept_at):
    count = 0
    for j in range(0, points.shape[1] - LANES, LANES):
        count = keep_within(points[0], points[1], points[2], j, x, y, z, limit, kept, kept_at, count)
    return count


@kernel
def _move(points, s, end, limit, out, out_at):
    size = 0
    for j in range(s, end, LANES):
        size = gather_within(
            points[0], points[1], points[2], j, end, 0.5, -1.0, 2.0, 0.1, 0.2, 0.3, limit,
            out[0], out[1], out[2], out_at, size,
        )  # fmt: skip
    return size


@pytest.mark.parametrize("limit", [0.0, 0.5, 2.0, 100.0])
def test_vector_filter_means_what_numpy_means(limit: float) -> None:
    points = np.random.default_rng(0).normal(size=(3, 8 * 20))
    kept, kept_at = np.empty(200), np.empty(200, np.int32)
    count = _filter(points, 0.1, 0.2, 0.3, limit, kept, kept_at)
    apart = points[:, :-LANES] - np.array([[0.1], [0.2], [0.3]])
    squared = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2]
    np.testing.assert_array_equal(kept_at[:count], np.flatnonzero(squared <= limit))
    np.testing.assert_array_equal(kept[:count], squared[squared <= limit])  # to the last bit


@pytest.mark.parametrize("end", [30, 33, 38, 40])
def test_vector_gather_means_what_numpy_means(end: int) -> None:
    points = np.random.default_rng(1).normal(size=(3, 60))
    out, out_at = np.empty((3, 60)), np.empty(60, np.int32)
    size = _move(points, 30, end, 9.0, out, out_at)
    moved = points + np.array([[0.5], [-1.0], [2.0]])
    apart = moved - np.array([[0.1], [0.2], [0.3]])
    inside = [j for j in range(30, end) if (apart[:, j] ** 2).sum() <= 9.0]
    assert out_at[:size].tolist() == inside
    np.testing.assert_array_equal(out[:, :size], moved[:, inside])


CALL = (
    "import numpy as np; from atomsight.neighbours import nearest_neighbours;"
    "print(nearest_neighbours(np.eye(3), [[0, 0, 0]], 1)[0][0, 0])"
)


@pytest.mark.timeout(900)  # two starts of Python, one with a compilation, maybe on a busy machine
def test_the_first_start_compiles_and_says_so_the_second_does_neither(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )
    assert first.stdout == second.stdout == "1.0\n"
    assert first.stderr.count("compiling") == 1
    assert second.stderr == ""
