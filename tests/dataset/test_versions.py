"""Datasets of earlier and later versions of atomsight: they work, or a message says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from atomsight.core.errors import DatasetError
from atomsight.dataset import build, open_dataset
from atomsight.dataset._files import fingerprint_of
from atomsight.dataset.add import add
from atomsight.dataset.info import describe
from atomsight.dataset.merge import merge
from atomsight.dataset.repair import repair
from atomsight.io import DEFAULT, Budget
from atomsight.io.policy import QualityPolicy
from small_crystals import write_cifs

K = 4


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A dataset whose index was written by another version."""
    file = folder / "dataset.json"
    index = json.loads(file.read_text())
    change(index)
    index["fingerprint"] = fingerprint_of(index)
    file.write_text(json.dumps(index))
    return folder


def without_budgets(index: dict[str, Any]) -> None:
    """As before the policy had the fields of `Budget`, but for two of them."""
    index["build"]["atomsight"] = "0.0.1"
    for name in {field.name for field in fields(Budget)} - {"max_bytes", "max_atoms"}:
        del index["build"]["policy"][name]


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    return [write_cifs(tmp_path / name, 6, first=first) for name, first in (("a", 0), ("b", 100))]


@pytest.fixture
def old(tmp_path: Path, sources: list[Path]) -> Path:
    build(sources[0], tmp_path / "old", K)
    return edited(tmp_path / "old", without_budgets)


def test_a_dataset_without_the_budgets_is_opened_merged_and_added_to(
    old: Path, sources: list[Path], tmp_path: Path
) -> None:
    assert describe(open_dataset(old))["crystals"] == 6
    build(sources[1], tmp_path / "new", K)
    for parts in ([old, tmp_path / "new"], [tmp_path / "new", old]):
        index = merge(parts, tmp_path / f"merged-{parts[0].name}").index
        assert index["crystals"] == 12
        assert QualityPolicy(**index["build"]["policy"]) == DEFAULT
    assert add(old, sources[1]).added == 6
    assert open_dataset(old).n_crystals == 12


def test_other_rules_still_differ(old: Path, sources: list[Path], tmp_path: Path) -> None:
    build(sources[1], tmp_path / "new", K, policy=QualityPolicy(max_frames=7))
    with pytest.raises(DatasetError, match="policy max_frames: 2000000 and 7"):
        merge([old, tmp_path / "new"], tmp_path / "merged")


def test_rules_of_a_later_version_are_named(sources: list[Path], tmp_path: Path) -> None:
    build(sources[0], tmp_path / "later", K)
    later = edited(tmp_path / "later", lambda index: index["build"]["policy"].update(max_moons=2))
    assert open_dataset(later).n_crystals == 6
    with pytest.raises(DatasetError, match=r"max_moons.*install a newer atomsight"):
        add(later, sources[1])
    with pytest.raises(DatasetError, match=r"max_moons.*install a newer atomsight"):
        merge([later, copytree(later, tmp_path / "copy")], tmp_path / "merged")


def test_a_later_schema_is_refused_everywhere(sources: list[Path], tmp_path: Path) -> None:
    build(sources[0], tmp_path / "later", K)
    later = edited(tmp_path / "later", lambda index: index["schema"].update(version=3))
    for call in (
        lambda: open_dataset(later),
        lambda: add(later, sources[1]),
        lambda: repair(later, sources[0]),
        lambda: merge([later, sources[0]], tmp_path / "merged"),
        lambda: build(sources[0], later, K),
    ):
        with pytest.raises(DatasetError, match=r"version 3.*version 2; install a newer atomsight"):
            call()
