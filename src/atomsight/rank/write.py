"""A ranking to CSV, JSON, JSON lines or Parquet, a candidate at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from atomsight.core.files import csv_writer, whole
from atomsight.rank.ledger import Ranked

COLUMNS = tuple(field.name for field in fields(Ranked))

ROWS = 10_000
"""Rows of a row group in Parquet."""


@contextmanager
def writer_of(path: Path) -> Iterator[Callable[[Ranked], None]]:
    """What writes candidates to a file, of the format that its name ends in; JSON where it is another."""
    form = {".csv": _csv, ".parquet": _parquet, ".jsonl": _lines}.get(path.suffix.lower(), _json)
    with whole(path) as place, form(place) as write:
        yield write


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[Ranked], None]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        write_row = csv_writer(file)
        write_row(COLUMNS)

        def write(ranked: Ranked) -> None:
            record = ranked.as_dict()
            write_row([*(record[name] for name in COLUMNS[:-1]), "; ".join(ranked.evidence)])

        yield write


@contextmanager
def _lines(path: Path) -> Iterator[Callable[[Ranked], None]]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda ranked: print(json.dumps(ranked.as_dict(), ensure_ascii=False), file=file)


@contextmanager
def _json(path: Path) -> Iterator[Callable[[Ranked], None]]:
    with path.open("w", encoding="utf-8") as file:
        before = "[\n"

        def write(ranked: Ranked) -> None:
            nonlocal before
            file.write(before + json.dumps(ranked.as_dict(), ensure_ascii=False))
            before = ",\n"

        yield write
        file.write("[]\n" if before == "[\n" else "\n]\n")


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[Ranked], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = Ranked.schema()
    held: list[Ranked] = []
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            columns = {name: [getattr(ranked, name) for ranked in held] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema=schema))
            held.clear()

        def write(ranked: Ranked) -> None:
            held.append(ranked)
            if len(held) == ROWS:
                flush()

        yield write
        if held:
            flush()
