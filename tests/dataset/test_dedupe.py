"""Near-duplicates: the same geometry is found, however it is written down, and told apart by its elements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.dataset import build, open_dataset
from atomsight.dataset.dedupe import DIFFERENT, EXCHANGED, SAME, DuplicatePair, near_duplicates

K = 12


def crystal(name: str, seed: int, n: int = 8) -> Crystal:
    """A random P1 crystal of carbon, nitrogen and one oxygen."""
    random = np.random.default_rng(seed)
    numbers = np.array([6] * (n - 3) + [7, 7, 8], dtype=np.uint8)
    return Crystal(
        name=name,
        lattice=np.diag([5.0, 6.0, 7.0]) + random.uniform(-0.5, 0.5, (3, 3)),
        fractional=random.uniform(size=(n, 3)),
        numbers=numbers,
        orbits=np.arange(n, dtype=np.int32),
        labels=tuple(f"X{i}" for i in range(n)),
        source=f"{name}.cif",
    )


def with_numbers(base: Crystal, name: str, numbers: np.ndarray) -> Crystal:
    return replace(base, name=name, source=f"{name}.cif", numbers=numbers.astype(np.uint8))


def moved(base: Crystal, name: str, by: float) -> Crystal:
    """Another origin, another order of the sites, rotated axes, and every atom moved by a distance, Å."""
    random = np.random.default_rng(5)
    order = random.permutation(base.n_atoms)
    shifts = random.normal(size=(base.n_atoms, 3))
    shifts *= by / np.linalg.norm(shifts, axis=1, keepdims=True)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    fractional = base.fractional + shifts @ np.linalg.inv(base.lattice) + 0.3
    return replace(
        base,
        name=name,
        source=f"{name}.cif",
        lattice=base.lattice @ rotation,
        fractional=(fractional % 1.0)[order],
        numbers=base.numbers[order],
    )


def doubled(base: Crystal, name: str) -> Crystal:
    """The same crystal in a cell twice as long, the two copies of an atom being one site."""
    return replace(
        base,
        name=name,
        source=f"{name}.cif",
        lattice=base.lattice * np.array([[2.0], [1.0], [1.0]]),
        fractional=np.concatenate(
            [base.fractional * [0.5, 1, 1], base.fractional * [0.5, 1, 1] + [0.5, 0, 0]]
        ),
        numbers=np.tile(base.numbers, 2),
        orbits=np.tile(base.orbits, 2),
    )


def pairs_among(
    crystals: list[Crystal], folder: Path, tolerance: float = 0.01
) -> dict[frozenset[str], DuplicatePair]:
    build(crystals, folder / "dataset", K)
    found = near_duplicates(open_dataset(folder / "dataset"), tolerance)
    return {frozenset((pair.first, pair.second)): pair for pair in found}


def test_each_relation_is_told(tmp_path: Path) -> None:
    base = crystal("base", 0)
    renamed = with_numbers(base, "renamed", np.where(base.numbers == 8, 9, base.numbers))
    exchanged = with_numbers(base, "exchanged", base.numbers[::-1])
    others = [crystal(f"other{seed}", seed) for seed in range(1, 6)]
    found = pairs_among(
        [base, moved(base, "moved", 0.0), doubled(base, "doubled"), renamed, exchanged, *others], tmp_path
    )

    relations = {pair: found[pair].relation for pair in found}
    same = ("base", "moved", "doubled")
    expected = {frozenset(p): SAME for p in (("base", "moved"), ("base", "doubled"), ("moved", "doubled"))}
    expected |= {frozenset((name, "exchanged")): EXCHANGED for name in same}
    expected |= {frozenset((name, "renamed")): DIFFERENT for name in (*same, "exchanged")}
    assert relations == expected
    pair = found[frozenset(("base", "renamed"))]
    assert {pair.first_only, pair.second_only} == {"O", "F"}
    assert pair.sites == 8
    assert pair.distance < 1e-5


def test_the_tolerance_is_what_decides(tmp_path: Path) -> None:
    base = crystal("base", 7)
    near = moved(base, "near", 0.02)
    loose = pairs_among([base, near], tmp_path / "a", tolerance=0.05)
    assert list(loose) == [frozenset(("base", "near"))]
    distance = next(iter(loose.values())).distance
    assert 0.001 < distance <= 0.04  # moving atoms by d moves the distribution by 2 d at most
    assert pairs_among([base, near], tmp_path / "b", tolerance=0.9 * distance) == {}


def test_one_crystal_and_no_pairs(tmp_path: Path) -> None:
    assert pairs_among([crystal("only", 1)], tmp_path) == {}


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_a_tolerance_that_is_no_length_is_refused(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance"):
        pairs_among([crystal("only", 1)], tmp_path, tolerance)
