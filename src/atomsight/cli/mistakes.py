"""``atomsight mistakes``: what the misclassified sites of an evaluation share, and one of them opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomsight.cli._output import FILES, Saving, emit, err, finish, keeps, out
from atomsight.core.errors import InputError

if TYPE_CHECKING:
    from atomsight.analyse.evaluation import MistakeTable
    from atomsight.analyse.mistakes import MistakeAnalysis, PairOfElements
    from atomsight.dataset import Dataset

EPILOG = "Example: atomsight mistakes evaluation mofs --pair Al,Li --out mistakes"


@keeps(FILES)
def mistakes(
    evaluation: Annotated[
        Path, typer.Argument(metavar="EVALUATION", help="Folder that atomsight evaluate --out wrote.")
    ],
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset evaluated on.")],
    pair: Annotated[
        str | None, typer.Option(metavar="TRUE,PREDICTED", help="One pair, such as Al,Li; else all.")
    ] = None,
    site: Annotated[
        str | None, typer.Option(metavar="CRYSTAL:LABEL", help="Open one site (or CRYSTAL:#INDEX).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables and figures here.")
    ] = None,
    duplicates: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Near duplicates from atomsight dataset dedupe --out, as a trait of crystals."
        ),
    ] = None,
    shown: Annotated[int, typer.Option("--top", min=1, help="Pairs shown and drawn.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per pair, or for the site.")
    ] = False,
) -> None:
    """What misclassified sites share against the right ones of the same element, pair by pair.

    Coordination, neighbours, flags of the crystal, missing hydrogen, near duplicates, and how far the
    distances lie from what is usual for the true and for the predicted element.
    """
    from atomsight.analyse.evaluation import read_mistakes
    from atomsight.analyse.mistakes import analyse_mistakes
    from atomsight.analyse.mistakes_duplicates import read_near_duplicates
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    table = read_mistakes(evaluation, dataset)
    if site is not None:
        if pair is not None:
            raise InputError("--site opens one site; leave out --pair")
        _open(table, dataset, site, folder, as_json)
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
    saving = Saving()
    if folder is not None:
        with saving:
            _write(analysis, chosen, folder, shown)
    _show(analysis, chosen, shown, as_json)
    if folder is not None and not as_json:
        saving.tell(f"tables and figures in {folder}")
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


def _write(analysis: MistakeAnalysis, chosen: list[PairOfElements], folder: Path, drawn: int) -> None:
    from atomsight.analyse.mistake_tables import write_mistakes
    from atomsight.core.elements import SYMBOLS
    from atomsight.plots.mistakes import mistaken_pair_figure, mistaken_pairs_figure
    from atomsight.plots.style import save

    write_mistakes(analysis, chosen, folder)
    title = f"Mistakes of {analysis.table.model} on the {analysis.table.split} split"
    with err.status("drawing"):
        if len(chosen) > 1:
            overview = mistaken_pairs_figure(chosen, title=title)
            save(overview, [folder / "mistakes.png", folder / "mistakes.svg"])
        for pair in chosen[:drawn]:
            name = f"mistakes-{SYMBOLS[pair.true]}-{SYMBOLS[pair.predicted]}"
            save(mistaken_pair_figure(analysis, pair), [folder / f"{name}.png", folder / f"{name}.svg"])


def _show(analysis: MistakeAnalysis, chosen: list[PairOfElements], shown: int, as_json: bool) -> None:
    from rich.table import Table

    from atomsight.analyse.mistake_tables import distinctive_traits, pair_row, site_row, trait_row

    if as_json:
        for pair in chosen:
            rows = [trait_row(t) for t in distinctive_traits(analysis, pair, most=8)]
            emit({**pair_row(pair), "traits": rows})
        return
    table = Table("mistaken", box=None, pad_edge=False)
    for name in ("sites", "of true", "crystals", "groups", "repeated", "closer"):
        table.add_column(name, justify="right", no_wrap=True)
    for pair in chosen[:shown]:
        row = pair_row(pair)
        shares = (pair.repeated, pair.closer_to_predicted)
        table.add_row(
            f"{row['true']} as {row['predicted']}",
            f"{pair.sites:,}",
            f"{100 * pair.share_of_true:.1f} %",
            *(f"{pair.crystals:,}", f"{pair.groups:,}"),
            *("" if share is None else f"{100 * share:.0f} %" for share in shares),
        )
    out.print(table)
    for pair in chosen[:shown]:
        row = pair_row(pair)
        words = [
            f"{t.trait} {t.value} {100 * t.share:.0f} % (right ones {100 * (t.share_right or 0):.0f} %)"
            for t in distinctive_traits(analysis, pair)
        ]
        if words:
            line = f"{row['true']} as {row['predicted']}: {', '.join(words)}"
            out.print(line, soft_wrap=True)
    note = "repeated: in groups with several mistaken crystals; closer: to the predicted element's distances"
    err.print(note, soft_wrap=True)
    if len(chosen) > 1:
        return
    sites = Table(
        "crystal", "site", "probability", "coordination", "nearest", "formula", box=None, pad_edge=False
    )
    places = [
        i
        for i in range(len(analysis.table))
        if (analysis.table.true[i], analysis.table.predicted[i]) == (chosen[0].true, chosen[0].predicted)
    ]
    for i in places[:shown]:
        row = site_row(analysis, i)
        sites.add_row(
            row["crystal"],
            row["label"],
            f"{row['probability']:.3f}",
            str(row["coordination"]),
            row["nearest_neighbour"],
            row["formula"],
        )
    out.print(sites)


def _open(table: MistakeTable, dataset: Dataset, name: str, folder: Path | None, as_json: bool) -> None:
    import re

    import numpy as np
    from rich.table import Table

    from atomsight.analyse.profiles import distance_profiles
    from atomsight.analyse.site import open_site, site_rows
    from atomsight.core.elements import SYMBOLS
    from atomsight.plots.mistakes import site_figure
    from atomsight.plots.style import save

    site = open_site(dataset, name)
    here = np.flatnonzero((table.crystal == site.crystal) & (table.site == site.site))
    predicted = int(table.predicted[here[0]]) if len(here) else None
    elements = sorted({site.element, *([predicted] if predicted else [])})
    reference = "train" if dataset.n_sites("train") else table.split
    with err.status("comparing"):
        profiles = distance_profiles(dataset, elements, min(table.k, dataset.k), split=reference)
    rows = site_rows(site, profiles, predicted)
    if predicted is not None:
        verdict = f"taken for {SYMBOLS[predicted]} ({float(table.probability[here[0]]):.3f})"
    elif table.split in (site.split, "all"):
        verdict = "predicted rightly, or of an element that the model does not know"
    else:
        verdict = f"in the {site.split} split, which the evaluation did not look at"
    record: dict[str, Any] = {
        "crystal": site.crystal,
        "site": site.site,
        "label": site.label,
        "element": SYMBOLS[site.element],
        "predicted": None if predicted is None else SYMBOLS[predicted],
        "verdict": verdict,
        "formula": site.formula,
        "group": site.group,
        "flags": list(site.flags),
        "source": site.source,
        "neighbours": rows,
    }
    saving = Saving()
    if folder is not None:
        stem = "site-" + re.sub(r"[^\w.-]+", "_", f"{site.crystal}-{site.label}-{site.site}")
        title = f"{site.label} of {site.crystal}: {SYMBOLS[site.element]} {verdict}"
        figure = site_figure(site, profiles, predicted, title=title)
        with saving:
            save(figure, [folder / f"{stem}.png", folder / f"{stem}.svg"])
    if as_json:
        emit(record)
    else:
        head = (
            f"{site.crystal} {site.label}: {SYMBOLS[site.element]}, {verdict}; {site.formula}; {site.source}"
        )
        out.print(head, soft_wrap=True)
        shown = Table(
            "n", "distance, Å", "neighbour", f"nearer in {SYMBOLS[site.element]}", box=None, pad_edge=False
        )
        if predicted is not None:
            shown.add_column(f"nearer in {SYMBOLS[predicted]}")
        for column in shown.columns:
            column.justify = "right"
        for row in rows:
            found = [row[key] for key in ("nearer_true", "nearer_predicted") if key in row]
            shares = ["" if share is None else f"{100 * share:.1f} %" for share in found]
            shown.add_row(str(row["n"]), f"{row['distance']:.3f}", row["neighbour"], *shares)
        out.print(shown)
    finish(1, saving)
