"""Bonds among nearest neighbours: differences, shares by pair, and lengths by type."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from atomsight.analyse.bond_lengths import DIFFERENCE_STEP, EVERY, NEAREST, STEP, TYPES, BondStudy, edges
from atomsight.analyse.distances import Pair
from atomsight.plots.style import BLUE, DASHED, GREY, ORANGE, light_grid, look, new_figure, thousands

COLOURS = dict(
    zip(
        TYPES,
        ("#BBBBBB", BLUE, ORANGE, "#CC79A7", "#000000", "#E69F00", "#009E73", "#56B4E9", "#EFEFEF"),
        strict=True,
    )
)
"""Colours of the bond types, from the palette of Okabe and Ito (2008)."""

_TAIL = 0.0005
"""Share of the bonds that may lie outside the drawn range on each side. Disordered crystals have a few."""

_ORDER = (*(name for name in TYPES if name not in ("unknown", "no bond")), "unknown", "no bond")


@look()
def difference_figure(study: BondStudy, *, title: str = "") -> Figure:
    """Draw the distribution of the shortest bond less the nearest-neighbour distance.

    Left: its histogram, logarithmic. Right: its cumulative share, with the threshold.

    Args:
        study: Counts with at least one bonded site.
        title: Title of the figure.
    """
    counts = study.differences
    starts = np.arange(len(counts)) * DIFFERENCE_STEP
    share = np.cumsum(counts) / counts.sum()
    figure = new_figure(7.2, 3.2, title)
    left, right = figure.subplots(1, 2)
    left.bar(starts, counts, width=DIFFERENCE_STEP, align="edge", color=BLUE)
    left.set(yscale="log", ylabel="sites", xlim=(-0.02, starts[-1] + 2 * DIFFERENCE_STEP), ylim=(0.7, None))
    right.plot(starts + DIFFERENCE_STEP, share, drawstyle="steps-post", color=BLUE, linewidth=1.6)
    right.set(ylabel="sites at or below", xlim=(0, starts[-1]), ylim=(min(0.99, share[0] - 0.02), 1.002))
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    for axes in (left, right):
        axes.axvline(study.threshold, color=ORANGE, linewidth=1, linestyle=DASHED)
        axes.set_xlabel("shortest bond less nearest distance (Å)")
        light_grid(axes, "y")
    share_within = f"{100 * study.within / study.bonded:.2f} % of {thousands(study.bonded)} sites"
    text = f"{share_within}\nwithin {study.threshold:g} Å"
    right.text(0.97, 0.08, text, transform=right.transAxes, ha="right", fontsize=8.5)
    return figure


@look()
def nearest_figure(study: BondStudy, *, most: int = 24, title: str = "") -> Figure:
    """Draw the share of bonded nearest neighbours of the most frequent ordered pairs, by bond type.

    Args:
        study: Counts with at least one site.
        most: Number of pairs drawn.
        title: Title of the figure.
    """
    pairs = list(study.pairs().items())[:most]
    figure = new_figure(7.2, 0.9 + 0.2 * len(pairs), title)
    axes = figure.add_subplot()
    place = np.arange(len(pairs))
    left = np.zeros(len(pairs))
    for name in _ORDER:
        share = np.array([100 * study.type_counts(pair).get(name, 0) / n for pair, n in pairs])
        if share.any():
            edge = GREY if name == "no bond" else "none"
            style: dict[str, Any] = {"color": COLOURS[name], "edgecolor": edge, "linewidth": 0.4}
            axes.barh(place, share, left=left, label=name, **style)
            left += share
    for y, (pair, count) in zip(place, pairs, strict=True):
        total, bonded = study.nearest_bonded(pair)
        words = f"{100 * bonded / total:.1f} % of {thousands(count)}"
        axes.annotate(words, (100, y), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(place, [str(pair) for pair, _ in pairs], fontsize=7.5)
    axes.set(xlim=(0, 100), ylim=(len(pairs) - 0.4, -0.6), xlabel="% of nearest neighbours")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8)
    return figure


@look()
def length_figure(study: BondStudy, pair: Pair, *, title: str = "") -> Figure:
    """Draw the lengths of all bonds of a pair, both directions together.

    Above, the types are stacked. Below, each type has a panel of its own. Distances of nearest neighbours of
    the pair that are no bonds are drawn too.

    Args:
        study: Counts.
        pair: Two elements.
        title: Title of the figure.
    """
    counted = {
        name: study.histogram(pair, name, NEAREST if name == "no bond" else EVERY, both=True)
        for name in _ORDER
    }
    drawn = {name: counts for name, counts in counted.items() if counts.any()}
    all_edges = edges()
    starts = all_edges[:-1]
    share = np.cumsum(np.sum([*drawn.values(), np.zeros(len(starts))], axis=0))
    inside = np.flatnonzero((share > _TAIL * share[-1]) & (share <= (1 - _TAIL) * share[-1]))
    low, high = (starts[inside[0]], starts[inside[-1]] + STEP) if len(inside) else (starts[0], starts[-1])
    # Bins outside the drawn range would only make the files large.
    seen = slice(*np.searchsorted(all_edges, (low - 0.1, high + 0.1)))
    drawn_edges = all_edges[seen.start : seen.stop + 1]
    figure = new_figure(6.4, 2.6 + 0.95 * len(drawn), title)
    heights = [2.4, *[1] * len(drawn)]
    panels = figure.subplots(1 + len(drawn), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    below = np.zeros(len(drawn_edges) - 1)
    for axes, (name, counts) in zip(panels[1:], drawn.items(), strict=True):
        above = below + counts[seen]
        panels[0].stairs(above, drawn_edges, baseline=below, fill=True, color=COLOURS[name], label=name)
        below = above
        axes.stairs(counts[seen], drawn_edges, fill=True, color=GREY if name == "no bond" else COLOURS[name])
        middle = starts[np.searchsorted(np.cumsum(counts), counts.sum() / 2)] + STEP / 2
        axes.set_ylabel(name, fontsize=8)
        text = f"{thousands(int(counts.sum()))}, median {middle:.3f} Å"
        # The text stands on the side where there are fewer bars.
        x, side = (0.99, "right") if middle < (low + high) / 2 else (0.01, "left")
        axes.text(x, 0.86, text, transform=axes.transAxes, ha=side, va="top", fontsize=8)
    panels[0].set_ylabel("all")
    panels[0].legend(fontsize=8, loc="upper right")
    for axes in panels:
        light_grid(axes, "y")
        axes.set_xlim(low - 0.05, high + 0.05)
        axes.set_ylim(0, 1.25 * axes.dataLim.y1)
    panels[-1].set_xlabel(f"{pair} distance (Å), each bond seen from both ends")
    return figure
