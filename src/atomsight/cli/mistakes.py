"""The verb ``mistakes``: what misclassified sites have in common, and single sites in detail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._display import save_figures, show_table
from atomsight.cli._output import FILES, Saving, emit, err, finish, interruptible, out
from atomsight.core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atomsight.analyse.evaluation import MistakeTable
    from atomsight.analyse.mistakes import MistakeAnalysis, PairOfElements
    from atomsight.dataset import Dataset

EPILOG = "Example: atomsight mistakes evaluation mofs --pair Al,Li --out mistakes"


@interruptible(FILES)
def mistakes(
    evaluation: Annotated[
        Path, Argument(metavar="EVALUATION", help="Folder that atomsight evaluate --out wrote.")
    ],
    dataset_path: options.DatasetPath,
    pair: Annotated[
        str | None,
        Option(
            metavar="TRUE,PREDICTED",
            help="True and predicted element, such as Al,Li.",
            show_default="all pairs",
        ),
    ] = None,
    site: Annotated[
        str | None, Option(metavar="CRYSTAL:LABEL", help="Show one site; CRYSTAL:#INDEX works too.")
    ] = None,
    folder: options.ResultFolder = None,
    duplicates: options.Duplicates = None,
    shown: Annotated[int, Option("--top", min=1, help="Maximum number of pairs to print and draw.")] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Compare misclassified sites with correctly classified sites of the same element, pair by pair.

    Compared are coordination, neighbours, flags of the crystal, missing hydrogen, near duplicates, and
    deviations of the distances from those typical of the true and of the predicted element.
    """
    from atomsight.analyse.evaluation import read_mistakes
    from atomsight.analyse.mistake_tables import distinctive_traits, pair_row, trait_row, write_mistakes
    from atomsight.analyse.mistakes import analyse_mistakes
    from atomsight.analyse.mistakes_duplicates import read_near_duplicates
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    table = read_mistakes(evaluation, dataset)
    if site is not None:
        if pair is not None:
            raise InputError("--site shows one site; leave out --pair")
        _show_site(table, dataset, site, folder, as_json)
        return
    if len(table) == 0:
        err.print(f"no site of the {table.split} split was misclassified")
        finish(1)
        return
    wanted = None if pair is None else _pair(pair, table)
    near = None if duplicates is None else read_near_duplicates(duplicates)
    with err.status("comparing"):
        analysis = analyse_mistakes(table, dataset, near)
    chosen = [p for p in analysis.pairs if wanted in (None, (p.true, p.predicted))]
    with Saving() as saving:
        if folder is not None:
            write_mistakes(analysis, chosen, folder)
            save_figures(folder, _figures(analysis, chosen, shown))
    if as_json:
        for one in chosen:
            traits = list(map(trait_row, distinctive_traits(analysis, one, most=8)))
            emit({**pair_row(one), "traits": traits})
    else:
        _show(analysis, chosen, shown)
        saving.report(folder)
    finish(len(chosen), saving)


def _pair(text: str, table: MistakeTable) -> tuple[int, int]:
    from atomsight.core.elements import SYMBOLS, atomic_number

    parts = text.replace("-", ",").split(",")
    if len(parts) != 2:
        raise InputError(f"--pair takes the true and the predicted element, such as Al,Li, not {text!r}")
    true, predicted = (atomic_number(part) for part in parts)
    pairs = table.pairs()
    if (true, predicted) not in {(t, p) for t, p, _ in pairs}:
        common = ", ".join(f"{SYMBOLS[t]},{SYMBOLS[p]} ({n})" for t, p, n in pairs[:8]) or "none"
        raise InputError(
            f"no site of {SYMBOLS[true]} was taken for {SYMBOLS[predicted]}; the most frequent: {common}"
        )
    return true, predicted


def _figures(
    analysis: MistakeAnalysis, chosen: list[PairOfElements], most: int
) -> Iterator[tuple[str, Figure]]:
    """Yield the figures with the names of their files."""
    from atomsight.core.elements import SYMBOLS
    from atomsight.plots.mistakes import mistaken_pair_figure, mistaken_pairs_figure

    if len(chosen) > 1:
        title = f"Mistakes of {analysis.table.model} on the {analysis.table.split} split"
        yield "mistakes", mistaken_pairs_figure(chosen, title=title)
    for pair in chosen[:most]:
        name = f"mistakes-{SYMBOLS[pair.true]}-{SYMBOLS[pair.predicted]}"
        yield name, mistaken_pair_figure(analysis, pair)


