"""An evaluation as files: the summary as JSON, everything else as CSV that a spreadsheet opens."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.elements import SYMBOLS
from atomsight.evaluate import metrics
from atomsight.evaluate.confusion import confused_pairs
from atomsight.evaluate.run import Evaluation


def write_tables(evaluation: Evaluation, summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the tables of an evaluation into a folder, which must exist.

    ``summary.json``, ``per_element.csv`` (a row per element of the model), ``confusion.csv`` (counts, rows
    true, one row too for each element that the model does not know), ``confused_pairs.csv`` (most frequent
    first), ``crystals.csv`` (most mistakes first). An undefined score is an empty cell.

    Args:
        summary: what goes into ``summary.json``: that of the evaluation, and whatever the caller knows
            besides.

    Returns:
        The paths written.
    """
    text = json.dumps(dict(summary), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
    _write(folder / "per_element.csv", _ELEMENT_COLUMNS, (row.values() for row in element_rows(evaluation)))
    _write(folder / "confusion.csv", ("true", *evaluation.symbols, "known"), _confusion_rows(evaluation))
    _write(
        folder / "confused_pairs.csv",
        ("true", "predicted", "sites", "share_of_true"),
        (
            (evaluation.symbols[p.true], evaluation.symbols[p.predicted], p.count, f"{p.rate:.6f}")
            for p in confused_pairs(evaluation.matrix)
        ),
    )
    _write(
        folder / "crystals.csv",
        ("crystal", "group", "sites", "sites_evaluated", "mistakes"),
        _crystal_rows(evaluation),
    )
    names = ("summary.json", "per_element.csv", "confusion.csv", "confused_pairs.csv", "crystals.csv")
    return [folder / name for name in names]


_ELEMENT_COLUMNS = (
    *(
        "element",
        "atomic_number",
        "sites",
        "predicted",
        "correct",
        "precision",
        "recall",
        "f1",
        "top3_recall",
    ),
    *("taken_for", "taken_for_share"),
)


def element_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A row per element of the model, by atomic number; None where a score is not defined.

    ``taken_for`` is the element that it is most often mistaken for, ``taken_for_share`` the share of its
    sites.
    """
    scores = metrics.element_scores(evaluation.matrix)
    top3 = metrics.top_recall(evaluation.ranks, 3)
    rows = []
    for i in np.argsort(evaluation.elements):
        wrong = evaluation.matrix[i].copy()
        wrong[i] = 0
        worst = int(wrong.argmax())
        row = (
            *(evaluation.symbols[i], evaluation.elements[i]),
            *(int(scores.support[i]), int(scores.predicted[i]), int(scores.correct[i])),
            *(_number(v[i]) for v in (scores.precision, scores.recall, scores.f1, top3)),
            evaluation.symbols[worst] if wrong[worst] else None,
            float(wrong[worst] / scores.support[i]) if wrong[worst] else None,
        )
        rows.append(dict(zip(_ELEMENT_COLUMNS, row, strict=True)))
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _confusion_rows(evaluation: Evaluation) -> Iterable[Sequence[Any]]:
    for symbol, row in zip(evaluation.symbols, evaluation.matrix.tolist(), strict=True):
        yield (symbol, *row, "yes")
    for z in np.flatnonzero(evaluation.outside.sum(axis=1)).tolist():
        yield (SYMBOLS[z], *evaluation.outside[z].tolist(), "no")


def _crystal_rows(evaluation: Evaluation) -> Iterable[Sequence[Any]]:
    counts = evaluation.crystal_counts
    names = evaluation.crystals
    for i in sorted(range(len(names)), key=lambda i: (-int(counts[i, 2]), names[i])):
        yield (names[i], evaluation.crystal_groups[i], *counts[i].tolist())


def _write(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(["" if v is None else f"{v:.6f}" if isinstance(v, float) else v for v in row])
