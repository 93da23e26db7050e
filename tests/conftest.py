"""A dataset that can be learnt, and a model that has learnt it: trained once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


@pytest.fixture(scope="session")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """400 crystals, k = 6, four elements."""
    from atomsight.dataset import build, open_dataset
    from learnable_crystals import learnable_crystals

    out = tmp_path_factory.mktemp("learnable") / "dataset"
    build(learnable_crystals(400), out, 6, licence="CC0")
    return open_dataset(out)


@pytest.fixture(scope="session")
def run(learnable: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with ``QUICK`` settings."""
    torch = pytest.importorskip("torch")
    from atomsight.training import train_model
    from learnable_crystals import QUICK

    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "quick"
    train_model(learnable, out, QUICK)
    return out


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a model trained here."""
    for item in items:
        if {"run", "network"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.train)
