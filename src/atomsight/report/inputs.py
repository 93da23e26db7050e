"""Input folders of a report: their types, and reading their files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from atomsight.core.errors import AtomsightError, DatasetError, InputError
from atomsight.core.files import cell_text
from atomsight.dataset import Dataset, open_dataset

Content = Literal["dataset", "run", "evaluation", "mistakes", "sweep", "distances", "bonds"]
"""Types of folders, in the order of a report."""

_FILES: dict[Content, tuple[str, ...]] = {
    "dataset": ("dataset.json",),
    "run": ("settings.json",),
    "sweep": ("sweep.json",),
    "evaluation": ("summary.json", "mistakes.csv", "confusion.csv", "per_element.csv"),
    "bonds": ("summary.json", "nearest_by_pair.csv"),
    "distances": ("summary.json", "peaks.csv", "pairs.csv"),
    "mistakes": ("pairs.csv", "traits.csv", "sites.csv"),
}
"""Files that a folder of each type has. The first type that fits is taken."""


@dataclass(frozen=True)
class Input:
    """A folder and its type."""

    content: Content
    path: Path


def recognise(paths: Sequence[Path]) -> list[Input]:
    """Find the type of each folder, and put the folders in the order of a report.

    A folder that is named twice is taken once.

    Raises:
        InputError: A folder does not exist, or its type is unknown.
    """
    found: dict[Path, Input] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        fits = (content for content, names in _FILES.items() if all((path / n).is_file() for n in names))
        content = next(fits, None)
        if content is None:
            raise InputError(
                f"{path} holds nothing that a report knows: name a dataset, a run, or what evaluate, "
                "mistakes, sweep, distances or bonds wrote with --out"
            )
        found.setdefault(path.resolve(), Input(content, path))
    return sorted(found.values(), key=lambda one: get_args(Content).index(one.content))


def places_of(path: str, near: Path) -> tuple[Path, ...]:
    """Return where a path that the folder ``near`` names may lead to.

    It may be relative to the working directory, to that folder, or to the parent of that folder.
    """
    return Path(path), near / path, near.parent / path


def find_dataset(record: Mapping[str, Any], near: Path, key: str = "dataset_fingerprint") -> Dataset | None:
    """Open the dataset that a result names; None if it is missing or has changed.

    Args:
        record: Content of a JSON file of the result, with the path as ``dataset``.
        near: Folder of the result.
        key: Key of the dataset's fingerprint.
    """
    path = record.get("dataset")
    for place in places_of(path, near) if path else ():
        try:
            dataset = open_dataset(place)
        except (AtomsightError, OSError):
            continue
        if dataset.fingerprint == record.get(key):
            return dataset
    return None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); run the command that wrote it again") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV file that a command wrote: numbers as numbers, empty cells as None.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.csv

    try:
        if path.stat().st_size == 0:
            return []
        options = pa.csv.ConvertOptions(
            strings_can_be_null=True, null_values=[""], column_types=dict.fromkeys(_TEXT, pa.string())
        )
        rows = pa.csv.read_csv(path, convert_options=options).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} cannot be read ({error}); run the command that wrote it again") from error
    return [{k: cell_text(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


_TEXT = ("crystal", "label", "formula", "group", "flags", "source", "value")
"""Columns that are text even where all values look like numbers, such as the numbers of the COD."""
