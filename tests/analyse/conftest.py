"""A dataset of crystals whose neighbours are known without computing them, and random ones between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from atomsight.core.crystal import Crystal
from atomsight.dataset import Dataset, build, open_dataset


def rock_salt(
    name: str, edge: float, cation: int, anion: int, flags: frozenset[str] = frozenset()
) -> Crystal:
    """Eight atoms, two sites of multiplicity four; six neighbours at half the edge."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return Crystal(
        name=name,
        lattice=np.eye(3) * edge,
        fractional=np.concatenate([corners, (corners + 0.5) % 1]),
        numbers=np.array([cation] * 4 + [anion] * 4, dtype=np.uint8),
        orbits=np.array([0] * 4 + [1] * 4, dtype=np.int32),
        labels=("M1", "X1"),
        source=f"salts.tar::{name}.cif",
        flags=flags,
    )


def hydrocarbon(name: str) -> Crystal:
    """H-C-C in a large cell: C-H 1.0 Å, C-C 1.5 Å. The nearest of H is C, of the first C is H, of the second
    C."""
    positions = np.array([[5.0, 5, 5], [6.0, 5, 5], [7.5, 5, 5]])
    return Crystal(
        name=name,
        lattice=np.eye(3) * 20,
        fractional=positions / 20,
        numbers=np.array([1, 6, 6], dtype=np.uint8),
        orbits=np.arange(3, dtype=np.int32),
        labels=("H1", "C1", "C2"),
        source=f"organic.tar::{name}.cif",
        flags=frozenset({"has_hydrogen"}),
    )


def random_crystals(count: int) -> Iterator[Crystal]:
    generator = np.random.default_rng(3)
    for i in range(count):
        n = int(generator.integers(2, 8))
        numbers = generator.choice([1, 6, 7, 8, 30], n, p=[0.3, 0.35, 0.15, 0.15, 0.05]).astype(np.uint8)
        yield Crystal(
            name=f"random-{i:04d}",
            lattice=np.eye(3) * 6 + generator.normal(0, 0.3, (3, 3)),
            fractional=generator.random((n, 3)),
            numbers=numbers,
            orbits=np.arange(n, dtype=np.int32),
            labels=tuple(f"A{j}" for j in range(n)),
            source=f"random/random-{i:04d}.cif",
            flags=frozenset({"has_hydrogen"}) if 1 in numbers else frozenset(),
        )


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Rock salt of NaCl (edge 5.64 Å) and H-C-C, one crystal each, k = 8."""
    out = tmp_path_factory.mktemp("known") / "dataset"
    build([rock_salt("salt", 5.64, 11, 17), hydrocarbon("ethyne")], out, 8)
    return open_dataset(out)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """400 random crystals, some rock salts and hydrocarbons, k = 8."""
    out = tmp_path_factory.mktemp("mixed") / "dataset"
    salts = [rock_salt(f"salt-{i}", 4.8 + 0.1 * i, 11 if i % 2 else 19, 17) for i in range(12)]
    build([*random_crystals(400), *salts, *(hydrocarbon(f"hc-{i}") for i in range(3))], out, 8)
    return open_dataset(out)
