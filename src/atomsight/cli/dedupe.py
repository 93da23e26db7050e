"""The verb ``dataset dedupe``: crystals with the same geometry, those with different elements first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, show_table
from atomsight.cli._output import AGAIN, Saving, emit, finish, interruptible, out
from atomsight.cli.dataset import app
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.dataset.dedupe import DuplicatePair

SHOWN = 15
"""Maximum number of printed pairs of each relation; the file and --json contain all pairs."""


@app.command(epilog="Example: [bold]atomsight dataset dedupe mofs --tolerance 0.01 --out duplicates.csv[/]")
@interruptible(f"no pair was written; {AGAIN}")
def dedupe(
    path: options.DatasetPath,
    tolerance: Annotated[
        float, Option(help="Largest earth mover's distance of a pair, Å; 0.01 allows for rounding.")
    ] = 0.01,
    to: Annotated[Path | None, Option("--out", metavar="FILE", help="CSV file for all pairs.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Find near-duplicate crystals by geometry, and report pairs with different elements.

    If two crystals have the same geometry but different elements, one of them is probably wrong.
    """
    from dataclasses import asdict, astuple, fields

    from atomsight.core.files import check_file, write_csv
    from atomsight.dataset import open_dataset
    from atomsight.dataset.dedupe import DuplicatePair, near_duplicates

    check_file("--out", to)
    dataset = open_dataset(path)
    with progress_bar() as progress:
        pairs = near_duplicates(dataset, tolerance, progress=progress)
    with Saving() as saving:
        if to is not None:
            write_csv(to, [field.name for field in fields(DuplicatePair)], map(astuple, pairs))
    if as_json:
        for pair in pairs:
            emit(asdict(pair))
    else:
        _show(pairs, dataset.n_crystals, tolerance)
        saving.report(to, "all pairs")
    finish(dataset.n_crystals, saving)


def _cells(pair: DuplicatePair) -> tuple[str, ...]:
    names = pair.first, pair.second, pair.first_formula, pair.first_only, pair.second_only
    return *names, str(pair.sites), f"{pair.distance:.4f}"


def _show(pairs: list[DuplicatePair], crystals: int, tolerance: float) -> None:
    from atomsight.dataset.dedupe import DIFFERENT, EXCHANGED, SAME

    columns = ("first", "second", "formula", "only in first", "only in second", "sites", "distance, Å")
    for relation in (DIFFERENT, EXCHANGED, SAME):
        found = [pair for pair in pairs if pair.relation == relation]
        if found:
            title = f"Same geometry, {relation}: {counted(len(found), 'pair')}"
            show_table(columns, "lllllrr", map(_cells, found[:SHOWN]), title)
    out.print(f"{counted(len(pairs), 'pair')} within {tolerance:g} Å among {counted(crystals, 'crystal')}")
