"""Batches of whole crystals, against the table and each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from atomsight.core.errors import InputError
from atomsight.dataset import Dataset

COLUMNS = ["crystal", "site", "neighbours", "element"]


def crystals_of(batch: dict[str, np.ndarray]) -> list[tuple[str, list]]:
    starts = [*np.flatnonzero(batch["site"] == 0).tolist(), len(batch["site"])]
    return [
        (batch["crystal"][a], np.column_stack([batch["element"], batch["neighbours"]])[a:b].tolist())
        for a, b in pairwise(starts)
    ]


@pytest.mark.parametrize("size", [1, 97, 1000])
def test_batches_end_at_the_first_border_from_the_wanted_size_on(small: Dataset, size: int) -> None:
    batches = list(small.batches(COLUMNS, batch_size=size, whole_crystals=True))
    for name in COLUMNS:
        plain = np.concatenate([b[name] for b in small.batches(COLUMNS)])
        np.testing.assert_array_equal(np.concatenate([b[name] for b in batches]), plain)
    for batch in batches:
        assert batch["site"][0] == 0
        last = int(np.flatnonzero(batch["site"] == 0)[-1])
        assert last < size, "one crystal fewer would have been enough"
    assert all(len(b["site"]) >= size for b in batches[:-1])


def test_shuffling_moves_whole_crystals(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomsight.dataset.batches.POOL_ROWS", 1500)
    plain = [c for b in small.batches(COLUMNS, split="train", whole_crystals=True) for c in crystals_of(b)]
    orders = []
    for seed in (1, 1, 2):
        stream = small.batches(COLUMNS, split="train", batch_size=300, shuffle=seed, whole_crystals=True)
        orders.append([c for b in stream for c in crystals_of(b)])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != plain
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(plain)


def test_large_crystals_come_as_often_as_their_share_says(small: Dataset) -> None:
    whole = {
        c[0]: c for b in small.batches(COLUMNS, split="train", whole_crystals=True) for c in crystals_of(b)
    }
    seen = dict.fromkeys(whole, 0)
    for seed in range(60):
        for batch in small.batches(COLUMNS, split="train", shuffle=seed, whole_crystals=True, per_crystal=4):
            for crystal in crystals_of(batch):
                assert crystal == whole[crystal[0]]
                seen[crystal[0]] += 1
    assert all(seen[name] == 60 for name, (_, rows) in whole.items() if len(rows) <= 4)
    large = {name: rows for name, (_, rows) in whole.items() if len(rows) > 4}
    expected = 60 * sum(4 / len(rows) for rows in large.values())
    assert large
    assert abs(sum(seen[name] for name in large) - expected) < 5 * expected**0.5
    for arguments in ({"shuffle": 1}, {"whole_crystals": True}):
        with pytest.raises(InputError, match="per_crystal"):
            small.batches(COLUMNS, per_crystal=3, **arguments)


def test_site_need_not_be_asked_for(small: Dataset) -> None:
    batch = next(small.batches(["element"], whole_crystals=True))
    assert list(batch) == ["element"]


def test_rows_cannot_be_chosen(small: Dataset) -> None:
    with pytest.raises(InputError, match="no elements and no cap"):
        small.batches(COLUMNS, whole_crystals=True, cap=3)
    with pytest.raises(InputError, match="no elements and no cap"):
        small.batches(COLUMNS, whole_crystals=True, elements=[6])
