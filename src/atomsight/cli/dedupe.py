"""``atomsight dataset dedupe``: crystals of the same geometry, those with different elements first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._output import emit, err, finish, out
from atomsight.errors import InputError

if TYPE_CHECKING:
    from atomsight.dataset.dedupe import DuplicatePair

EPILOG = "Example: [bold]atomsight dataset dedupe mofs --tolerance 0.01 --out duplicates.csv[/]"

SHOWN = 15
"""Pairs of each relation shown; the file and --json hold all."""


def dedupe(
    path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    tolerance: Annotated[
        float, typer.Option(help="Largest earth mover's distance of a pair, Å; 0.01 means print rounding.")
    ] = 0.01,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write all pairs to this CSV file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per pair.")] = False,
) -> None:
    """Find near-duplicate crystals by geometry alone, and tell pairs whose elements differ.

    Two crystals of one geometry with different elements: one of them is likely to be wrong.
    """
    if to is not None and to.is_dir():
        raise InputError(f"--out {to} is a folder; name a file")

    from dataclasses import asdict

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from atomsight.dataset import open_dataset
    from atomsight.dataset.dedupe import near_duplicates

    dataset = open_dataset(path)
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=err, transient=True) as progress:
        task = progress.add_task("reading", total=dataset.n_crystals)
        pairs = near_duplicates(
            dataset,
            tolerance,
            on_progress=lambda what, done, total: progress.update(
                task, description=what, completed=done, total=total
            ),
        )
    if to is not None:
        _write(pairs, to)
    if as_json:
        for pair in pairs:
            emit(asdict(pair))
    else:
        _show(pairs, dataset.n_crystals, tolerance)
        if to is not None:
            err.print(f"all pairs in {to}", highlight=False)
    finish(dataset.n_crystals)


def _write(pairs: list[DuplicatePair], path: Path) -> None:
    import csv
    from dataclasses import asdict, fields

    from atomsight.dataset.dedupe import DuplicatePair

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(DuplicatePair)])
        writer.writeheader()
        writer.writerows(asdict(pair) for pair in pairs)


def _show(pairs: list[DuplicatePair], crystals: int, tolerance: float) -> None:
    from rich.markup import escape
    from rich.table import Table

    from atomsight.dataset.dedupe import DIFFERENT, EXCHANGED, SAME

    for relation in (DIFFERENT, EXCHANGED, SAME):
        of_kind = [pair for pair in pairs if pair.relation == relation]
        if not of_kind:
            continue
        table = Table(title=f"Same geometry, {relation}: {len(of_kind):,} pairs", title_justify="left")
        for name in ("first", "second", "formula", "only in first", "only in second"):
            table.add_column(name, overflow="fold")
        for name in ("sites", "distance, Å"):
            table.add_column(name, justify="right", no_wrap=True)
        for pair in of_kind[:SHOWN]:
            table.add_row(
                escape(pair.first),
                escape(pair.second),
                pair.first_formula,
                pair.first_only,
                pair.second_only,
                str(pair.sites),
                f"{pair.distance:.4f}",
            )
        out.print(table)
    out.print(f"{len(pairs):,} pairs within {tolerance:g} Å among {crystals:,} crystals", highlight=False)
