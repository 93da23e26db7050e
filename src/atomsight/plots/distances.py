"""Distributions of neighbour distances: overall, of one pair with its peaks, and of all pairs at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atomsight.analyse.distance_summary import PairSummary
from atomsight.analyse.distances import ALL_PAIRS, DistanceCounts, Pair, Weight
from atomsight.core.elements import SYMBOLS
from atomsight.plots.style import BLUE, GREY, INK, light_grid, look, new_figure, thousands

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Window = tuple[float, float]

HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Palette of Okabe and Ito (2008) without its yellow, which is too pale for lines."""

MATRIX_UP_TO = 10
"""Largest number of elements whose pairs fit in one figure. The most abundant ones are drawn."""

_PALE = "#BFD9EA"
_HIDDEN = 0.002
"""Share of the counts at each end that the zoomed panel leaves out."""


@look()
def overall_figure(counts: DistanceCounts, weight: Weight = "sites", *, title: str = "") -> Figure:
    """Draw the distribution of all pairs as an area, and of each centre element as a line.

    Counts are linear in the upper panel, logarithmic in the lower one. Of more than seven centre elements,
    the seven with most counts have a line.
    """
    edges = counts.edges()
    total = counts.histogram(ALL_PAIRS, weight)
    centres = sorted(counts.elements, key=lambda z: -counts.total(Pair(z, None), weight))[: len(HUES)]
    figure = new_figure(6.6, 5.2, title)
    panels = figure.subplots(2, 1)
    window = _window(total, edges, [])
    for axes in panels:
        axes.stairs(total, edges, fill=True, color="#E9E9E9", label="all")
        for z, hue in zip(centres, HUES, strict=False):
            label = f"{SYMBOLS[z]} ({thousands(counts.total(Pair(z, None), weight))})"
            axes.stairs(counts.histogram(Pair(z, None), weight), edges, color=hue, lw=1, label=label)
    _set_axes(panels, counts, weight, window)
    panels[0].legend(title="centre", fontsize=8, title_fontsize=8, loc="upper right", ncols=2)
    return figure


@look()
def pair_figure(
    counts: DistanceCounts, summary: PairSummary, weight: Weight = "sites", *, title: str = ""
) -> Figure:
    """Draw the distribution of one ordered pair with its peaks.

    The upper panel has linear counts, over the stretch that holds nearly all of them, and names the peaks.
    The lower one has logarithmic counts over the whole range. Each rank of a range of neighbours is a line,
    six at most.
    """
    edges = counts.edges()
    histogram = counts.histogram(summary.pair, weight)
    window = _window(histogram, edges, [peak.position for peak, _ in summary.peaks])
    figure = new_figure(6.6, 5.2, f"{title or summary.pair}\n")
    linear, logarithmic = panels = figure.subplots(2, 1)
    ranks = counts.ranks
    lines = range(ranks.first, ranks.last + 1) if ranks.apart and ranks.first < ranks.last else ()
    for axes in panels:
        axes.stairs(histogram, edges, fill=True, color=_PALE)
        axes.stairs(histogram, edges, color=BLUE, lw=0.8)
        for rank, hue in zip(lines, HUES[1:], strict=False):
            of_rank = counts.histogram(summary.pair, weight, rank)
            axes.stairs(of_rank, edges, color=hue, lw=0.9, label=f"n = {rank}")
    _set_axes(panels, counts, weight, window)
    if lines:
        logarithmic.legend(fontsize=7.5, loc="upper right", ncols=3)
    _peaks(linear, summary, histogram, edges, window)
    for peak, _ in summary.peaks:
        logarithmic.axvline(peak.position, color=INK, lw=0.6, ls=(0, (2, 2)))
    which = "nearest" if counts.ranks.last == 1 else f"{counts.ranks} nearest"
    line = (
        f"{summary.sites if weight == 'sites' else summary.atoms:,} {weight}, "
        f"{100 * summary.share:.1f} % of the {which} neighbours of {SYMBOLS[summary.pair.centre or 0]}"
    )
    figure.text(0.0125, 0.957, line, fontsize=8.5, va="top")
    return figure


@look()
def pair_matrix_figure(
    counts: DistanceCounts, summaries: Sequence[PairSummary], weight: Weight = "sites", *, title: str = ""
) -> Figure:
    """Draw the distributions of all ordered pairs of some elements, rows centres, columns neighbours.

    The last column holds all other neighbours. Each cell has its own scale. Heights are square roots of
    counts, so that small peaks are visible next to large ones. A cell shows its share of the centre's
    neighbours and its count; the larger the share, the darker the cell. Marks below it are the peaks. Of
    more than ten elements, the ten with most counts are drawn.
    """
    elements = sorted(counts.elements, key=lambda z: -counts.total(Pair(z, None), weight))[:MATRIX_UP_TO]
    known = {summary.pair: summary for summary in summaries}
    edges = counts.edges()
    window = _window(counts.histogram(ALL_PAIRS, weight), edges, [])
    n, cell = len(elements), 1.15 if len(elements) <= 5 else 0.85
    # Margins by hand: the automatic layout takes seconds for a hundred cells.
    width, height = 0.6 + cell * (n + 1), 1.35 + 0.8 * cell * n
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(0.42 / width, 0.68 / height, 1 - 0.12 / width, 1 - 0.6 / height, 0.09, 0.14)
    grid = figure.subplots(n, n + 1, squeeze=False, sharex=True)
    for i, centre in enumerate(elements):
        total = counts.total(Pair(centre, None), weight)
        others = counts.histogram(Pair(centre, None), weight)
        other_count = total
        for j, neighbour in enumerate(elements):
            pair = Pair(centre, neighbour)
            histogram, count = counts.histogram(pair, weight), counts.total(pair, weight)
            others, other_count = others - histogram, other_count - count
            peaks = known[pair].peaks if pair in known else ()
            marks = [peak.position for peak, _ in peaks if window[0] < peak.position < window[1]]
            _cell(grid[i, j], histogram, edges, count, total, marks)
        _cell(grid[i, n], others, edges, other_count, total, [])
        style = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 10, "fontweight": "bold"}
        grid[i, 0].set_ylabel(SYMBOLS[centre], **style)
    for axes, name in zip(grid[0], [*(SYMBOLS[z] for z in elements), "other"], strict=True):
        axes.set_title(name, loc="center", fontsize=10)
    for axes in grid[-1]:
        axes.tick_params(labelbottom=True, labelsize=7)
        axes.set_xlim(*window)
    label = f"{_distance_label(counts)}\nrows: centres, columns: neighbours; height: square root of the count"
    figure.text(0.5, 0.06 / height, label, ha="center", va="bottom", fontsize=8.5)
    figure.text(0.09 / width, 1 - 0.09 / height, title, va="top", fontsize=10, fontweight="bold")
    return figure


