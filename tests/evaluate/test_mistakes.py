from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from atomsight.evaluate import Mistake, MistakeLog
from atomsight.evaluate.mistakes import CrystalCounts


def batch(rng: np.random.Generator, n: int, first: int = 0) -> dict[str, np.ndarray]:
    return {
        "crystal": np.array([f"c{i}" for i in rng.integers(0, 50, n)], dtype=object),
        "site": (first + rng.permutation(n)).astype(np.uint32),
        "label": np.array([f"Al{i}" for i in range(n)], dtype=object),
        "true": np.full(n, 13, dtype=np.uint8),
        "predicted": np.full(n, 3, dtype=np.uint8),
        "probability": (rng.integers(5, 10, n) / 10).astype(np.float32),  # many ties
        "probability_true": np.full(n, 0.1, dtype=np.float32),
        "rank": np.full(n, 2),
    }


def test_spilled_and_held_mistakes_come_in_one_order() -> None:
    rng = np.random.default_rng(0)
    parts = [batch(rng, 300, 300 * i) for i in range(7)]
    held, spilled = MistakeLog(), MistakeLog(limit=500)
    for part in parts:
        held.add(**part)
    for part in reversed(parts):
        spilled.add(**part)
    folder = spilled._folder
    assert folder is not None
    assert folder.exists()
    assert list(held) == list(spilled)
    assert list(spilled) == list(spilled)
    rows = list(held)
    assert held.count == len(rows) == 2100
    keys = [(-m.probability, m.crystal, m.site) for m in rows]
    assert keys == sorted(keys)
    del spilled
    assert not folder.exists()


def test_csv_speaks_in_symbols(tmp_path: Path) -> None:
    log = MistakeLog()
    log.add(
        crystal=np.array(['odd, "name"'], dtype=object),
        site=np.array([4]),
        label=np.array(["Al1"], dtype=object),
        true=np.array([13], dtype=np.uint8),
        predicted=np.array([3], dtype=np.uint8),
        probability=np.array([0.875], dtype=np.float32),
        probability_true=np.array([0.125], dtype=np.float32),
        rank=np.array([1]),
    )
    assert list(log) == [Mistake('odd, "name"', 4, "Al1", 13, 3, 0.875, 0.125, 1)]
    log.write_csv(tmp_path / "mistakes.csv")
    with (tmp_path / "mistakes.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(Mistake._fields)
    assert rows[1] == ['odd, "name"', "4", "Al1", "Al", "Li", "0.875000", "0.125000", "1"]


def test_no_mistake_at_all(tmp_path: Path) -> None:
    log = MistakeLog()
    assert list(log) == []
    log.write_csv(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().count("\n") == 1


def test_columns_of_unequal_length_are_refused() -> None:
    columns = batch(np.random.default_rng(0), 3)
    columns["site"] = columns["site"][:2]
    with pytest.raises(ValueError, match="length"):
        MistakeLog().add(**columns)


def test_counts_by_crystal() -> None:
    counts = CrystalCounts()
    names = np.array(["a", "a", "b", "c", "c", "c"], dtype=object)
    known = np.array([True, True, False, True, True, False])
    right = np.array([True, False, False, True, True, False])
    counts.add(names[:3], known[:3], right[:3])
    counts.add(names[3:3], known[3:3], right[3:3])
    counts.add(names[3:], known[3:], right[3:])
    assert counts.names == ["a", "b", "c"]
    assert counts.counts.tolist() == [[2, 2, 1], [1, 0, 0], [3, 2, 0]]
