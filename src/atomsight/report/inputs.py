"""What a report is asked to tell of: recognising the folders that the commands leave behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from atomsight.core.errors import DatasetError, InputError
from atomsight.core.files import cell_text

Kind = Literal["dataset", "run", "evaluation", "mistakes", "distances", "bonds", "sweep"]

_MARKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("dataset", ("dataset.json",)),
    ("run", ("settings.json",)),
    ("sweep", ("sweep.json",)),
    ("evaluation", ("summary.json", "mistakes.csv", "confusion.csv", "per_element.csv")),
    ("bonds", ("summary.json", "nearest_by_pair.csv")),
    ("distances", ("summary.json", "peaks.csv", "pairs.csv")),
    ("mistakes", ("pairs.csv", "traits.csv", "sites.csv")),
)
"""Files that tell what a folder is; the first that fits."""

_ORDER: tuple[Kind, ...] = ("dataset", "run", "evaluation", "mistakes", "sweep", "distances", "bonds")


@dataclass(frozen=True)
class Input:
    """A folder and what it is."""

    kind: Kind
    path: Path


def recognise(paths: Sequence[Path]) -> list[Input]:
    """What each folder is, in the order in which a report tells of them; named twice, it is told once.

    Raises:
        InputError: no such folder, or none that a report knows.
    """
    found: dict[Path, Input] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        kind = next((kind for kind, names in _MARKS if all((path / name).is_file() for name in names)), None)
        if kind is None:
            raise InputError(
                f"{path} holds nothing that a report knows: name a dataset, a run, or what evaluate, "
                "mistakes, sweep, distances or bonds wrote with --out"
            )
        found.setdefault(path.resolve(), Input(kind, path))
    return sorted(found.values(), key=lambda one: _ORDER.index(one.kind))


def places_of(path: str, near: Path) -> tuple[Path, ...]:
    """Where a path that a folder names may lead: from here, from that folder, and from beside it."""
    return Path(path), near / path, near.parent / path


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        DatasetError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); run the command that wrote it again") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file that a command wrote; numbers as numbers, empty cells as None.

    Raises:
        DatasetError: it is missing or damaged.
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
"""Columns that are text even where all of them look like numbers, such as the numbers of the COD."""
