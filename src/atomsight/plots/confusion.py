"""The confusion matrix as a figure, with recall, precision and number of sites in the margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
"""Largest numbers of elements for which the cells show the share, and the number of sites."""

_NORM = PowerNorm(0.5, vmin=0, vmax=1)


@look()
def confusion_figure(matrix: NDArray[np.int64], elements: Sequence[int], *, title: str = "") -> Figure:
    """Draw the confusion matrix of a classifier of elements.

    A cell is the share, in per cent, of the sites of the true element (row) for which the model predicted the
    element of the column. The diagonal is the recall. The colours follow the square root of the share, so
    that a confusion of 1 % is visible next to a recall of 95 %. The margins show recall and number of sites
    of each row, and precision of each column. Cells show shares that round to 1 % or more, with up to 26
    elements, and the number of sites with up to 12.

    Args:
        matrix: (n, n) counts, rows true, columns predicted.
        elements: n atomic numbers in any order. The figure orders them, and leaves out those that neither
            occur nor are predicted.
        title: Title above the line with accuracy and macro recall.
    """
    counts, symbols = by_atomic_number(np.asarray(matrix), elements)
    n = len(symbols)
    scores, shares = element_scores(counts), normalise_rows(counts)

    cell = float(np.clip(6.4 / max(n, 1), 0.112, 0.55))
    font = float(np.clip(cell * 30, 5, 9))
    side, strip, gap = n * cell, max(cell, 0.24), 0.05
    left, top, bottom, right = 0.72, 0.98, 0.12 + strip, 1.4 + strip
    width, height = max(left + side + right, 4.6), top + side + bottom + gap
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float, w: float, h: float) -> Axes:
        """Add axes by inches from the matrix's lower left corner, so that all cells are square."""
        origin = bottom + gap
        return figure.add_axes(((left + x) / width, (origin + y) / height, w / width, h / height))

    main = place(0, 0, side, side)
    recall = place(side + gap, 0, strip, side)
    precision = place(0, -gap - strip, side, strip)
    panels = ((main, shares), (recall, scores.recall[:, None]), (precision, scores.precision[None]))
    for axes, values in panels:
        _paint(axes, values)
        if n <= SHARES_UP_TO:
            _write(axes, values, counts if axes is main and n <= COUNTS_UP_TO else None, font)

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
    above = 1 + 4 / 72 / max(side, 0.1)
    style: dict[str, Any] = {"fontsize": 8, "ha": "center", "va": "bottom", "rotation": 90}
    for x, text in ((0.5, "recall"), (1 + 0.11 / strip, "sites")):
        recall.text(x, above, text, transform=recall.transAxes, **style)
    bar = min(side, 3.2)
    colour_bar(figure, cax=place(side + gap + strip + 0.62, side - bar, 0.11, bar))
    line = (
        f"accuracy {100 * accuracy(counts):.1f} %, macro recall {100 * macro(scores.recall):.1f} %, "
        f"{counted(int(counts.sum()), 'site')}, {counted(int((scores.support > 0).sum()), 'element')}"
    )
    figure.text(0.012, 1 - 0.08 / height, title, va="top", fontsize=10, fontweight="bold")
    figure.text(0.012, 1 - (0.3 if title else 0.1) / height, line, va="top", fontsize=8.5)
    return figure


def by_atomic_number(
    matrices: NDArray[np.int64], elements: Sequence[int]
) -> tuple[NDArray[np.int64], list[str]]:
    """Order confusion matrices by atomic number, without the elements that neither occur nor are predicted.

    Args:
        matrices: (..., n, n) counts.
        elements: n atomic numbers.

    Returns:
        The (..., m, m) counts and the m element symbols.
    """
    order = np.argsort(np.asarray(elements))
    counts = matrices[..., order[:, None], order]
    total = counts.reshape(-1, *counts.shape[-2:]).sum(axis=0)
    used = np.flatnonzero(total.sum(axis=0) + total.sum(axis=1))
    return counts[..., used[:, None], used], [SYMBOLS[elements[i]] for i in order[used]]


def share_image(axes: Axes, shares: NDArray[np.float64], **options: Any) -> None:
    """Draw shares as a framed image with the colours of confusion matrices."""
    colours = colormaps[SEQUENTIAL].with_extremes(bad="#EFEFEF")
    axes.imshow(shares, cmap=colours, norm=_NORM, interpolation="nearest", **options)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.6)


def colour_bar(figure: Figure, **options: Any) -> None:
    """Add the colour bar of `share_image`, with options of Matplotlib's ``colorbar``."""
    bar = figure.colorbar(ScalarMappable(_NORM, SEQUENTIAL), **options)
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]
    bar.set_ticks(ticks, labels=[f"{100 * t:.0f} %" for t in ticks], fontsize=7)
    bar.ax.tick_params(length=2, pad=2)
    bar.outline.set(linewidth=0.6, edgecolor=GREY)


def _paint(axes: Axes, values: NDArray[np.float64]) -> None:
    rows, columns = values.shape
    share_image(axes, values, aspect="auto")
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(True, which="minor", color="#E6E6E6", linewidth=min(0.4, 12 / max(rows, columns)))
    axes.tick_params(which="both", length=0, pad=2)


def _write(axes: Axes, values: NDArray[np.float64], counts: NDArray[np.int64] | None, font: float) -> None:
    for (i, j), value in np.ndenumerate(values):
        percent = "" if np.isnan(value) else f"{100 * value:.0f}"
        if percent in ("", "0") and not (counts is None and 1 in values.shape):
            continue
        colour = "white" if _NORM(value) > 0.6 else INK
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        axes.text(j, i - (0.0 if counts is None else 0.12), percent, fontsize=font, **style)
        if counts is not None:
            axes.text(j, i + 0.27, thousands(int(counts[i, j])), fontsize=0.62 * font, **style)
