"""Writes a ranking to CSV, JSON, JSON lines or Parquet; memory does not grow with its length."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from atomsight.core.files import csv_writer, whole
from atomsight.rank.ledger import KEYS, Ranked

ROWS = 10_000
"""Rows of a Parquet row group."""


def write_ranking(candidates: Iterable[Ranked], path: Path) -> None:
    """Write candidates to a file, in the format of its suffix; the default is JSON."""
    write = {".csv": _csv, ".parquet": _parquet, ".jsonl": _json_lines}.get(path.suffix.lower(), _json)
    with whole(path) as place:
        write(candidates, place)


def _csv(candidates: Iterable[Ranked], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        write_row = csv_writer(file)
        write_row(KEYS)
        for ranked in candidates:
            record = ranked.as_dict() | {"evidence": "; ".join(ranked.evidence)}
            write_row([record[key] for key in KEYS])


def _json_lines(candidates: Iterable[Ranked], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for ranked in candidates:
            print(json.dumps(ranked.as_dict(), ensure_ascii=False), file=file)


def _json(candidates: Iterable[Ranked], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        before = "[\n"
        for ranked in candidates:
            file.write(before + json.dumps(ranked.as_dict(), ensure_ascii=False))
            before = ",\n"
        file.write("[]\n" if before == "[\n" else "\n]\n")


def _parquet(candidates: Iterable[Ranked], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, left = Ranked.schema(), iter(candidates)
    with pq.ParquetWriter(path, schema) as writer:
        while held := list(islice(left, ROWS)):
            rows = [one.as_dict() | {"score": one.score, "evidence": one.evidence} for one in held]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
