"""The parts of the kernel, each against its plain meaning, and how they are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from atomsight.neighbours._compiled import kernel
from atomsight.neighbours._lattice import heights, reduce_lattice
from atomsight.neighbours._select import BY_RANK, ascending
from atomsight.neighbours._simd import LANES, gather_within, keep_within
from atomsight.neighbours._tags import digit_bits, home, step
from atomsight.neighbours._write import write_row
from cells import KINDS, lattice_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray


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


def _sorted(values: NDArray, tags: NDArray, limit: float) -> tuple[NDArray, NDArray]:
    count = len(values)
    room = max(count, BY_RANK) + LANES
    given, given_tags = np.full(room, np.nan), np.zeros(room, np.int64)
    given[:count], given_tags[:count] = values, tags
    ordered, ordered_tags = np.empty(room), np.empty(room, np.int64)
    scratch = (np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64))
    ascending(given, given_tags, count, limit, ordered, ordered_tags, scratch)
    return ordered[:count], ordered_tags[:count]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 50) | st.integers(1, 900), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 40]))
def test_order_of_candidates(count: int, seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random(count) ** (2 / 3) * 7
    if distinct:
        values = rng.choice(values[:distinct], count)
    tags = rng.permutation(count) - count // 2
    ordered, ordered_tags = _sorted(values, tags, 7.0)
    order = np.lexsort((tags, values))
    np.testing.assert_array_equal(ordered, values[order])
    np.testing.assert_array_equal(ordered_tags, tags[order])  # equal values in order of tag


def test_all_candidates_at_distance_nought() -> None:
    ordered, ordered_tags = _sorted(np.zeros(290), np.arange(290)[::-1], 0.0)
    assert not ordered.any()
    np.testing.assert_array_equal(ordered_tags, np.arange(290))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 2**32 - 1))
def test_tags_are_sums_and_order_as_atom_and_shift_do(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = digit_bits(n)
    shifts = rng.integers(-(1 << (bits - 2)), 1 << (bits - 2), (40, 3))
    atoms = rng.integers(0, min(n, 5), 40)
    tags = np.array(
        [(int(i) << (3 * bits)) + home(bits) + step(*s, bits) for i, s in zip(atoms, shifts, strict=True)]
    )
    assert (tags >= 0).all()
    order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], atoms))
    np.testing.assert_array_equal(tags[order], np.sort(tags))
    distances, indices, images = np.empty(40), np.empty(40, np.int64), np.empty(120, np.int32)
    moved = np.array([[0, 0, 0], [3, -4, 5]])
    room = np.zeros(LANES)
    row = np.concatenate([np.arange(40.0) ** 2, room])
    write_row(
        row, np.concatenate([tags, room.astype(int)]), 40, bits, moved, 1, 0, distances, indices, images
    )
    np.testing.assert_array_equal(distances, np.arange(40.0))
    np.testing.assert_array_equal(indices, atoms)
    np.testing.assert_array_equal(images.reshape(-1, 3), shifts + moved[1])


@pytest.mark.parametrize("k", [1, 7, 8, 9, 16, 21])
def test_a_row_touches_its_own_places_only(k: int) -> None:
    bits = digit_bits(3)
    distances, indices = np.full(3 * k, -1.0), np.full(3 * k, -1)
    images = np.full(9 * k, -1, np.int32)
    tags = np.full(k + LANES, (2 << (3 * bits)) + home(bits))
    write_row(np.ones(k + LANES), tags, k, bits, np.zeros((1, 3), np.int64), 0, 1, distances, indices, images)
    for array, value, width in ((distances, 1, 1), (indices, 2, 1), (images, 0, 3)):
        rows = array.reshape(3, k * width)
        assert (rows[1] == value).all()
        assert (rows[[0, 2]] == -1).all()


@kernel
def _filter(points, tags, x, y, z, limit, itself, kept, kept_tags):
    count = 0
    for j in range(0, points.shape[1] - LANES, LANES):
        count = keep_within(
            points[0], points[1], points[2], tags, j, x, y, z, limit, itself, kept, kept_tags, count
        )
    return count


@kernel
def _move(points, tags, s, end, limit, out, out_tags):
    size = 0
    for j in range(s, end, LANES):
        size = gather_within(
            points[0], points[1], points[2], tags, j, end, 0.5, -1.0, 2.0, 7, 0.1, 0.2, 0.3, limit,
            out[0], out[1], out[2], out_tags, size,
        )  # fmt: skip
    return size


@pytest.mark.parametrize("limit", [0.0, 0.5, 2.0, 100.0])
def test_vector_filter_means_what_numpy_means(limit: float) -> None:
    points = np.random.default_rng(0).normal(size=(3, 8 * 20))
    tags = np.arange(160)[::-1].copy()
    kept, kept_tags = np.empty(200), np.empty(200, np.int64)
    count = _filter(points, tags, 0.1, 0.2, 0.3, limit, tags[5], kept, kept_tags)
    apart = points[:, :-LANES] - np.array([[0.1], [0.2], [0.3]])
    squared = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2]
    inside = squared <= limit
    inside[5] = False  # the query itself, by its tag
    np.testing.assert_array_equal(kept_tags[:count], tags[:-LANES][inside])
    np.testing.assert_array_equal(kept[:count], squared[inside])  # to the last bit


@pytest.mark.parametrize("end", [30, 33, 38, 40])
def test_vector_gather_means_what_numpy_means(end: int) -> None:
    points = np.random.default_rng(1).normal(size=(3, 60))
    tags = np.arange(60) * 3
    out, out_tags = np.empty((3, 60)), np.empty(60, np.int64)
    size = _move(points, tags, 30, end, 9.0, out, out_tags)
    moved = points + np.array([[0.5], [-1.0], [2.0]])
    apart = moved - np.array([[0.1], [0.2], [0.3]])
    inside = [j for j in range(30, end) if (apart[:, j] ** 2).sum() <= 9.0]
    assert out_tags[:size].tolist() == [tags[j] + 7 for j in inside]
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
