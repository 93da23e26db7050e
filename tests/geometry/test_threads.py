"""How a batch is shared out over threads."""

from __future__ import annotations

from threading import Lock, get_ident

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.core.errors import InputError
from atomsight.geometry.neighbours import nearest_neighbours_batch
from atomsight.geometry.neighbours.batch import _over_threads, _shares


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(2, 6))
def test_every_structure_is_in_one_run(sizes: list[int], threads: int) -> None:
    shares = _shares(np.concatenate([[0], np.cumsum(sizes)]), threads)
    assert len(shares) == threads
    runs = [run for share in shares for run in share]
    assert [i for first, last in runs for i in range(first, last)] == list(range(len(sizes)))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_every_run_is_done_once_whoever_does_it(counts: list[int]) -> None:
    shares = [[(i, j) for j in range(count)] for i, count in enumerate(counts)]
    done, lock, seen = [], Lock(), set()

    def do(run: tuple[int, int]) -> None:
        with lock:
            done.append(run)
            seen.add(get_ident())

    _over_threads(do, shares)
    assert sorted(done) == sorted(run for share in shares for run in share)


def test_an_error_in_any_thread_is_raised() -> None:
    for bad in range(4):

        def do(run: tuple[int, int], bad: int = bad) -> None:
            if run[0] == bad:
                raise ValueError(f"run {bad}")

        with pytest.raises(ValueError, match=f"run {bad}"):
            _over_threads(do, [[(i, i)] for i in range(4)])


def test_threads_answer_as_one() -> None:
    generator = np.random.default_rng(0)
    sizes = np.array([1, 90, 2, 3, 1, 40, 7])
    lattices = np.eye(3) * (4 * sizes ** (1 / 3))[:, None, None] + generator.normal(0, 0.2, (7, 3, 3))
    points = generator.random((sizes.sum(), 3))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    expected = nearest_neighbours_batch(lattices, points, offsets, 6)
    for threads in (2, 3, 20):
        found = nearest_neighbours_batch(lattices, points, offsets, 6, threads=threads)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2])
def test_arrays_given_are_filled(threads: int) -> None:
    generator = np.random.default_rng(1)
    lattices, points = np.tile(np.eye(3) * 5, (3, 1, 1)), generator.random((20, 3))
    first = nearest_neighbours_batch(lattices, points, [0, 5, 9, 20], 4)
    again = nearest_neighbours_batch(
        lattices, points[::-1].copy(), [0, 5, 9, 20], 4, threads=threads, out=first
    )
    expected = nearest_neighbours_batch(lattices, points[::-1].copy(), [0, 5, 9, 20], 4)
    for mine, theirs, fresh in zip(first, again, expected, strict=True):
        assert mine is theirs
        np.testing.assert_array_equal(theirs, fresh)
    distances, indices, images = first
    for wrong, message in (
        ((distances[:, :3], indices, images), "distances must be"),
        ((distances, indices.astype(np.int32), images), "indices must be"),
        ((distances, indices, np.asfortranarray(images)), "images must be contiguous"),
    ):
        with pytest.raises(InputError, match=message):
            nearest_neighbours_batch(lattices, points, [0, 5, 9, 20], 4, threads=threads, out=wrong)