def _cell(axes: Axes, histogram: Ints, edges: Floats, count: int, total: int, marks: Sequence[float]) -> None:
    share = count / total if total else 0.0
    axes.set_yticks([])
    axes.tick_params(labelbottom=False, length=2)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=GREY, linewidth=0.6)
    axes.set_facecolor((0.0, 0.447, 0.698, 0.22 * share**0.5))
    if count == 0:
        axes.text(0.5, 0.45, "none", transform=axes.transAxes, ha="center", fontsize=7, color=GREY)
        return
    step = max(len(histogram) // 200, 1)
    used = len(histogram) // step * step
    heights = np.sqrt(histogram[:used].reshape(-1, step).sum(axis=1))
    axes.stairs(heights, edges[: used + 1 : step], fill=True, color=BLUE)
    axes.plot(marks, np.zeros(len(marks)), "|", color=INK, markersize=6, clip_on=False, in_layout=False)
    percent = f"{100 * share:.0f} %" if share >= 0.005 else "< 0.5 %"
    text = f"{percent}\n{thousands(count)}"
    axes.text(0.97, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=6.5)
    axes.set_ylim(0, max(heights.max(), 1) * 1.35)


def _peaks(axes: Axes, summary: PairSummary, histogram: Ints, edges: Floats, window: Window) -> None:
    """Label each peak in the window above its maximum, in several rows where labels would overlap."""
    top = max(int(histogram.max()), 1)
    axes.set_ylim(0, 1.75 * top)
    ends: list[float] = []
    character = (window[1] - window[0]) / 88
    for peak, bond_type in summary.peaks:
        if not window[0] <= peak.position <= window[1]:
            continue
        text = f"{peak.position:.3f} Å, {100 * peak.share:.1f} %" + (f"\n{bond_type}" if bond_type else "")
        half = max(map(len, text.splitlines())) * character / 2
        row = next((r for r, end in enumerate(ends) if end < peak.position - half), len(ends))
        ends[row : row + 1] = [peak.position + half]
        here = histogram[np.clip(np.searchsorted(edges, peak.position) - 1, 0, len(histogram) - 1)]
        level = (1.05 + 0.22 * (row % 3)) * top
        axes.plot([peak.position] * 2, [here, level], color=INK, lw=0.6, ls=(0, (2, 2)))
        low, high = window[0] + half, window[1] - half
        place = float(np.clip(peak.position, low, high)) if low < high else peak.position
        label = axes.text(place, level + 0.01 * top, text, ha="center", va="bottom", fontsize=7.5)
        label.set_in_layout(False)


def _window(histogram: Ints, edges: Floats, positions: Sequence[float]) -> Window:
    """Return the range that holds these positions and all but 0.4 % of the counts, with a margin."""
    if histogram.sum() == 0:
        return float(edges[0]), float(edges[-1])
    below = np.cumsum(histogram) / histogram.sum()
    low = min([edges[np.searchsorted(below, _HIDDEN)], *positions])
    high = max([edges[np.searchsorted(below, 1 - _HIDDEN) + 1], *positions])
    margin = 0.08 * (high - low) + 2 * (edges[1] - edges[0])
    return max(float(low - margin), float(edges[0])), min(float(high + margin), float(edges[-1]))


def _set_axes(panels: Sequence[Axes], counts: DistanceCounts, weight: Weight, window: Window) -> None:
    """Set scales, limits and labels of the linear and the logarithmic panel.

    The linear panel shows the window alone. The logarithmic one shows the whole range, the window shaded.
    """
    linear, logarithmic = panels
    for axes in panels:
        axes.set_ylabel(f"{weight} per {(counts.high - counts.low) / counts.bins:.3g} Å")
        light_grid(axes, "y")
    linear.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
    logarithmic.set_yscale("log")
    logarithmic.set_ylim(bottom=0.7)
    linear.set_xlim(*window)
    logarithmic.set_xlim(counts.low, counts.high)
    if window[1] - window[0] < 0.9 * (counts.high - counts.low):
        logarithmic.axvspan(*window, color="#F4F4F4", zorder=-2, lw=0)
    logarithmic.set_xlabel(_distance_label(counts))


def _distance_label(counts: DistanceCounts) -> str:
    if counts.ranks.last == 1:
        return "distance to the nearest neighbour (Å)"
    plural = "s" if counts.ranks.first < counts.ranks.last else ""
    return f"distance to the {counts.ranks} nearest neighbour{plural} (Å)"
