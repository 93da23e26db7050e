"""Near duplicates of crystals, from the table that ``atomsight dataset dedupe --out`` wrote."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from atomsight.core.errors import InputError
from atomsight.core.files import read_csv


def read_near_duplicates(path: Path) -> dict[str, set[str]]:
    """Read the relations of each crystal to its near duplicates.

    A relation is ``same elements``, ``elements exchanged`` or ``different elements``.

    Raises:
        InputError: There is no such file, or dedupe did not write it.
    """
    found: dict[str, set[str]] = defaultdict(set)
    try:
        for row in read_csv(path):
            for name in ("first", "second"):
                found[row[name]].add(row["relation"])
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        reason = f"it has no column {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path} is no table of near duplicates ({reason}); atomsight dataset dedupe DATASET --out "
            "writes one"
        ) from error
    return dict(found)
