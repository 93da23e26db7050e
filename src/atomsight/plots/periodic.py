"""Counts of elements on the periodic table, and the sizes of crystals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.plots.style import BLUE, DASHED, GREY, INK, light_grid, look, new_figure, thousands

_NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)


def place_of(number: int) -> tuple[int, int]:
    """Return the (column, row) of an element in the table of 18 columns, counted from 0.

    The lanthanides and the actinides stand in rows 7 and 8.
    """
    period = next(i for i, noble in enumerate(_NOBLE) if number <= noble) - 1
    step = number - _NOBLE[period]
    length = _NOBLE[period + 1] - _NOBLE[period]
    if length == 32 and 3 <= step <= 17:
        return step - 1, period + 2
    if step <= 2 and number != 2:
        return step - 1, period
    return 18 - (length - step) - 1, period


@look()
def periodic_figure(counts: Mapping[int, int], *, title: str = "") -> Figure:
    """Draw the periodic table, each element shaded by the logarithm of its count.

    Elements without a count are empty.

    Args:
        counts: Counts by atomic number.
        title: Title of the figure.
    """
    largest = np.log1p(max(counts.values(), default=1))
    figure = new_figure(8.6, 4.4, title)
    axes = figure.add_subplot()
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    for number in range(1, len(SYMBOLS)):
        column, row = place_of(number)
        y = row + (0.4 if row > 6 else 0.0)
        count = counts.get(number, 0)
        axes.add_patch(Rectangle((column, y), 0.94, 0.94, fill=False, edgecolor="#E3E3E3", lw=0.6))
        if count:
            alpha = 0.08 + 0.72 * float(np.log1p(count) / largest)
            axes.add_patch(Rectangle((column, y), 0.94, 0.94, color=BLUE, alpha=alpha, lw=0))
            axes.text(column + 0.47, y + 0.74, thousands(count), fontsize=5.5, **middle)
        size, colour = (8.5, INK) if count else (7, GREY)
        axes.text(column + 0.47, y + 0.36, SYMBOLS[number], fontsize=size, color=colour, **middle)
    axes.set(xlim=(-0.1, 18.1), ylim=(9.5, -0.1), aspect="equal")
    axes.set_axis_off()
    return figure


@look()
def sizes_figure(sizes: Mapping[str, NDArray[np.floating]], *, title: str = "") -> Figure:
    """Draw histograms over crystals on a logarithmic axis, one panel each, with the median.

    Args:
        sizes: (crystals,) positive numbers by the name of the quantity, such as ``sites``.
        title: Title of the figure.
    """
    figure = new_figure(2.7 * len(sizes), 2.4, title)
    panels = np.atleast_1d(figure.subplots(1, len(sizes)))
    for axes, (name, values) in zip(panels, sizes.items(), strict=True):
        used = values[values > 0]
        if len(used):
            low, high = float(used.min()), max(float(used.max()), float(used.min()) * 1.1)
            axes.hist(used, bins=np.geomspace(low, high, 41).tolist(), color=BLUE)
            middle = float(np.median(used))
            axes.axvline(middle, color=INK, lw=1, ls=DASHED)
            axes.set_title(f"median {middle:.4g}", fontsize=8)
            axes.set_xscale("log")
        axes.set(xlabel=name, ylabel="crystals")
        light_grid(axes, "y")
    return figure
