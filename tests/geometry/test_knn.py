"""The k-NN search is exact: against the oracle, against other packages, whatever the description."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.geometry.neighbours import nearest_neighbours, shared, site_neighbours
from atomsight.geometry.neighbours._brute import brute_force_neighbours
from cells import KINDS, Set, lattice_of, periodic_sets, rotation

EXACT = 1e-9
FEW = settings(max_examples=25, deadline=None)
SOME = settings(max_examples=80, deadline=None)
EYE = np.eye(3)


def lengths(
    lattice: NDArray, fractional: NDArray, queries: NDArray, indices: NDArray, images: NDArray
) -> NDArray:
    return np.linalg.norm((fractional[indices] + images - queries[:, None]) @ lattice, axis=2)


@SOME
@given(periodic_sets(), st.integers(1, 40))
def test_every_point_against_the_oracle(a_set: Set, k: int) -> None:
    lattice, fractional = a_set
    distances, indices, images = nearest_neighbours(lattice, fractional, k)
    expected, _, _ = brute_force_neighbours(lattice, fractional, k)
    np.testing.assert_allclose(distances, expected, rtol=0, atol=EXACT)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert distances.dtype == np.float64
    assert indices.dtype == np.int64
    np.testing.assert_allclose(
        lengths(lattice, fractional, fractional, indices, images), distances, rtol=0, atol=EXACT
    )
    for i in range(len(fractional)):  # no neighbour twice, and never the point itself
        seen = {(int(j), *map(int, s)) for j, s in zip(indices[i], images[i], strict=True)}
        assert len(seen) == k
        assert (i, 0, 0, 0) not in seen


@FEW
@given(periodic_sets(most=4), st.sampled_from([100, 250, 500]))
def test_k_far_larger_than_the_cell(a_set: Set, k: int) -> None:
    lattice, fractional = a_set
    distances, _, _ = nearest_neighbours(lattice, fractional, k, np.array([0]))
    expected, _, _ = brute_force_neighbours(lattice, fractional, k, np.array([0]))
    np.testing.assert_allclose(distances, expected, rtol=0, atol=EXACT)


@FEW
@given(periodic_sets(), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_free_positions_leave_nothing_out(a_set: Set, k: int, seed: int) -> None:
    lattice, fractional = a_set
    queries = np.random.default_rng(seed).uniform(-2, 2, (3, 3))
    queries[0] = fractional[0]
    distances, indices, images = nearest_neighbours(lattice, fractional, k, queries)
    expected, _, _ = brute_force_neighbours(lattice, fractional, k, queries)
    np.testing.assert_allclose(distances, expected, rtol=0, atol=EXACT)
    np.testing.assert_allclose(
        lengths(lattice, fractional, queries, indices, images), distances, rtol=0, atol=EXACT
    )
    assert distances[0, 0] < EXACT


@FEW
@given(periodic_sets(), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_chosen_queries_are_rows_of_all(a_set: Set, k: int, seed: int) -> None:
    lattice, fractional = a_set
    chosen = np.random.default_rng(seed).integers(0, len(fractional), 5)
    for one, every in zip(
        nearest_neighbours(lattice, fractional, k, chosen),
        nearest_neighbours(lattice, fractional, k),
        strict=True,
    ):
        np.testing.assert_array_equal(one, every[chosen])


@SOME
@given(periodic_sets(), st.integers(1, 20), st.integers(1, 60))
def test_the_first_k_of_more_are_the_same_neighbours(a_set: Set, k: int, more: int) -> None:
    lattice, fractional = a_set
    for fewer, wider in zip(
        nearest_neighbours(lattice, fractional, k),
        nearest_neighbours(lattice, fractional, k + more),
        strict=True,
    ):
        np.testing.assert_array_equal(fewer, wider[:, :k])


@SOME
@given(periodic_sets(), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_distances_do_not_depend_on_the_description(a_set: Set, k: int, seed: int) -> None:
    lattice, fractional = a_set
    rng = np.random.default_rng(seed)
    n = len(fractional)
    distances, _, _ = nearest_neighbours(lattice, fractional, k)

    def same(new_lattice: NDArray, new_fractional: NDArray, expected: NDArray) -> None:
        found, _, _ = nearest_neighbours(new_lattice, new_fractional, k)
        np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)

    same(lattice @ rotation(rng), fractional, distances)
    same(-lattice, fractional, distances)
    same(lattice, fractional + rng.uniform(-1, 1, 3), distances)
    same(lattice, fractional + rng.integers(-3, 4, (n, 3)), distances)
    order = rng.permutation(n)
    same(lattice, fractional[order], distances[order])
    change = np.eye(3, dtype=int)
    change[0, 1], change[0, 2], change[1, 2] = rng.integers(-4, 5, 3)
    change = change[rng.permutation(3)]
    same(change @ lattice, fractional @ np.linalg.inv(change), distances)
    times = rng.integers(1, 4, 3)
    shifts = np.stack(np.meshgrid(*(np.arange(t) for t in times), indexing="ij"), -1).reshape(-1, 3)
    copies = (fractional[None] + shifts[:, None]).reshape(-1, 3) / times
    same(lattice * times[:, None], copies, np.tile(distances, (len(shifts), 1)))


def test_cell_shifts_too_large_for_a_tag() -> None:
    """Atoms written half a million cells apart: exact all the same, equal distances in the same order."""
    lattice = np.diag([3.0, 4.0, 5.0])  # binary fractions: nothing is rounded, and there are many ties
    fractional = np.array([[0, 0, 0], [0.5, 0.25, 0], [0.25, 0.5, 0.75]])
    moved = np.array([[700_000, 0, -3], [0, -900_000, 0], [0, 1, 800_000]])
    for k in (5, 60):
        distances, indices, images = nearest_neighbours(lattice, fractional, k)
        far, far_indices, far_images = nearest_neighbours(lattice, fractional + moved, k)
        np.testing.assert_array_equal(far, distances)
        np.testing.assert_array_equal(far_indices, indices)
        np.testing.assert_array_equal(far_images + moved[indices] - moved[:, None], images)


def test_a_very_skewed_cell() -> None:
    lattice = np.array([[3.0, 0, 0], [0, 4, 0], [3 * 700_000, 0, 5]])
    fractional = np.array([[0, 0, 0], [0.5, 0.25, 0]])
    distances, indices, images = nearest_neighbours(lattice, fractional, 20)
    plain, _, _ = nearest_neighbours(np.diag([3.0, 4.0, 5.0]), fractional, 20)
    np.testing.assert_array_equal(distances, plain)
    np.testing.assert_allclose(
        lengths(lattice, fractional, fractional, indices, images), distances, rtol=0, atol=EXACT
    )


def test_neighbours_many_cells_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomsight.geometry.neighbours.knn.MOST_NEIGHBOURS", 10**6)
    distances, _, images = nearest_neighbours(np.diag([1.0, 1e7, 1e7]), [[0, 0, 0]], 400_000)
    steps = np.repeat(np.arange(1, 200_001), 2)
    np.testing.assert_array_equal(distances[0], steps)
    np.testing.assert_array_equal(images[0, :, 0], steps * np.tile((-1, 1), 200_000))


@pytest.mark.parametrize("kind", KINDS)
def test_many_atoms_against_a_tree(kind: str) -> None:
    """SciPy's k-d tree over explicit copies: another algorithm, and cells with many bins."""
    from scipy.spatial import KDTree

    rng = np.random.default_rng(3)
    lattice = lattice_of(kind, rng) * 3
    fractional = rng.random((300, 3))
    fractional[:100] = 0.5 + 0.02 * fractional[:100]  # a cluster in it
    k = 12
    distances, _, _ = nearest_neighbours(lattice, fractional, k)
    reach = np.ceil(distances.max() / (1 / np.linalg.norm(np.linalg.inv(lattice), axis=0))).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1).reshape(-1, 3)
    points = ((fractional[None] + shifts[:, None]) @ lattice).reshape(-1, 3)
    expected = KDTree(points).query(fractional @ lattice, k + 1)[0][:, 1:]
    np.testing.assert_allclose(distances, expected, rtol=0, atol=EXACT)


