"""Orbits from the geometry agree with moyo's, a filled cell with gemmi's; both hold in awkward cells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gemmi
import moyopy
import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

import atomsight
from atomsight import nearest_neighbours
from atomsight.geometry.cell import inverse, lattice_symmetries, reduce_lattice
from atomsight.geometry.symmetry import (
    expand,
    find_orbits,
    find_symmetry,
    first_atoms,
    primitive_atoms,
    renumber,
)
from atomsight.geometry.symmetry.group import distinct, is_group
from cells import crystal_of

GROUPS = [
    "P -1",
    "P 1 21/c 1",
    "C 1 2/c 1",
    "P 21 21 21",
    "F d d 2",
    "I 4/m c m",
    "R -3 c:H",
    "P 63/m m c",
    "P a -3",
    "F m -3 m",
]


def operations(name: str) -> tuple[np.ndarray, np.ndarray]:
    ops = sorted(gemmi.SpaceGroup(name).operations(), key=lambda op: op.triplet() != "x,y,z")
    return np.array([op.rot for op in ops]) / 24, np.array([op.tran for op in ops]) / 24


def lattice_for(name: str, rng: np.random.Generator) -> np.ndarray:
    """A cell whose metric the group keeps: a random one averaged over the group."""
    rotations, _ = operations(name)
    basis = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    metric = np.mean([r.T @ (basis @ basis.T) @ r for r in rotations], axis=0)
    return 2.0 * np.linalg.cholesky(metric)


def crystal(name: str, seed: int, special: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lattice = lattice_for(name, rng)
    points = rng.random((3, 3))
    if special:
        points[0] = 0.0
    filled = expand(lattice, points, *operations(name), tolerance=1e-3)
    assert filled is not None
    numbers = np.array([29, 8, 8], np.uint8)[filled.orbits]
    return lattice, filled.fractional, numbers, filled.orbits


def moyo_orbits(lattice: np.ndarray, points: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    cell = moyopy.Cell(lattice.tolist(), points.tolist(), numbers.tolist())
    return renumber(np.array(moyopy.MoyoDataset(cell, symprec=0.01).orbits))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(GROUPS), st.integers(0, 10_000), st.booleans())
def test_orbits_agree_with_moyo(name: str, seed: int, special: bool) -> None:
    lattice, points, numbers, _ = crystal(name, seed, special)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(points))
    points = (points + rng.random(3))[order] + rng.integers(-2, 3, (len(points), 3))
    points += rng.normal(scale=1e-4, size=points.shape) @ np.linalg.inv(lattice)
    found = find_orbits(lattice, points, numbers[order])
    try:
        expected = moyo_orbits(lattice, points, numbers[order])
    except ValueError:  # on rare cells moyo finds no primitive one, and is no oracle
        reject()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", GROUPS)
def test_orbits_are_those_that_the_cell_was_filled_with(name: str) -> None:
    lattice, points, numbers, orbits = crystal(name, 7, special=True)
    found = find_orbits(lattice, points, numbers)
    # The geometry may hold more symmetry than was put in, never less.
    for orbit in range(3):
        assert len(set(found[orbits == orbit])) == 1


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(GROUPS),
    st.integers(0, 1000),
    st.sampled_from([(2, 1, 1), (1, 3, 1), (2, 2, 1), (1, 1, 4)]),
)
def test_a_supercell_has_the_orbits_of_its_cell(name: str, seed: int, times: tuple[int, int, int]) -> None:
    lattice, points, numbers, _ = crystal(name, seed, special=False)
    # Atoms as close as the tolerance would pass for each other.
    assume(nearest_neighbours(lattice, points, 1)[0].min() > 0.1)
    shifts = np.array(list(np.ndindex(times)))
    larger = ((points[:, None] + shifts[None]) / np.array(times)).reshape(-1, 3)
    expected = np.repeat(find_orbits(lattice, points, numbers), len(shifts))
    found = find_orbits(lattice * np.array(times)[:, None], larger, np.repeat(numbers, len(shifts)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", GROUPS)
def test_a_primitive_cell_has_as_many_atoms_as_moyo_says(name: str) -> None:
    lattice, points, numbers, _ = crystal(name, 7, special=True)
    cell = moyopy.Cell(lattice.tolist(), points.tolist(), numbers.tolist())
    expected = len(moyopy.MoyoDataset(cell, symprec=0.01).prim_std_cell.numbers)
    assert find_symmetry(lattice, points, numbers)[1] == expected
    doubled = np.concatenate([points / [1, 1, 2], points / [1, 1, 2] + [0, 0, 0.5]])
    twice = crystal_of(lattice * [[1], [1], [2]], doubled)
    twice = dataclasses.replace(twice, numbers=np.tile(numbers, 2).astype(np.uint8))
    assert primitive_atoms(twice) == expected


def test_a_reader_hands_on_the_size_of_the_primitive_cell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (
        "rock salt, twice\n1.0\n5.6 0 0\n0 5.6 0\n0 0 5.6\nNa Cl\n4 4\nDirect\n"
        "0 0 0\n0 .5 .5\n.5 0 .5\n.5 .5 0\n.5 0 0\n0 .5 0\n0 0 .5\n.5 .5 .5\n"
    )
    (tmp_path / "POSCAR").write_text(text, encoding="utf-8")
    [salt] = atomsight.read(tmp_path / "POSCAR")
    monkeypatch.delattr("atomsight.geometry.symmetry.search.primitive")
    assert primitive_atoms(salt) == 2


def test_a_skewed_setting_of_the_same_lattice_changes_nothing() -> None:
    lattice, points, numbers, _ = crystal("F m -3 m", 3, special=True)
    change = np.array([[1, 0, 0], [7, 1, 0], [-5, 11, 1]])
    found = find_orbits(change @ lattice, points @ np.linalg.inv(change), numbers)
    np.testing.assert_array_equal(found, find_orbits(lattice, points, numbers))


def test_elements_are_never_joined() -> None:
    lattice = 4.0 * np.eye(3)
    points = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    assert find_orbits(lattice, points, [55, 55]).tolist() == [0, 0]
    assert find_orbits(lattice, points, [55, 17]).tolist() == [0, 1]


def test_tolerance_decides() -> None:
    lattice = np.diag([5.0, 6.0, 7.0])
    points = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.7 + 0.05 / 7], [0, 0, 0], [0.5, 0.02, 0.04]])
    numbers = [6, 6, 8, 7]
    assert find_orbits(lattice, points, numbers, symprec=0.01).max() == 3
    assert find_orbits(lattice, points[:3], numbers[:3], symprec=0.1).max() == 1


def test_a_vacancy_in_a_large_crystal_is_found_in_time() -> None:
    n = 12
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3) / n
    orbits = find_orbits(3.0 * n * np.eye(3), grid[1:], np.full(n**3 - 1, 29))
    # Steps to the vacancy along each axis, in any order: the orbits of the cubic group about it.
    shells = {tuple(sorted(min(i, n - i) for i in index)) for index in np.ndindex(n, n, n)}
    assert orbits.max() + 1 == len(shells) - 1


def test_degenerate_inputs() -> None:
    assert find_orbits(np.eye(3), np.zeros((0, 3)), []).tolist() == []
    assert find_orbits(3 * np.eye(3), [[0.3, 0.1, 0.2]], [6]).tolist() == [0]
    assert find_orbits(3 * np.eye(3), [[0, 0, 0], [0, 0, 0]], [6, 6]).tolist() in ([0, 0], [0, 1])


@pytest.mark.parametrize("name", GROUPS)
def test_filling_agrees_with_gemmi(name: str) -> None:
    rng = np.random.default_rng(1)
    lattice = 6.0 * lattice_for(name, rng)  # no random point comes near a special position
    points = np.concatenate([rng.random((4, 3)), [[0, 0, 0], [0.25, 0.25, 0.25]]])
    filled = expand(lattice, points, *operations(name))
    small = gemmi.SmallStructure()
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    small.cell = gemmi.UnitCell(*lengths, *np.degrees(np.arccos(cosines)))
    small.spacegroup = gemmi.SpaceGroup(name)
    for x in points:
        site = gemmi.SmallStructure.Site()
        site.fract = gemmi.Fractional(*x)
        small.add_site(site)
    small.setup_cell_images()
    assert filled is not None
    assert len(filled.orbits) == len(small.get_all_unit_cell_sites())
    assert ((filled.fractional >= 0) & (filled.fractional < 1)).all()


def test_a_rounded_special_position_becomes_exact() -> None:
    name = "P 63/m m c"
    lattice = lattice_for(name, np.random.default_rng(0))
    filled = expand(lattice, [[0.3333, 0.6667, 0.25]], *operations(name))
    assert filled is not None
    np.testing.assert_allclose(np.sort(filled.fractional[:, 0]), [1 / 3, 2 / 3], atol=1e-12)
    assert (filled.orbits == 0).all()


def test_a_limit_on_atoms() -> None:
    rotations, translations = operations("F m -3 m")
    points = [[0.11, 0.23, 0.37]] * 10
    assert expand(np.eye(3) * 9, points, rotations, translations, 1e-3, max_atoms=1000) is None


@settings(deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=9, max_size=9))
def test_reduction_keeps_the_lattice(values: list[float]) -> None:
    lattice = np.array(values).reshape(3, 3)
    if abs(np.linalg.det(lattice)) < 1e-2:
        return
    reduced = reduce_lattice(lattice)
    change = reduced @ np.linalg.inv(lattice)
    np.testing.assert_allclose(change, np.round(change), atol=1e-6)
    assert abs(round(np.linalg.det(change))) == 1
    lengths = np.linalg.norm(reduced, axis=1)
    assert (np.diff(lengths) >= -1e-9).all()
    for i, j, k in np.ndindex(3, 3, 3):  # no combination with the longest vector is shorter than it
        assert np.linalg.norm(np.array([i - 1, j - 1, 1]) @ reduced) >= lengths[2] - 1e-6 or k
    np.testing.assert_allclose(inverse(lattice) @ lattice, np.eye(3), atol=1e-6)


@pytest.mark.parametrize(("lattice", "order"), [
    (np.eye(3) * 4, 48),
    (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.0, 48),
    (np.diag([3.0, 3.0, 5.0]), 16),
    (np.array([[1, 0, 0], [-0.5, 3**0.5 / 2, 0], [0, 0, 1.7]]) * 3, 24),
    (np.diag([3.0, 4.0, 5.0]), 8),
    (np.array([[3, 0, 0], [0.4, 4, 0], [0.3, 0.7, 5.0]]), 2),
])  # fmt: skip
def test_lattice_symmetries_are_those_of_the_crystal_system(lattice: np.ndarray, order: int) -> None:
    assert len(lattice_symmetries(reduce_lattice(lattice), 0.01)) == order


def test_groups_are_told_from_other_lists() -> None:
    rotations, translations = operations("I 4/m c m")
    assert is_group(rotations, translations, 0.01)
    assert not is_group(rotations[:-1], translations[:-1], 0.01)
    assert len(distinct(np.tile(rotations, (2, 1, 1)), np.tile(translations, (2, 1)) + 1, 0.01)) == len(
        rotations
    )


def test_first_atoms() -> None:
    assert first_atoms(renumber(np.array([5, 5, 2, 5, 9, 2]))).tolist() == [0, 2, 4]
