"""A sweep over k in four figures: scores, elements, confused pairs, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from atomsight.core.scores import macro_recall
from atomsight.evaluate.confusion import normalise_rows
from atomsight.evaluate.metrics import accuracy
from atomsight.evaluate.sweep.report import SweepReport, element_rows, pair_rates, worst_pairs
from atomsight.evaluate.sweep.suggest import SCORES
from atomsight.plots.confusion import by_atomic_number, colour_bar, share_image
from atomsight.plots.style import BLUE, DASHED, GREY, INK, ORANGE, light_grid, look, new_figure, thousands

_PER_ROW = 5


@look()
def scores_figure(report: SweepReport, *, title: str = "") -> Figure:
    """Draw macro recall and accuracy against k on val and test, and the cost of each k.

    Bars are one standard error over groups of crystals and seeds. Dots are single runs on test. The dashed
    line marks the suggested k.
    """
    rows = report.rows
    ks = [row["k"] for row in rows]
    text = f"k = {report.suggestion.k} suggested ({100 * report.suggestion.sureness:.0f} % of resamples)"
    figure = new_figure(9.6, 3.3, f"{title}: {text}" if title else text)
    panels = figure.subplots(1, 3)
    for axes, score in zip(panels, SCORES, strict=False):
        for split, colour, mark in (("val", GREY, "s-"), ("test", BLUE, "o-")):
            mean = [100 * row[f"{split}_{score}"] for row in rows]
            error = [100 * row[f"{split}_{score}_error"] for row in rows]
            axes.errorbar(ks, mean, error, fmt=mark, color=colour, ms=4, lw=1.2, capsize=2, label=split)
        single = 100 * report.sweep.counts["test"].scores(score)
        x = np.repeat(ks, single.shape[1])
        axes.plot(x, single.ravel(), ".", color=BLUE, ms=3, alpha=0.45, zorder=1)
        axes.set(ylabel=f"{score.replace('_', ' ')} (%)")
    costs = panels[2]
    costs.plot(ks, [row["parameters"] / 1000 for row in rows], "o-", color=INK, ms=4, lw=1.2)
    costs.set(ylabel="parameters (thousands)", ylim=(0, 1.3 * rows[-1]["parameters"] / 1000))
    time = costs.twinx()
    time.plot(ks, [row["seconds"] for row in rows], "s--", color=ORANGE, ms=4, lw=1.2)
    time.set_ylabel("training time (s)", color=ORANGE)
    time.set_ylim(0, 1.8 * max(row["seconds"] for row in rows))
    time.spines["right"].set_visible(True)
    for axes in panels:
        _k_axis(axes, ks, report.suggestion.k)
    panels[0].legend(loc="lower right", fontsize=8)
    return figure


@look()
def elements_figure(report: SweepReport, *, title: str = "") -> Figure:
    """Draw the recall of each element on test against k, one panel each, with one standard error."""
    table = [row for row in element_rows(report.sweep, report.resampled["test"]) if row["sites"]]
    names = list(dict.fromkeys(row["element"] for row in table))
    figure, panels = _grid(len(names), 1.75, 1.5, title)
    for axes, name in zip(panels, names, strict=True):
        rows = [row for row in table if row["element"] == name]
        ks = [row["k"] for row in rows]
        values = [100 * row["recall"] for row in rows]
        errors = [100 * (row["error"] or 0.0) for row in rows]
        axes.errorbar(ks, values, errors, fmt="o-", color=BLUE, ms=3, lw=1.1, capsize=1.5)
        sites = f"{thousands(rows[0]['sites'])} sites, {thousands(rows[0]['groups'])} groups"
        _panel_title(axes, name, sites, 1.03)
        axes.set_ylim(0, 104)
        _k_axis(axes, ks, report.suggestion.k)
    figure.supylabel("recall on test (%)", fontsize=9)
    return figure


@look()
def pairs_figure(report: SweepReport, *, title: str = "", most: int = 10) -> Figure:
    """Draw the error rate of the most confused pairs against k, both directions together.

    The line is the mean over the seeds, the band reaches from the smallest rate to the largest.
    """
    sweep = report.sweep
    pairs = worst_pairs(sweep, most)
    figure, panels = _grid(len(pairs), 1.75, 1.5, title)
    for axes, pair in zip(panels, pairs, strict=True):
        rates = 100 * pair_rates(sweep, pair)
        axes.fill_between(sweep.ks, rates.min(axis=1), rates.max(axis=1), color=BLUE, alpha=0.2, lw=0)
        axes.plot(sweep.ks, rates.mean(axis=1), "o-", color=BLUE, ms=3, lw=1.1)
        axes.set_title("/".join(sweep.symbols[i] for i in pair), fontsize=9, pad=3)
        axes.set_ylim(bottom=0)
        _k_axis(axes, sweep.ks, report.suggestion.k)
    figure.supylabel("confused with each other (% of both)", fontsize=9)
    return figure


@look()
def confusions_figure(
    ks: Sequence[int], matrices: NDArray[np.int64], elements: Sequence[int], *, title: str = ""
) -> Figure:
    """Draw a small confusion matrix for each k, in the colours of `confusion_figure`.

    Args:
        ks: The k of each matrix.
        matrices: (ks, n, n) counts, rows true.
        elements: n atomic numbers in any order. Those that neither occur nor are predicted are left out.
        title: Title of the figure.
    """
    counts, symbols = by_atomic_number(matrices, elements)
    size = float(np.clip(60 / max(len(symbols), 1), 2.2, 6))
    figure, panels = _grid(len(ks), 2.3, 2.5, title)
    for axes, k, matrix in zip(panels, ks, counts, strict=True):
        share_image(axes, normalise_rows(matrix))
        axes.set_xticks(range(len(symbols)), symbols, fontsize=size, rotation=90)
        axes.set_yticks(range(len(symbols)), symbols, fontsize=size)
        axes.tick_params(length=0, pad=1)
        scores = f"{100 * accuracy(matrix):.1f} / {100 * macro_recall(matrix):.1f} %"
        _panel_title(axes, f"k = {k}", scores, 1.02)
    colour_bar(figure, ax=panels, shrink=0.6, aspect=30, pad=0.01)
    figure.supylabel("true element", fontsize=9)
    figure.supxlabel("predicted element (above: accuracy / macro recall)", fontsize=9)
    return figure


def _grid(count: int, width: float, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with this number of panels of this size, inches, in rows of five."""
    columns = max(min(count, _PER_ROW), 1)
    rows = max(-(-count // columns), 1)
    figure = new_figure(max(columns * width, 3.6) + 0.5, rows * height + 0.5, title)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _panel_title(axes: Axes, title: str, note: str, above: float) -> None:
    axes.set_title(title, fontsize=9, pad=3)
    axes.text(1, above, note, transform=axes.transAxes, ha="right", fontsize=6.5, color=GREY)


def _k_axis(axes: Axes, ks: Sequence[int], suggested: int) -> None:
    axes.axvline(suggested, color=ORANGE, linewidth=1, linestyle=DASHED, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlim(min(ks) - 0.5, max(ks) + 0.5)
    axes.set_xlabel("k", labelpad=1)
    light_grid(axes, "y")
