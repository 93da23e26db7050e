"""Section about an evaluation: main figures, confusion matrix, elements, reliability, mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import DatasetError
from atomsight.core.wording import counted
from atomsight.dataset import Dataset
from atomsight.report import components as ui
from atomsight.report.inputs import read_json, read_rows
from atomsight.report.sections.mistakes import MistakeOptions, bare_sites, opened_sites
from atomsight.report.works import EVALUATION

CRYSTALS_SHOWN, CONFUSED_SHOWN = 1000, 500

_ELEMENTS = (
    *ui.text_columns("element"),
    *ui.count_columns("sites"),
    ui.Column("predicted", "predicted", "count", "sites for which this element was predicted"),
    ui.Column("recall", "recall", "percent", "share of its sites that were found"),
    ui.Column("precision", "precision", "percent", "share of its predictions that are right"),
    ui.Column("f1", "F1", "percent"),
    ui.Column("top3_recall", "top 3", "percent", "share of its sites with the element among the first three"),
    ui.Column("taken_for", "taken for"),
    ui.Column("taken_for_share", "share", "percent", "share of its sites that were taken for that element"),
)
_CONFUSED = (
    ui.Column("true"),
    ui.Column("predicted", "taken for"),
    *ui.count_columns("sites"),
    ui.Column("share_of_true", "of true", "percent"),
)
_CRYSTALS = (
    ui.Column("crystal"),
    ui.Column("group", hint="the same for crystals that share a formula or a family"),
    *ui.count_columns("sites", "mistakes"),
    ui.Column("share", "wrong", "percent"),
)


def evaluation_section(
    path: Path, number: int, dataset: Dataset | None, options: MistakeOptions
) -> ui.Section:
    """Make the section about a folder that ``atomsight evaluate --out`` wrote.

    Args:
        path: The folder.
        number: Number of the section.
        dataset: Its dataset, if it is there. The misclassified sites can then be opened.
        options: How its misclassified sites are shown.
    """
    name = f"evaluation-{number}"
    summary = read_json(path / "summary.json")
    elements = [row for row in read_rows(path / "per_element.csv") if row["sites"] or row["predicted"]]
    if dataset is not None:
        mistakes = opened_sites(path, dataset, name, options)
    else:
        mistakes = bare_sites(path, name, options)
    crystals = [
        row | {"share": row["mistakes"] / row["sites_evaluated"]}
        for row in read_rows(path / "crystals.csv")
        if row["mistakes"]
    ]
    pairs = read_rows(path / "confused_pairs.csv")[:CONFUSED_SHOWN]
    confusion = ui.join(
        _confusion(path, name),
        ui.tag(
            "p",
            "Rows are true elements, columns predicted ones. The shading follows the square root of the "
            "share, so that a confusion of 1 % is visible. A cell filters the table of misclassified sites.",
        ),
        ui.table(f"{name}-confused", _CONFUSED, pairs, caption="Confused pairs"),
    )
    element_table = ui.table(f"{name}-elements-table", _ELEMENTS, elements)
    recall = ui.picture(path / "recall", f"{name}-recall", "Recall and precision of every element")
    reliability = ui.picture(
        path / "reliability",
        f"{name}-reliability-figure",
        "Reliability diagram, and accuracy by coverage",
        "Left: accuracy against confidence; calibrated probabilities lie on the line. Right: the accuracy "
        "when only the most confident sites are answered.",
    )
    link = options.link(path / "crystals.csv")
    wrong = ui.join(
        ui.tag("p", f"{len(crystals):,} crystals hold a misclassified site; all are in ", link, "."),
        ui.table(f"{name}-crystals-table", _CRYSTALS, crystals[:CRYSTALS_SHOWN]),
    )
    return ui.section(
        name,
        f"Evaluation of {summary['model']} on {summary['split']}",
        _headline(summary),
        _warnings(summary),
        ui.Part("confusion", "Confusion matrix", confusion),
        ui.Part("elements", "Elements", ui.join(element_table, recall)),
        ui.Part("reliability", "Reliability", ui.join(reliability)),
        ui.Part("crystals", "Misclassified crystals", wrong),
        *mistakes,
        source=path,
        cites=EVALUATION,
    )


def _headline(summary: dict[str, Any]) -> ui.Html:
    error = ui.percent(summary["accuracy_standard_error"])
    return ui.tiles(
        {
            "accuracy": f"{ui.percent(summary['accuracy'])}{f' ± {error}' if error else ''}",
            "macro recall": ui.percent(summary["macro_recall"]),
            "among the first three": ui.percent(summary["top3_accuracy"]),
            "calibration error": ui.percent(summary["expected_calibration_error"]),
            "of the sites answered at 99 % accuracy": ui.percent(summary["coverage_at_99_percent_accuracy"]),
            "sites": f"{summary['sites']:,}",
            "crystals, all sites right": f"{summary['crystals_all_right']:,} of {summary['crystals']:,}",
            "neighbours (k)": summary.get("k"),
        }
    )


def _warnings(summary: dict[str, Any]) -> ui.Html:
    notes: list[str] = []
    seen = summary.get("crystals_seen_in_training")
    if summary["split"] in ("train", "all"):
        notes.append("Models learn from these crystals, so the figures do not measure performance.")
    elif seen:
        notes.append(
            f"{seen:,} of {counted(summary['crystals'], 'crystal')} share a formula or a family with one "
            "that the model was trained on, so the figures are too high."
        )
    elif seen is None:
        notes.append("It is not known whether the model has seen these crystals in training.")
    unknown = summary["sites_of_unknown_elements"]
    if unknown:
        listed = ", ".join(f"{symbol} {n:,}" for symbol, n in list(unknown.items())[:12])
        notes.append(
            f"{sum(unknown.values()):,} sites have elements that the model does not know, and are in no "
            f"score: {listed}{' and others' if len(unknown) > 12 else ''}."
        )
    return ui.join(*map(ui.note, notes))


def _confusion(path: Path, name: str) -> ui.Html:
    file = path / "confusion.csv"
    rows = [row for row in read_rows(file) if row["known"] == "yes"]
    try:
        numbers = [NUMBERS[row["true"]] for row in rows]
        counts = np.array([[int(row[one["true"]]) for one in rows] for row in rows], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file} is damaged ({error}); evaluate again") from error
    used = np.array([i for i in np.argsort(numbers) if counts[i].any() or counts[:, i].any()], dtype=np.int64)
    counts = counts[np.ix_(used, used)]
    data = {
        "elements": [rows[i]["true"] for i in used],
        "sites": counts.sum(axis=1).tolist(),
        "cells": [[int(a), int(b), int(counts[a, b])] for a, b in np.argwhere(counts)],
        "table": f"{name}-sites",
    }
    place = ui.tag("div", class_="confusion", data_cells=f"{name}-cells")
    return ui.join(place, ui.json_block(f"{name}-cells", data))
