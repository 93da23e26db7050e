"""A batch gives what a call for each crystal gives, whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from atomsight.core.errors import InputError
from atomsight.geometry.neighbours import nearest_neighbours, nearest_neighbours_batch
from cells import KINDS, lattice_of


def flattened(seed: int, count: int = 40):
    rng = np.random.default_rng(seed)
    sets = [
        (lattice_of(KINDS[i % len(KINDS)], rng), rng.uniform(-1, 2, (int(rng.integers(1, 30)), 3)))
        for i in range(count)
    ]
    offsets = np.cumsum([0] + [len(f) for _, f in sets])
    return sets, np.array([c for c, _ in sets]), np.concatenate([f for _, f in sets]), offsets


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_same_as_one_by_one(threads: int) -> None:
    sets, lattices, fractional, offsets = flattened(1)
    found = nearest_neighbours_batch(lattices, fractional, offsets, 13, threads=threads)
    singles = [nearest_neighbours(lattice, points, 13) for lattice, points in sets]
    for part, expected in zip(found, zip(*singles, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(expected))


def test_the_room_grows_in_the_middle_of_a_batch() -> None:
    """A wider block than any before it: the search goes on at the structure that asked for the room."""
    rng = np.random.default_rng(8)
    sizes = (2, 3, 60, 1, 400, 5)
    sets = [(np.diag(rng.uniform(4, 6, 3)) * n ** (1 / 3), rng.random((n, 3))) for n in sizes]
    offsets = np.cumsum([0, *sizes])
    lattices, fractional = np.array([c for c, _ in sets]), np.concatenate([f for _, f in sets])
    found = nearest_neighbours_batch(lattices, fractional, offsets, 900)
    singles = [nearest_neighbours(lattice, points, 900) for lattice, points in sets]
    for part, expected in zip(found, zip(*singles, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(expected))
    lattices[5] = 0.0
    with pytest.raises(InputError, match="structure 5"):
        nearest_neighbours_batch(lattices, fractional, offsets, 900)


@pytest.mark.parametrize("threads", [1, 3])
def test_queries_within_each_structure(threads: int) -> None:
    sets, lattices, fractional, offsets = flattened(2)
    rng = np.random.default_rng(3)
    chosen = [rng.integers(0, len(f), int(rng.integers(0, 4))) for _, f in sets]
    bounds = np.cumsum([0] + [len(c) for c in chosen])
    distances, indices, images = nearest_neighbours_batch(
        lattices, fractional, offsets, 5, np.concatenate(chosen), bounds, threads=threads, images=False
    )
    assert images.shape == (0, 5, 3)
    singles = [nearest_neighbours(lattice, f, 5, c) for (lattice, f), c in zip(sets, chosen, strict=True)]
    np.testing.assert_array_equal(distances, np.concatenate([s[0] for s in singles]))
    np.testing.assert_array_equal(indices, np.concatenate([s[1] for s in singles]))


def test_no_structures() -> None:
    distances, _, _ = nearest_neighbours_batch(np.empty((0, 3, 3)), np.empty((0, 3)), [0], 4, threads=2)
    assert distances.shape == (0, 4)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bad_structure_is_named(threads: int) -> None:
    _, lattices, fractional, offsets = flattened(4)
    lattices[17] = 0.0
    with pytest.raises(InputError, match=r"^lattice: .*structure 17"):
        nearest_neighbours_batch(lattices, fractional, offsets, 3, threads=threads)


@pytest.mark.parametrize(
    ("argument", "changes"),
    [
        ("lattices", {"lattices": np.eye(3)}),
        ("offsets", {"offsets": [0, 3]}),
        ("offsets", {"offsets": [0, 3, 1]}),
        ("offsets", {"offsets": [0.0, 1.0, 2.0]}),
        ("k", {"k": 0}),
        ("queries", {"queries": [0, 1], "query_offsets": [0, 1, 2]}),
        ("query_offsets", {"queries": [0, 0]}),
        ("query_offsets", {"queries": [0, 0], "query_offsets": [0, 1]}),
        (
            "fractional",
            {"offsets": [0, 2, 2], "queries": [0, 1], "query_offsets": [0, 2, 2], "fractional": [[0, 0]]},
        ),
    ],
)
def test_bad_arguments(argument: str, changes: dict) -> None:
    good = {
        "lattices": np.stack([np.eye(3)] * 2),
        "fractional": np.zeros((2, 3)),
        "offsets": [0, 1, 2],
        "k": 2,
    }
    with pytest.raises(InputError, match=f"^{argument}:"):
        nearest_neighbours_batch(**(good | changes))


def test_a_structure_without_points() -> None:
    distances, _, _ = nearest_neighbours_batch(np.stack([np.eye(3)] * 2), np.zeros((1, 3)), [0, 1, 1], 2)
    assert distances.shape == (1, 2)
