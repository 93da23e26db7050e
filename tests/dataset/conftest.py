"""A small dataset, shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomsight.dataset import Dataset, build, open_dataset
from small_crystals import random_crystals


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """700 random crystals, k = 6, in several row groups and shards."""
    out = tmp_path_factory.mktemp("small") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomsight.dataset.shards.ROW_GROUP_ROWS", 200)
        patch.setattr("atomsight.dataset.shards.SHARD_BYTES", 600 * (9 * 6 + 40))
        build(random_crystals(700), out, 6)
    return open_dataset(Path(out))
