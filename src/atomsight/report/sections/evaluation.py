"""An evaluation: headline figures, confusion matrix, elements, reliability, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import DatasetError
from atomsight.core.wording import counted
from atomsight.report.cited import EVALUATION
from atomsight.report.components import (
    Column,
    Html,
    Section,
    heading,
    join,
    json_block,
    percent,
    picture,
    table,
    tag,
    tiles,
)
from atomsight.report.inputs import read_json, read_rows
from atomsight.report.sections.mistakes import bare_sites, link_to, opened_sites

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

CRYSTALS_SHOWN, CONFUSED_SHOWN = 1000, 500

_ELEMENTS = (
    Column("element", "element"),
    Column("sites", "sites", "count"),
    Column("predicted", "predicted", "count", "sites that were given this element"),
    Column("recall", "recall", "percent", "of its sites, those found"),
    Column("precision", "precision", "percent", "of the sites given it, those right"),
    Column("f1", "F1", "percent"),
    Column("top3_recall", "top 3", "percent", "of its sites, those that have it among the first three"),
    Column("taken_for", "taken for"),
    Column("taken_for_share", "share", "percent", "of its sites, those taken for that element"),
)
_CONFUSED = (
    Column("true", "true"),
    Column("predicted", "taken for"),
    Column("sites", "sites", "count"),
    Column("share_of_true", "of true", "percent"),
)
_CRYSTALS = (
    Column("crystal", "crystal"),
    Column("group", "group", "text", "crystals that share a formula or a family have one"),
    Column("sites", "sites", "count"),
    Column("mistakes", "mistakes", "count"),
    Column("share", "wrong", "percent"),
)


def evaluation_section(
    path: Path,
    number: int,
    dataset: Dataset | None,
    *,
    near_duplicates: Mapping[str, set[str]] | None = None,
    most: int,
    beside: Path,
) -> Section:
    """What ``atomsight evaluate --out`` wrote; with its dataset at hand its mistakes can be opened."""
    name = f"evaluation-{number}"
    summary = read_json(path / "summary.json")
    title = f"Evaluation of {summary['model']} on {summary['split']}"
    elements = [row for row in read_rows(path / "per_element.csv") if row["sites"] or row["predicted"]]
    known = dataset is not None and dataset.fingerprint == summary.get("dataset_fingerprint")
    if known and dataset is not None:
        mistakes = opened_sites(
            path, dataset, f"{name}-sites", near_duplicates=near_duplicates, most=most, beside=beside
        )
    else:
        mistakes = bare_sites(path, f"{name}-sites", most=most, beside=beside)
    crystals = [
        row | {"share": row["mistakes"] / row["sites_evaluated"]}
        for row in read_rows(path / "crystals.csv")
        if row["mistakes"]
    ]
    body = join(
        _headline(summary),
        _warnings(summary),
        heading(f"{name}-confusion", "Confusion matrix"),
        _confusion(path, name),
        tag(
            "p",
            "Rows are true elements, columns predicted ones; shading follows the square root of the share, "
            "so that a confusion of 1 % is seen. A cell filters the table of misclassified sites.",
        ),
        table(
            f"{name}-confused",
            _CONFUSED,
            read_rows(path / "confused_pairs.csv")[:CONFUSED_SHOWN],
            caption="Confused pairs",
        ),
        heading(f"{name}-elements", "Elements"),
        table(f"{name}-elements-table", _ELEMENTS, elements),
        picture(path / "recall", f"{name}-recall", "Recall and precision of every element"),
        heading(f"{name}-reliability", "Reliability"),
        picture(
            path / "reliability",
            f"{name}-reliability-figure",
            "Reliability diagram, and accuracy by coverage",
            "Left: accuracy against confidence; on the line, a probability means what it says. Right: the "
            "accuracy when only the most confident sites are answered.",
        ),
        heading(f"{name}-crystals", "Misclassified crystals"),
        tag(
            "p",
            f"{len(crystals):,} crystals hold a misclassified site; all are in ",
            link_to(path / "crystals.csv", beside),
            ".",
        ),
        table(f"{name}-crystals-table", _CRYSTALS, crystals[:CRYSTALS_SHOWN]),
        mistakes,
    )
    parts = [("confusion", "Confusion matrix"), ("elements", "Elements"), ("reliability", "Reliability")]
    parts += [("crystals", "Misclassified crystals")]
    parts += [("pairs", "Pairs of elements")] if known and summary["mistakes"] else []
    parts += [("opened", "Misclassified sites")] if known and summary["mistakes"] else []
    links = tuple((f"{name}-{part}", words) for part, words in parts)
    return Section(name, title, body, str(path), EVALUATION, links)


def _headline(summary: dict[str, Any]) -> Html:
    error = percent(summary["accuracy_standard_error"])
    return tiles(
        {
            "accuracy": f"{percent(summary['accuracy'])}" + (f" ± {error}" if error else ""),
            "macro recall": percent(summary["macro_recall"]),
            "among the first three": percent(summary["top3_accuracy"]),
            "calibration error": percent(summary["expected_calibration_error"]),
            "of the sites answered at 99 % accuracy": percent(summary["coverage_at_99_percent_accuracy"]),
            "sites": f"{summary['sites']:,}",
            "crystals, all sites right": f"{summary['crystals_all_right']:,} of {summary['crystals']:,}",
            "neighbours (k)": summary.get("k"),
        }
    )


def _warnings(summary: dict[str, Any]) -> Html:
    notes: list[str] = []
    seen = summary.get("crystals_seen_in_training")
    if summary["split"] in ("train", "all"):
        notes.append("These are crystals that a model learns from: no measure of what it can do.")
    elif seen:
        notes.append(
            f"{seen:,} of {counted(summary['crystals'], 'crystal')} share a formula or a family with one "
            "that the model was trained on: the figures flatter it."
        )
    elif seen is None:
        notes.append("Whether the model has seen these crystals in training is not known.")
    unknown = summary["sites_of_unknown_elements"]
    if unknown:
        listed = ", ".join(f"{symbol} {n:,}" for symbol, n in list(unknown.items())[:12])
        notes.append(
            f"{sum(unknown.values()):,} sites are of elements that the model does not know, and are in no "
            f"score: {listed}{' and others' if len(unknown) > 12 else ''}."
        )
    return join(*(tag("p", note, class_="note") for note in notes))


def _confusion(path: Path, name: str) -> Html:
    rows = [row for row in read_rows(path / "confusion.csv") if row["known"] == "yes"]
    symbols = [row["true"] for row in rows]
    try:
        counts = [[int(row[symbol]) for symbol in symbols] for row in rows]
        used = [
            i
            for i in sorted(range(len(rows)), key=lambda i: NUMBERS[symbols[i]])
            if any(counts[i]) or any(row[i] for row in counts)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path / 'confusion.csv'} is damaged ({error}); evaluate again") from error
    data = {
        "elements": [symbols[i] for i in used],
        "sites": [sum(counts[i]) for i in used],
        "cells": [
            [a, b, counts[i][j]] for a, i in enumerate(used) for b, j in enumerate(used) if counts[i][j]
        ],
        "table": f"{name}-sites",
    }
    return join(
        tag("div", class_="confusion", data_cells=f"{name}-cells"),
        json_block(f"{name}-cells", data),
    )
