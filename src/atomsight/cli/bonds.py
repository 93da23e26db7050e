"""The verb ``bonds``: which nearest neighbours are bonded, and bond lengths by type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, save_figures, show_pairs, show_table
from atomsight.cli._output import FILES, Saving, emit, finish, interruptible
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atomsight.analyse.bond_lengths import BondStudy

EPILOG = "Example: atomsight bonds mofs --out bonds --threshold 0.05"

SHOWN = 16
"""Maximum number of pairs in the printed table; the files contain all pairs."""

_SHORT = {"aromatic": "arom.", "delocalised": "deloc.", "quadruple": "quadr.", "no bond": "none"}


@interruptible(FILES)
def bonds(
    dataset_path: options.DatasetPath,
    folder: options.ResultFolder = None,
    threshold: Annotated[
        float,
        Option(min=0.0, help="Largest difference in Å of shortest bond and nearest-neighbour distance."),
    ] = 0.05,
    elements: Annotated[
        str | None, Option(help="Elements of the sites, such as C,H,N,O.", show_default="all")
    ] = None,
    split: Annotated[
        str | None, Option(help="Split of the dataset: train, val or test.", show_default="all")
    ] = None,
    figures: Annotated[
        int, Option(min=0, help="Maximum number of element pairs with a figure, most frequent first.")
    ] = 12,
    as_json: options.AsJson = False,
) -> None:
    """Compare nearest neighbours with bonds: which pairs are bonded, and how long bonds of each type are.

    The dataset must contain bonds. atomsight dataset build --bonds file stores the bonds listed in the files;
    --bonds perceive also perceives bonds from the geometry. Each symmetry-unique site counts once.
    """
    from atomsight.analyse.bond_lengths import study_bonds
    from atomsight.analyse.bond_summary import pair_rows, summarise_bonds, write_bonds
    from atomsight.core.elements import parse_elements
    from atomsight.core.files import check_folder
    from atomsight.core.progress import Progress
    from atomsight.dataset import open_dataset

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    centres = parse_elements(elements) if elements is not None else None
    total, done = dataset.n_sites(split), 0
    with progress_bar("site") as show:

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            show(Progress("counting", done, total))

        study = study_bonds(dataset, centres, split=split, threshold=threshold, on_rows=advance)
    summary = {
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "bonds_from": dataset.metadata["build"].get("bonds"),
        "split": split or "all",
        **summarise_bonds(study),
    }
    with Saving() as saving:
        if folder is not None:
            write_bonds(study, summary, folder)
            save_figures(folder, _figures(study, figures))
    rows = pair_rows(study)
    if as_json:
        for record in (summary, *rows):
            emit(record)
    else:
        _show(summary, rows)
        saving.report(folder)
    finish(study.bonded, saving)


def _figures(study: BondStudy, most: int) -> Iterator[tuple[str, Figure]]:
    """Yield the figures with the names of their files."""
    from atomsight.analyse.bond_lengths import EVERY
    from atomsight.analyse.distances import Pair
    from atomsight.plots.bonds import difference_figure, length_figure, nearest_figure

    yield "differences", difference_figure(study, title="Nearest-neighbour distance and shortest bond")
    yield "nearest_by_pair", nearest_figure(study, title="Bonded nearest neighbours by element pair")
    pairs = (min(pair, Pair(pair.neighbour, pair.centre), key=str) for pair in study.pairs(EVERY))
    for pair in list(dict.fromkeys(pairs))[:most]:
        yield f"lengths_{pair}", length_figure(study, pair, title=f"{pair}: bond lengths by type")


def _percent(share: float) -> str:
    """Format a share with two significant digits, without an exponent."""
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.2g} %"


def _show(summary: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from atomsight.analyse.bond_lengths import TYPES

    within = f"{100 * summary['shortest_bond_within_threshold']:.2f} %"
    nearest = f"{100 * summary['nearest_neighbours_bonded']:.2f} %"
    counts = summary["bonds_by_type"]
    every = sum(counts.values())
    known = f"bonds known for {summary['sites_with_known_bonds']:,} ({summary['bonds_from']})"
    shortest = (
        f" of {counted(summary['sites_with_bonds'], 'site')}: at most {summary['threshold']:g} Å longer than "
        "the nearest-neighbour distance"
    )
    facts: list[tuple[str, str | Text]] = [
        ("sites", f"{summary['sites']:,}, {known}"),
        ("shortest bond", Text.assemble((within, "bold"), shortest)),
        ("nearest neighbours", Text.assemble((nearest, "bold"), " are bonds")),
        ("bonds", ", ".join(f"{name} {_percent(n / every)}" for name, n in counts.items())),
    ]
    if summary["bonds_beyond_k"]:
        facts.append(("", f"beyond the k neighbours of the dataset: {summary['bonds_beyond_k']:,}"))
    show_pairs(*facts)
    shown = [name for name in TYPES if any(row[name] for row in rows[:SHOWN])]

    def cells(row: dict[str, Any]) -> list[str]:
        total = row["nearest_neighbours"]
        shares = [f"{100 * row[name] / total:.1f}" if row[name] else "" for name in shown]
        return [row["pair"], f"{total:,}", f"{100 * row['bonded_share']:.1f}", *shares]

    columns = ["pair", "nearest", "% bonds", *(_SHORT.get(name, name) for name in shown)]
    align = "l" + "r" * (len(columns) - 1)
    show_table(columns, align, map(cells, rows[:SHOWN]), "Nearest neighbours by bond type, %")
