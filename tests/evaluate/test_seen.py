from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from atomsight.dataset.schema import CRYSTALS_SCHEMA
from atomsight.evaluate import seen


def dataset(fingerprint: str, *rows: tuple[str, str, str]) -> SimpleNamespace:
    """Rows are (formula, family, split)."""
    names = ("formula", "family", "split")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=CRYSTALS_SCHEMA)
    return SimpleNamespace(fingerprint=fingerprint, crystals=table.select)


def model(fingerprint: str | None) -> SimpleNamespace:
    return SimpleNamespace(metadata={"data": {"fingerprint": fingerprint}} if fingerprint else {})


TRAINING = dataset("a", ("CH4", "AAAAAA", "train"), ("H2O", "BBBBBB", "val"), ("CO2", "CCCCCC", "test"))
OTHER = dataset(
    "b",
    ("CH4", "DDDDDD", "test"),  # the formula was learnt from
    ("CHO", "AAAAAA", "test"),  # the family was
    ("CH4", "AAAAAA", "test"),  # both: counted once
    ("H2O", "BBBBBB", "test"),  # only validated on
    ("CO2", "CCCCCC", "test"),  # only tested on
    ("CH4", "AAAAAA", "val"),  # not in the split
)


def test_crystals_of_another_dataset_are_looked_up() -> None:
    assert seen.crystals_seen(model("a"), OTHER, "test", TRAINING) == 3
    assert seen.crystals_seen(model("a"), OTHER, "val", TRAINING) == 1
    assert seen.crystals_seen(model("a"), OTHER, "all", TRAINING) == 4


def test_within_one_dataset_only_train_was_seen() -> None:
    assert seen.crystals_seen(model("a"), TRAINING, "test", None) == 0
    assert seen.crystals_seen(model("a"), TRAINING, "train", None) == 1
    assert seen.crystals_seen(model("a"), TRAINING, "all", None) == 1


def test_unknown_stays_unknown() -> None:
    assert seen.crystals_seen(model("a"), OTHER, "test", None) is None
    assert seen.crystals_seen(model(None), OTHER, "test", None) is None


def test_the_training_dataset_is_found_only_if_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import atomsight.dataset

    opened: list[str] = []

    def open_dataset(path: str) -> SimpleNamespace:
        opened.append(path)
        return TRAINING

    monkeypatch.setattr(atomsight.dataset, "open_dataset", open_dataset, raising=False)
    (tmp_path / "settings.json").write_text(json.dumps({"dataset": "here"}))
    assert seen.training_dataset(model("a"), tmp_path) is TRAINING
    assert seen.training_dataset(model("another"), tmp_path) is None
    assert opened == ["here", "here"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": "/nowhere/at/all"}', '{"dataset": null}'])
def test_a_run_that_cannot_tell_its_dataset_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    assert seen.training_dataset(model("a"), tmp_path) is None
    assert seen.training_dataset(model("a"), "two-stage") is None