def test_against_vesin() -> None:
    vesin = pytest.importorskip("vesin")
    rng = np.random.default_rng(5)
    lattice, fractional, cutoff = lattice_of("skewed", rng), rng.random((20, 3)), 6.0
    i, d = vesin.NeighborList(cutoff=cutoff, full_list=True).compute(
        points=fractional @ lattice, box=lattice, periodic=True, quantities="id"
    )
    k = int(np.bincount(i, minlength=20).max())
    distances, _, _ = nearest_neighbours(lattice, fractional, k)
    for point in range(20):
        expected = np.sort(d[i == point])
        np.testing.assert_allclose(distances[point, : len(expected)], expected, rtol=0, atol=EXACT)


def test_known_crystals() -> None:
    copper = nearest_neighbours(3.615 * EYE, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 18)[0]
    np.testing.assert_allclose(copper[:, :12], 3.615 / 2**0.5, atol=EXACT)
    np.testing.assert_allclose(copper[:, 12:], 3.615, atol=EXACT)
    alone = nearest_neighbours(EYE, [[0.3, 0.2, 0.1]], 26)[0][0]
    np.testing.assert_allclose(alone, [1] * 6 + [2**0.5] * 12 + [3**0.5] * 8, atol=EXACT)


def test_points_at_one_place_count_and_the_query_is_left_out_by_identity() -> None:
    place = np.full((6, 3), 0.25)
    distances, indices, images = nearest_neighbours(4 * EYE, place, 7)
    np.testing.assert_array_equal(distances[:, :5], 0.0)
    np.testing.assert_allclose(distances[:, 5:], 4.0)
    for i in range(6):
        assert indices[i, :5].tolist() == [j for j in range(6) if j != i]
    assert not images[:, :5].any()


