"""The figures of an evaluation."""

from __future__ import annotations

from pathlib import Path

from atomsight.evaluate import Evaluation
from atomsight.plots.confusion import confusion_figure
from atomsight.plots.recall import recall_figure
from atomsight.plots.reliability import reliability_figure
from atomsight.plots.style import save


def draw_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write ``confusion``, ``recall`` and ``reliability`` figures into a folder.

    Raises:
        OutputError: the folder cannot be written.
    """
    part = "all splits" if evaluation.split == "all" else f"the {evaluation.split} split"
    title = f"{evaluation.model} on {part}"
    confusion = confusion_figure(evaluation.matrix, evaluation.elements, title=title)
    save(confusion, [folder / "confusion.png", folder / "confusion.svg"])
    save(recall_figure(evaluation.matrix, evaluation.elements, title=title), folder / "recall.png")
    reliability = reliability_figure(evaluation.calibration, title=title)
    save(reliability, [folder / "reliability.png", folder / "reliability.svg"])
