"""``atomsight bonds``: which nearest neighbours are bonds, and of what type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomsight.cli._output import FILES, Saving, emit, err, finish, keeps, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.analyse.bond_lengths import BondStudy
    from atomsight.analyse.distances import Pair

EPILOG = "Example: atomsight bonds mofs --out bonds --threshold 0.05"

SHOWN = 16
"""Pairs shown; the files hold all of them."""

_SHORT = {"aromatic": "arom.", "delocalised": "deloc.", "quadruple": "quadr.", "no bond": "none"}


@keeps(FILES)
def bonds(
    dataset_path: Annotated[
        Path, typer.Argument(metavar="DATASET", help="Dataset folder, built with bonds.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables and figures here.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.0, help="Å by which the shortest bond may exceed the nearest distance.")
    ] = 0.05,
    elements: Annotated[
        str | None, typer.Option(help="Centres: symbols such as C,H,N,O.", show_default="all")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="One split: train, val or test.", show_default="all")
    ] = None,
    figures: Annotated[
        int, typer.Option(min=0, help="Most pairs whose lengths are drawn, most frequent first.")
    ] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="A summary and a line per pair as JSON.")] = False,
) -> None:
    """Bonds among nearest neighbours: is the nearest atom a bonded one, for which pairs, of what type.

    The dataset must hold bonds: atomsight dataset build ... --bonds file takes those that the files list,
    --bonds perceive finds the others from the geometry. Each symmetry-unique site counts once.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from atomsight.analyse.bond_lengths import study_bonds
    from atomsight.analyse.bond_summary import pair_rows, summarise_bonds, write_bonds
    from atomsight.core.elements import parse_elements
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    centres = parse_elements(elements) if elements is not None else None
    with Progress(
        TextColumn("counting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("sites"),
        console=err,
        transient=True,
    ) as progress:
        task = progress.add_task("counting", total=dataset.n_sites(split))
        study = study_bonds(
            dataset,
            centres,
            split=split,
            threshold=threshold,
            on_rows=lambda rows: progress.advance(task, rows),
        )
    summary = {
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "bonds_from": dataset.metadata["build"].get("bonds"),
        "split": split or "all",
        **summarise_bonds(study),
    }
    saving = Saving()
    if folder is not None:
        with saving:
            write_bonds(study, summary, folder)
            _draw(study, folder, figures)
    rows = pair_rows(study)
    if as_json:
        emit(summary)
        for row in rows:
            emit(row)
    else:
        _show(summary, rows)
        if folder is not None:
            saving.tell(f"tables and figures in {folder}")
    finish(study.bonded, saving)


def _draw(study: BondStudy, folder: Path, figures: int) -> None:
    from atomsight.analyse.bond_lengths import EVERY
    from atomsight.plots import save
    from atomsight.plots.bonds import difference_figure, length_figure, nearest_figure

    with err.status("drawing"):
        difference = difference_figure(study, title="The nearest neighbour and the shortest bond")
        save(difference, [folder / "differences.png", folder / "differences.svg"])
        nearest = nearest_figure(study, title="Nearest neighbours that are bonds, by pair")
        save(nearest, [folder / "nearest_by_pair.png", folder / "nearest_by_pair.svg"])
        named = dict.fromkeys(_alphabetical(pair) for pair in study.pairs(EVERY))
        for pair in list(named)[:figures]:
            lengths = length_figure(study, pair, title=f"{pair}: lengths by type")
            save(lengths, [folder / f"lengths_{pair}.png", folder / f"lengths_{pair}.svg"])


def _alphabetical(pair: Pair) -> Pair:
    from atomsight.analyse.distances import Pair

    return min(pair, Pair(pair.neighbour, pair.centre), key=str)


def _percent(share: float) -> str:
    """Two digits that count; a hundred per cent without an exponent."""
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.2g} %"


def _show(summary: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from atomsight.analyse.bond_lengths import TYPES

    head = Table.grid(padding=(0, 2))
    known, total = summary["sites_with_known_bonds"], summary["sites"]
    head.add_row("sites", f"{total:,}, of {known:,} the bonds are known ({summary['bonds_from']})")
    share = 100 * summary["shortest_bond_within_threshold"]
    head.add_row(
        "shortest bond",
        Text.assemble(
            (f"{share:.2f} %", "bold"),
            f" of {counted(summary['sites_with_bonds'], 'site')} have one within {summary['threshold']:g} Å "
            "of the nearest neighbour",
        ),
    )
    nearest = 100 * summary["nearest_neighbours_bonded"]
    head.add_row("nearest neighbours", Text.assemble((f"{nearest:.2f} %", "bold"), " are bonds"))
    counts = summary["bonds_by_type"]
    every = sum(counts.values())
    head.add_row("bonds", ", ".join(f"{name} {_percent(n / every)}" for name, n in counts.items()))
    if summary["bonds_beyond_k"]:
        head.add_row(
            "", f"beyond the k neighbours of the dataset: {counted(summary['bonds_beyond_k'], 'bond')}"
        )
    out.print(head)
    shown = [name for name in TYPES if any(row[name] for row in rows[:SHOWN])]
    names = (_SHORT.get(name, name) for name in shown)
    table = Table("pair", "nearest", "% bonds", *names, title="Nearest neighbours, %", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[:SHOWN]:
        total = row["nearest_neighbours"]
        cells = (f"{100 * row[name] / total:.1f}" if row[name] else "" for name in shown)
        table.add_row(row["pair"], f"{total:,}", f"{100 * row['bonded_share']:.1f}", *cells)
    out.print(table)