def test_equal_distances_are_in_order_of_index_then_image() -> None:
    _, indices, images = nearest_neighbours(EYE, [[0, 0, 0], [0.5, 0.5, 0.5]], 14)
    assert indices[0].tolist() == [1] * 8 + [0] * 6
    for shell in (images[0, :8], images[0, 8:]):
        assert shell.tolist() == sorted(shell.tolist())


def test_extreme_cells() -> None:
    """A row of atoms, a net of atoms, a lone pair in a void, and a cell skewed beyond reason."""
    row = nearest_neighbours(np.diag([1.0, 900.0, 900.0]), [[0, 0, 0]], 100)[0][0]
    np.testing.assert_allclose(row, np.repeat(np.arange(1, 51), 2))
    net = nearest_neighbours(np.diag([1.0, 1.0, 5000.0]), [[0, 0, 0]], 8)[0][0]
    np.testing.assert_allclose(net, [1] * 4 + [2**0.5] * 4)
    void = nearest_neighbours(200 * EYE, [[0.5, 0.5, 0.5], [0.5, 0.5, 0.507]], 3)[0]
    np.testing.assert_allclose(void[0], [1.4, 198.6, 200.0])
    sheared = nearest_neighbours([[1, 0, 0], [4e3, 1, 0], [-3e3, 7e2, 1]], [[0, 0, 0]], 6)[0]
    np.testing.assert_allclose(sheared, 1.0, atol=1e-9)


def test_no_queries() -> None:
    distances, indices, images = nearest_neighbours(EYE, [[0, 0, 0]], 4, [])
    assert distances.shape == indices.shape == (0, 4)
    assert images.shape == (0, 4, 3)


@pytest.mark.parametrize(
    ("argument", "lattice", "fractional", "k", "queries"),
    [
        ("lattice", [[1, 0, 0], [2, 0, 0], [0, 0, 1]], [[0, 0, 0]], 1, None),
        ("lattice", np.zeros((3, 3)), [[0, 0, 0]], 1, None),
        ("lattice", EYE * np.nan, [[0, 0, 0]], 1, None),
        ("lattice", EYE[:2], [[0, 0, 0]], 1, None),
        ("lattice", "abc", [[0, 0, 0]], 1, None),
        ("fractional", EYE, [[0, np.inf, 0]], 1, None),
        ("fractional", EYE, [[0, 0, 3e7]], 1, None),
        ("fractional", EYE, [[0, 0]], 1, None),
        ("fractional", EYE, np.empty((0, 3)), 1, None),
        ("fractional", EYE, [], 1, None),
        ("k", EYE, [[0, 0, 0]], 0, None),
        ("k", EYE, [[0, 0, 0]], 1001, None),
        ("k", EYE, [[0, 0, 0]], 2.0, None),
        ("k", EYE, [[0, 0, 0]], True, None),
        ("queries", EYE, [[0, 0, 0]], 1, [1]),
        ("queries", EYE, [[0, 0, 0]], 1, [-1]),
        ("queries", EYE, [[0, 0, 0]], 1, [0.5]),
        ("queries", EYE, [[0, 0, 0]], 1, [[0, np.nan, 0]]),
        ("queries", EYE, [[0, 0, 0]], 1, [[0, 0]]),
    ],
)
def test_bad_input_names_the_argument(argument, lattice, fractional, k, queries) -> None:
    with pytest.raises(InputError, match=f"^{argument}:"):
        nearest_neighbours(lattice, fractional, k, queries)


def test_sites_of_a_crystal() -> None:
    salt = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    fractional = np.concatenate([salt, (salt + 0.5) % 1.0])
    orbits = np.repeat(np.array([0, 1], np.int32), 4)
    numbers = np.repeat(np.array([11, 17], np.uint8), 4)
    crystal = Crystal("salt", 5.64 * EYE, fractional, numbers, orbits, ("Na1", "Cl1"))
    distances, neighbours = site_neighbours(crystal, 18)
    assert distances.shape == (2, 18)
    assert neighbours.dtype == np.uint32
    np.testing.assert_allclose(distances[:, :6], 2.82, atol=EXACT)
    assert neighbours.tolist() == [[1] * 6 + [0] * 12, [0] * 6 + [1] * 12]


def test_a_search_for_all_atoms_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    fractional, numbers = rng.random((9, 3)), np.full(9, 6, np.uint8)
    labels = tuple(map(str, range(9)))
    crystal = Crystal("x", np.eye(3) * 6, fractional, numbers, np.arange(9, dtype=np.int32), labels)
    calls: list[int] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments[2])
        return nearest_neighbours(*arguments)

    monkeypatch.setattr(shared, "search", counted)
    for k, atoms in ((8, None), (5, None), (8, np.array([4, 1])), (3, np.array([7])), (12, np.array([2]))):
        expected = nearest_neighbours(crystal.lattice, fractional, k, atoms)
        for one, other in zip(shared.neighbours_of(crystal, k, atoms), expected, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.flags.c_contiguous
    assert calls == [8, 12]
    crystal.forget()
    shared.neighbours_of(crystal, 5)
    assert calls == [8, 12, 5]
