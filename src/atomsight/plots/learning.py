"""Learning curves of a training run: loss and scores by epoch, its stages one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from atomsight.plots.style import BLUE, GREY, ORANGE, light_grid, look, new_figure


@look()
def learning_figure(epochs: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Draw the loss on the train and val splits, and accuracy and macro recall on val.

    Args:
        epochs: Records of ``metrics.jsonl``: ``stage``, ``train_loss``, ``val_loss``, ``val_accuracy``,
            ``val_macro_recall``. Values that a record lacks are left out.
        title: Title of the figure.
    """
    stages = [str(record.get("stage", "")) for record in epochs]
    borders = [i + 0.5 for i in range(1, len(stages)) if stages[i] != stages[i - 1]]
    figure = new_figure(7.6, 3.0, title)
    loss, score = figure.subplots(1, 2)
    lines = (
        (loss, "train_loss", GREY, "o", "train", 1.0),
        (loss, "val_loss", BLUE, "s", "val", 1.0),
        (score, "val_accuracy", BLUE, "s", "accuracy", 100.0),
        (score, "val_macro_recall", ORANGE, "^", "macro recall", 100.0),
    )
    for axes, key, colour, marker, label, scale in lines:
        known = [(x, scale * record[key]) for x, record in enumerate(epochs, 1) if key in record]
        if known:
            axes.plot(*zip(*known, strict=True), marker=marker, ms=3, lw=1.2, color=colour, label=label)
    if any(record.get("val_loss", 0) > 0 for record in epochs):
        loss.set_yscale("log")
    loss.set(xlabel="epoch", ylabel="loss")
    score.set(xlabel="epoch", ylabel="% on val")
    for axes in (loss, score):
        for border in borders:
            axes.axvline(border, color=GREY, lw=0.8, ls=(0, (3, 3)))
        if axes.lines:
            axes.legend(fontsize=7.5)
        light_grid(axes, "y")
    return figure
