"""Recall and precision of every element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.scores import macro
from atomsight.evaluate.metrics import ElementScores, element_scores
from atomsight.plots.style import DASHED, GREY, ORANGE, light_grid, look, new_figure, thousands

_PER_ROW = 46
_PALE = "#8DBFE0"
"""A tint of the blue, so that the dots are visible on the bars."""


@look()
def recall_figure(matrix: NDArray[np.int64], elements: Sequence[int], *, title: str = "") -> Figure:
    """Draw a bar per element for its recall and a dot for its precision, best recall first.

    The number above each bar is that of its sites. The dashed line is the macro recall.

    Args:
        matrix: (n, n) counts, rows true, columns predicted.
        elements: n atomic numbers in the order of the matrix. Those without sites are left out.
        title: Title of the figure.
    """
    scores = element_scores(matrix)
    present = np.flatnonzero(scores.support)
    order = present[np.lexsort((np.asarray(elements)[present], -scores.recall[present]))]
    n_rows = max(-(-len(order) // _PER_ROW), 1)
    per_row = max(-(-len(order) // n_rows), 1)
    figure = new_figure(max(4.2, 0.165 * per_row + 0.7), 0.6 + 2.4 * n_rows, title)
    for row in range(n_rows):
        axes = figure.add_subplot(n_rows, 1, row + 1)
        _row(axes, scores, order[row * per_row : (row + 1) * per_row], elements)
        axes.set_xlim(-0.7, per_row - 0.3)
    figure.supxlabel("bars: recall; dots: precision; above: sites; dashed: macro recall", fontsize=8)
    return figure


def _row(axes: Axes, scores: ElementScores, shown: NDArray[np.int64], elements: Sequence[int]) -> None:
    place = np.arange(len(shown))
    axes.bar(place, 100 * scores.recall[shown], width=0.8, color=_PALE)
    axes.plot(place, 100 * scores.precision[shown], "o", color=ORANGE, markersize=3.5, clip_on=False)
    axes.axhline(100 * macro(scores.recall), color=GREY, linewidth=1, linestyle=DASHED)
    axes.set_xticks(place, [SYMBOLS[elements[i]] for i in shown], fontsize=7.5)
    axes.tick_params(axis="x", length=0, pad=2)
    for x, i in zip(place, shown, strict=True):
        count = thousands(int(scores.support[i]))
        axes.annotate(count, (x, 100), (0, 5), textcoords="offset points", rotation=90, ha="center", size=6.5)
    axes.set(ylim=(0, 100), ylabel="recall, precision (%)")
    light_grid(axes, "y")
