"""The confusion matrix as a figure: recall by row, with the margins that a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.scores import macro
from atomsight.core.wording import counted
from atomsight.evaluate.confusion import normalise_rows
from atomsight.evaluate.metrics import accuracy, element_scores
from atomsight.plots.style import GREY, INK, SEQUENTIAL, look, thousands

SHARES_UP_TO, COUNTS_UP_TO = 26, 12
"""Most elements with which the cells still have room for the share, and for the count beneath it."""

_NORM = PowerNorm(0.5, vmin=0, vmax=1)


def confusion_figure(matrix: NDArray[np.int64], elements: Sequence[int], *, title: str = "") -> Figure:
    """The confusion matrix of a classifier of elements.

    A cell is the share, in per cent, of the sites of the true element (row) that was given the predicted one
    (column), so the diagonal is the recall. The colours follow the square root of the share: a confusion of 1
    % is seen beside a recall of 95 %. Margins: recall and number of sites of each row, precision of each
    column. The cells carry the share where it rounds to 1 % or more, with up to 26 elements, and the number
    of sites with up to 12.

    Args:
        matrix: (n, n) counts, rows true, columns predicted.
        elements: n atomic numbers; the figure orders them by atomic number whatever their order here, and
            leaves out those that neither occur nor are predicted.
        title: printed above the line with accuracy and macro recall.
    """
    order = np.argsort(np.asarray(elements))
    counts = np.asarray(matrix)[np.ix_(order, order)]
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts, symbols = counts[np.ix_(used, used)], [SYMBOLS[elements[i]] for i in order[used]]
    n = len(symbols)
    scores, shares = element_scores(counts), normalise_rows(counts)

    cell = float(np.clip(6.4 / max(n, 1), 0.112, 0.55))
    font = float(np.clip(cell * 30, 5, 9))
    side, strip, gap = n * cell, max(cell, 0.24), 0.05
    left, top, bottom, right = 0.72, 0.98, 0.12 + strip, 1.4 + strip
    width, height = max(left + side + right, 4.6), top + side + bottom + gap
    with look():
        figure = Figure(figsize=(width, height))

        def place(x: float, y: float, w: float, h: float) -> Axes:
            """Axes by inches from the matrix's lower left corner, so that all cells stay square."""
            origin = bottom + gap
            return figure.add_axes(((left + x) / width, (origin + y) / height, w / width, h / height))

        main = place(0, 0, side, side)
        recall = place(side + gap, 0, strip, side)
        precision = place(0, -gap - strip, side, strip)
        _paint(main, shares)
        _paint(recall, scores.recall[:, None])
        _paint(precision, scores.precision[None, :])
        if n <= SHARES_UP_TO:
            both = n <= COUNTS_UP_TO
            _write(main, shares, counts if both else None, font)
            _write(recall, scores.recall[:, None], None, font)
            _write(precision, scores.precision[None, :], None, font)

        main.set_yticks(range(n), symbols, fontsize=font)
        main.set_xticks(range(n), symbols, fontsize=font, rotation=90 if n > 40 else 0)
        main.tick_params(top=False, labeltop=True, labelbottom=False)
        main.set_ylabel("true element")
        main.xaxis.set_label_position("top")
        main.set_xlabel("predicted element")
        recall.set_yticks(range(n), [thousands(int(c)) for c in scores.support], fontsize=font)
        recall.tick_params(labelleft=False, labelright=True)
        recall.set_xticks([])
        precision.set_yticks([0], ["precision"], fontsize=8)
        precision.set_xticks([])
        above = 4 / 72 / max(side, 0.1)
        for x, text in ((0.5, "recall"), (1 + 0.11 / strip, "sites")):
            recall.text(
                x,
                1 + above,
                text,
                transform=recall.transAxes,
                fontsize=8,
                ha="center",
                va="bottom",
                rotation=90,
            )
        bar = min(side, 3.2)
        _colour_bar(figure, place(side + gap + strip + 0.62, side - bar, 0.11, bar))
        _headline(figure, title, counts, height)
    return figure


def _paint(axes: Axes, values: NDArray[np.float64]) -> None:
    rows, columns = values.shape
    colours = colormaps[SEQUENTIAL].with_extremes(bad="#EFEFEF")
    axes.imshow(values, cmap=colours, norm=_NORM, aspect="auto", interpolation="nearest")
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(True, which="minor", color="#E6E6E6", linewidth=min(0.4, 12 / max(rows, columns)))
    axes.tick_params(which="both", length=0, pad=2)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.6)


def _write(axes: Axes, values: NDArray[np.float64], counts: NDArray[np.int64] | None, font: float) -> None:
    for (i, j), value in np.ndenumerate(values):
        percent = "" if np.isnan(value) else f"{100 * value:.0f}"
        if percent in ("", "0") and not (counts is None and 1 in values.shape):
            continue
        colour = "white" if _NORM(value) > 0.6 else INK
        down = 0.12 if counts is not None else 0.0
        axes.text(j, i - down, percent, ha="center", va="center", fontsize=font, color=colour)
        if counts is not None:
            text = thousands(int(counts[i, j]))
            axes.text(j, i + 0.27, text, ha="center", va="center", fontsize=0.62 * font, color=colour)


def _colour_bar(figure: Figure, axes: Axes) -> None:
    bar = figure.colorbar(ScalarMappable(_NORM, SEQUENTIAL), cax=axes)
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]
    bar.set_ticks(ticks, labels=[f"{100 * t:.0f} %" for t in ticks], fontsize=7)
    bar.ax.tick_params(length=2, pad=2)
    bar.outline.set(linewidth=0.6, edgecolor=GREY)


def _headline(figure: Figure, title: str, counts: NDArray[np.int64], height: float) -> None:
    scores = element_scores(counts)
    line = (
        f"accuracy {100 * accuracy(counts):.1f} %, macro recall {100 * macro(scores.recall):.1f} %, "
        f"{counted(int(counts.sum()), 'site')}, {counted(int((scores.support > 0).sum()), 'element')}"
    )
    figure.text(0.012, 1 - 0.08 / height, title, va="top", fontsize=10, fontweight="bold")
    figure.text(0.012, 1 - (0.3 if title else 0.1) / height, line, va="top", fontsize=8.5)
