"""An evaluation as files: the summary as JSON, everything else as CSV that a spreadsheet opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_csv, write_json
from atomsight.evaluate import metrics
from atomsight.evaluate.confusion import confused_pairs
from atomsight.evaluate.mistakes import MistakeLog
from atomsight.evaluate.run import Evaluation

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models import Model

Draw = Callable[[Evaluation, Path], None]
"""Writes the figures of an evaluation into a folder."""


def summary_of(evaluation: Evaluation, model: Model, dataset: Dataset, seen: int | None) -> dict[str, Any]:
    """What ``summary.json`` holds.

    Args:
        evaluation: of the model on the dataset.
        model: the model.
        dataset: the dataset.
        seen: crystals of the split that the model learnt from, see `crystals_seen`.
    """
    return {
        **evaluation.summary(),
        "k": model.k,
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "crystals_seen_in_training": seen,
    }


def write_evaluation(
    evaluation: Evaluation,
    summary: Mapping[str, Any],
    log: MistakeLog,
    folder: Path,
    draw: Draw | None = None,
) -> None:
    """Write an evaluation into a folder: tables, misclassified sites and figures.

    ``summary.json`` is written last, so that the folder that holds it is complete. The tables are
    ``per_element.csv`` (a row per element of the model), ``confusion.csv`` (counts, rows true, one row too
    for each element that the model does not know), ``confused_pairs.csv`` (most frequent first),
    ``crystals.csv`` (most mistakes first) and ``mistakes.csv`` (a row per misclassified site, most confident
    first). An undefined score is an empty cell.

    Args:
        evaluation: what was counted.
        summary: what goes into ``summary.json``, see `summary_of`.
        log: the misclassified sites.
        folder: made where it is missing.
        draw: writes the figures; None writes none.

    Raises:
        OutputError: the folder cannot be written.
    """
    symbols = evaluation.symbols
    pairs = (
        (symbols[p.true], symbols[p.predicted], p.count, p.rate) for p in confused_pairs(evaluation.matrix)
    )
    for name, header, rows in (
        ("per_element.csv", _ELEMENT_COLUMNS, (row.values() for row in element_rows(evaluation))),
        ("confusion.csv", ("true", *symbols, "known"), _confusion_rows(evaluation)),
        ("confused_pairs.csv", ("true", "predicted", "sites", "share_of_true"), pairs),
        ("crystals.csv", _CRYSTAL_COLUMNS, _crystal_rows(evaluation)),
    ):
        write_csv(folder / name, header, rows, ".6f")
    log.write_csv(folder / "mistakes.csv")
    if draw is not None:
        draw(evaluation, folder)
    write_json(folder / "summary.json", dict(summary), indent=2)


_CRYSTAL_COLUMNS = ("crystal", "group", "sites", "sites_evaluated", "mistakes")

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