def _show(analysis: MistakeAnalysis, chosen: list[PairOfElements], most: int) -> None:
    from atomsight.analyse.mistake_tables import distinctive_traits, pair_row, site_row

    rows, lines = [], []
    for pair in chosen[:most]:
        elements = "{true} as {predicted}".format_map(pair_row(pair))
        counts = (f"{pair.crystals:,}", f"{pair.groups:,}")
        shares = (pair.repeated, pair.closer_to_predicted)
        percents = ("" if share is None else f"{100 * share:.0f} %" for share in shares)
        rows.append((elements, f"{pair.sites:,}", f"{100 * pair.share_of_true:.1f} %", *counts, *percents))
        traits = [
            f"{t.trait} {t.value} {100 * t.share:.0f} % (correct sites {100 * (t.share_right or 0):.0f} %)"
            for t in distinctive_traits(analysis, pair)
        ]
        if traits:
            lines.append(f"{elements}: {', '.join(traits)}")
    columns = ("mistake", "sites", "of true", "crystals", "groups", "repeated", "closer")
    show_table(columns, "lrrrrrr", rows)
    for line in lines:
        out.print(line, soft_wrap=True)
    where = "repeated: in groups with several misclassified crystals"
    err.print(f"{where}; closer: to the distances of the predicted element", soft_wrap=True)
    if len(chosen) > 1:
        return
    table, wanted = analysis.table, (chosen[0].true, chosen[0].predicted)
    places = [i for i in range(len(table)) if (table.true[i], table.predicted[i]) == wanted]
    keys = ("crystal", "label", "probability", "coordination", "nearest_neighbour", "formula")
    records = (site_row(analysis, i) for i in places[:most])
    cells = ([f"{r[key]:.3f}" if key == "probability" else str(r[key]) for key in keys] for r in records)
    show_table(("crystal", "site", "probability", "coordination", "nearest", "formula"), "llrrll", cells)


def _show_site(table: MistakeTable, dataset: Dataset, name: str, folder: Path | None, as_json: bool) -> None:
    import numpy as np

    from atomsight.analyse.profiles import distance_profiles
    from atomsight.analyse.site import open_site, site_rows
    from atomsight.core.elements import SYMBOLS
    from atomsight.plots.mistakes import site_figure

    site = open_site(dataset, name)
    found = np.flatnonzero((table.crystal == site.crystal) & (table.site == site.site))
    predicted = int(table.predicted[found[0]]) if len(found) else None
    elements = sorted({site.element, *([predicted] if predicted else [])})
    reference = "train" if dataset.n_sites("train") else table.split
    with err.status("comparing"):
        profiles = distance_profiles(dataset, elements, min(table.k, dataset.k), split=reference)
    neighbours = site_rows(site, profiles, predicted)
    if predicted is not None:
        verdict = f"taken for {SYMBOLS[predicted]} ({float(table.probability[found[0]]):.3f})"
    elif table.split in (site.split, "all"):
        verdict = "predicted correctly, or of an element that the model does not know"
    else:
        verdict = f"in the {site.split} split, which was not evaluated"
    symbol = SYMBOLS[site.element]
    with Saving() as saving:
        if folder is not None:
            name = "site-" + re.sub(r"[^\w.-]+", "_", f"{site.crystal}-{site.label}-{site.site}")
            title = f"{site.label} of {site.crystal}: {symbol} {verdict}"
            save_figures(folder, [(name, site_figure(site, profiles, predicted, title=title))])
    if as_json:
        names = {key: getattr(site, key) for key in ("crystal", "site", "label")}
        origin = {key: getattr(site, key) for key in ("formula", "group", "source")}
        elements_of = {"element": symbol, "predicted": None if predicted is None else SYMBOLS[predicted]}
        details = {"verdict": verdict, "flags": list(site.flags), "neighbours": neighbours}
        emit({**names, **elements_of, **origin, **details})
    else:
        head = f"{site.crystal} {site.label}: {symbol}, {verdict}; {site.formula}; {site.source}"
        out.print(head, soft_wrap=True)
        columns = ["n", "distance, Å", "neighbour", f"nearer in {symbol}"]
        if predicted is not None:
            columns.append(f"nearer in {SYMBOLS[predicted]}")
        rows = []
        for row in neighbours:
            found_shares = [row[key] for key in ("nearer_true", "nearer_predicted") if key in row]
            shares = ["" if share is None else f"{100 * share:.1f} %" for share in found_shares]
            rows.append([str(row["n"]), f"{row['distance']:.3f}", row["neighbour"], *shares])
        show_table(columns, "r" * len(columns), rows)
    finish(1, saving)
