"""``atomsight dataset dedupe``: crystals of the same geometry, those with different elements first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._output import AGAIN, Saving, emit, err, finish, keeps, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.dataset.dedupe import DuplicatePair

EPILOG = "Example: [bold]atomsight dataset dedupe mofs --tolerance 0.01 --out duplicates.csv[/]"

SHOWN = 15
"""Pairs of each relation shown; the file and --json hold all."""


@keeps(f"no pair was written; {AGAIN}")
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
    from dataclasses import asdict, astuple, fields

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from atomsight.core.files import check_file, write_csv
    from atomsight.dataset import open_dataset
    from atomsight.dataset.dedupe import DuplicatePair, near_duplicates

    check_file("--out", to)
    dataset = open_dataset(path)
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=err, transient=True) as progress:
        task = progress.add_task("reading", total=dataset.n_crystals)
        pairs = near_duplicates(
            dataset,
            tolerance,
            progress=lambda now: progress.update(
                task, description=now.stage, completed=now.done, total=now.total
            ),
        )
    saving = Saving()
    if to is not None:
        with saving:
            write_csv(to, [field.name for field in fields(DuplicatePair)], map(astuple, pairs))
    if as_json:
        for pair in pairs:
            emit(asdict(pair))
    else:
        _show(pairs, dataset.n_crystals, tolerance)
        if to is not None:
            saving.tell(f"all pairs in {to}")
    finish(dataset.n_crystals, saving)


def _show(pairs: list[DuplicatePair], crystals: int, tolerance: float) -> None:
    from rich.table import Table

    from atomsight.dataset.dedupe import DIFFERENT, EXCHANGED, SAME

    for relation in (DIFFERENT, EXCHANGED, SAME):
        of_kind = [pair for pair in pairs if pair.relation == relation]
        if not of_kind:
            continue
        table = Table(
            title=f"Same geometry, {relation}: {counted(len(of_kind), 'pair')}", title_justify="left"
        )
        for name in ("first", "second", "formula", "only in first", "only in second"):
            table.add_column(name, overflow="fold")
        for name in ("sites", "distance, Å"):
            table.add_column(name, justify="right", no_wrap=True)
        for pair in of_kind[:SHOWN]:
            table.add_row(
                pair.first,
                pair.second,
                pair.first_formula,
                pair.first_only,
                pair.second_only,
                str(pair.sites),
                f"{pair.distance:.4f}",
            )
        out.print(table)
    out.print(f"{counted(len(pairs), 'pair')} within {tolerance:g} Å among {counted(crystals, 'crystal')}")
