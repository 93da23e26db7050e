"""Small crystals and a dataset of them, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atomsight.crystal import Crystal
from atomsight.dataset import Dataset, build_from, open_dataset


def random_crystals(count: int, seed: int = 0) -> Iterator[Crystal]:
    """Triclinic cells of one to eight atoms of H, C, N, O, Zn, each its own site; hydrogen is the most
    frequent."""
    generator = np.random.default_rng(seed)
    for index in range(count):
        n = int(generator.integers(1, 9))
        numbers = generator.choice([1, 6, 7, 8, 30], n, p=[0.4, 0.3, 0.15, 0.1, 0.05]).astype(np.uint8)
        yield Crystal(
            name=f"crystal-{index:05d}",
            lattice=np.eye(3) * 5 + generator.normal(0, 0.3, (3, 3)),
            fractional=generator.random((n, 3)),
            numbers=numbers,
            orbits=np.arange(n, dtype=np.int32),
            labels=tuple(f"A{site}" for site in range(n)),
            source=f"made/crystal-{index:05d}.cif",
            flags=frozenset({"has_hydrogen"}) if 1 in numbers else frozenset(),
        )


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """700 random crystals, k = 6, in several row groups and shards."""
    out = tmp_path_factory.mktemp("small") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomsight.dataset.finalise.ROW_GROUP_ROWS", 200)
        patch.setattr("atomsight.dataset.finalise.SHARD_BYTES", 600 * (9 * 6 + 40))
        build_from(random_crystals(700), out, 6)
    return open_dataset(Path(out))
