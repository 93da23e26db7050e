from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
import torch

from atomsight.dataset import Dataset
from atomsight.training.data import SiteStream, read_ahead
from atomsight.training.settings import Settings


def rows(stream: SiteStream) -> np.ndarray:
    batches = list(stream)
    return np.column_stack(
        [
            torch.cat([b["target"] for b in batches]).numpy(),
            torch.cat([b["distances"] for b in batches]).numpy(),
        ]
    )


def test_train_sites_come_all_once_in_another_order_each_epoch(learnable: Dataset) -> None:
    stream = SiteStream(learnable, Settings(k=3, batch_size=100), (1, 6, 8), ("distances",), "train")
    first, again = rows(stream), rows(stream)
    stream.epoch = lambda: 1
    second = rows(stream)
    counts = learnable.element_counts("train")
    assert np.bincount(first[:, 0].astype(int)).tolist() == [counts[z] for z in (1, 6, 8)]
    assert first.shape[1] == 1 + 3
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first[np.lexsort(first.T)], second[np.lexsort(second.T)])


def test_the_cap_binds_train_only(learnable: Dataset) -> None:
    settings = Settings(k=3, batch_size=64, cap=50)
    train = rows(SiteStream(learnable, settings, (1, 6), ("distances",), "train"))
    val = rows(SiteStream(learnable, settings, (1, 6), ("distances",), "val"))
    assert np.bincount(train[:, 0].astype(int)).tolist() == [50, 50]
    assert len(val) == sum(learnable.element_counts("val")[z] for z in (1, 6)) > 100


def test_read_ahead_keeps_order_and_raises_the_errors_of_its_source() -> None:
    def source() -> Iterator[int]:
        yield from range(100)
        raise RuntimeError("the disk is gone")

    items = read_ahead(source(), 3)
    assert [next(items) for _ in range(100)] == list(range(100))
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(items)


def test_read_ahead_lets_go_of_its_thread_when_abandoned() -> None:
    before = threading.active_count()
    items = read_ahead(count(), 3)
    assert next(items) == 0
    items.close()
    time.sleep(0.01)
    assert threading.active_count() == before
