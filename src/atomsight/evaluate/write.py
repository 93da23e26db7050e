"""Files of an evaluation: the summary as JSON, everything else as CSV for spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_csv, write_json, write_rows
from atomsight.core.scores import none_if_nan
from atomsight.evaluate import metrics
from atomsight.evaluate.confusion import confused_pairs
from atomsight.evaluate.mistakes import MistakeLog
from atomsight.evaluate.run import Evaluation

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models import Model

Draw = Callable[[Evaluation, Path], None]
"""Function that writes the figures of an evaluation into a folder."""


def summary_of(evaluation: Evaluation, model: Model, dataset: Dataset, seen: int | None) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    Args:
        evaluation: Evaluation of the model on the dataset.
        model: The model.
        dataset: The dataset.
        seen: Crystals of the split that the model was trained on, see `crystals_seen`.
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

    ``summary.json`` is written last, so that a folder with it is complete. The tables are
    ``per_element.csv`` (a row per element of the model), ``confusion.csv`` (counts, rows true, with a row for
    each element that the model does not know), ``confused_pairs.csv`` (most frequent first),
    ``crystals.csv`` (most mistakes first) and ``mistakes.csv`` (a row per misclassified site, most confident
    first). An undefined score is an empty cell.

    Args:
        evaluation: The counts.
        summary: Content of ``summary.json``, see `summary_of`.
        log: The misclassified sites.
        folder: Folder for the result, made if it is missing.
        draw: Writes the figures; None writes none.

    Raises:
        OutputError: The folder cannot be written.
    """
    symbols, matrix, outside = evaluation.symbols, evaluation.matrix, evaluation.outside
    write_rows(folder / "per_element.csv", element_rows(evaluation), ".6f")
    confusion = [(symbol, *row, "yes") for symbol, row in zip(symbols, matrix.tolist(), strict=True)]
    unknown = np.flatnonzero(outside.sum(axis=1)).tolist()
    confusion += [(SYMBOLS[z], *outside[z].tolist(), "no") for z in unknown]
    write_csv(folder / "confusion.csv", ("true", *symbols, "known"), confusion)
    pairs = ((symbols[p.true], symbols[p.predicted], p.count, p.rate) for p in confused_pairs(matrix))
    header: tuple[str, ...] = ("true", "predicted", "sites", "share_of_true")
    write_csv(folder / "confused_pairs.csv", header, pairs, ".6f")
    header = ("crystal", "group", "sites", "sites_evaluated", "mistakes")
    counts = evaluation.crystal_counts.tolist()
    crystals = zip(evaluation.crystals, evaluation.crystal_groups, counts, strict=True)
    ordered = sorted(crystals, key=lambda row: (-row[2][2], row[0]))
    write_csv(folder / "crystals.csv", header, ((*names, *counts) for *names, counts in ordered))
    log.write_csv(folder / "mistakes.csv")
    if draw is not None:
        draw(evaluation, folder)
    write_json(folder / "summary.json", dict(summary), indent=2)


def element_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return a row per element of the model, by atomic number; None where a score is not defined.

    ``taken_for`` is the element that is most often predicted instead, ``taken_for_share`` its share of the
    sites.
    """
    scores = metrics.element_scores(evaluation.matrix)
    top3 = metrics.top_recall(evaluation.ranks, 3)
    rows = []
    for i in np.argsort(evaluation.elements):
        wrong = evaluation.matrix[i].copy()
        wrong[i] = 0
        worst = int(wrong.argmax())
        rows.append(
            {
                "element": evaluation.symbols[i],
                "atomic_number": evaluation.elements[i],
                "sites": int(scores.support[i]),
                "predicted": int(scores.predicted[i]),
                "correct": int(scores.correct[i]),
                "precision": none_if_nan(scores.precision[i]),
                "recall": none_if_nan(scores.recall[i]),
                "f1": none_if_nan(scores.f1[i]),
                "top3_recall": none_if_nan(top3[i]),
                "taken_for": evaluation.symbols[worst] if wrong[worst] else None,
                "taken_for_share": float(wrong[worst] / scores.support[i]) if wrong[worst] else None,
            }
        )
    return rows
