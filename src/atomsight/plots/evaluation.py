"""Figures of an evaluation."""

from __future__ import annotations

from pathlib import Path

from atomsight.evaluate import Evaluation
from atomsight.plots.confusion import confusion_figure
from atomsight.plots.recall import recall_figure
from atomsight.plots.reliability import reliability_figure
from atomsight.plots.style import save, save_both


def draw_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write the figures ``confusion``, ``recall`` and ``reliability`` into a folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    part = "all splits" if evaluation.split == "all" else f"the {evaluation.split} split"
    title = f"{evaluation.model} on {part}"
    matrix, elements = evaluation.matrix, evaluation.elements
    save_both(confusion_figure(matrix, elements, title=title), folder / "confusion")
    save(recall_figure(matrix, elements, title=title), folder / "recall.png")
    save_both(reliability_figure(evaluation.calibration, title=title), folder / "reliability")
