"""Bonds among nearest neighbours: differences, shares by pair, and lengths by type."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from atomsight.analyse.bond_lengths import DIFFERENCE_STEP, EVERY, KINDS, NEAREST, STEP, BondStudy, edges
from atomsight.analyse.distances import Pair
from atomsight.core.elements import SYMBOLS
from atomsight.plots.style import BLUE, GREY, ORANGE, light_grid, look, new_figure, thousands

COLOURS = dict(
    zip(
        KINDS,
        ("#BBBBBB", BLUE, ORANGE, "#CC79A7", "#000000", "#E69F00", "#009E73", "#56B4E9", "#EFEFEF"),
        strict=True,
    )
)
"""Colours of the types, from the palette of Okabe and Ito (2008)."""

_TAIL = 0.0005
"""Share of the bonds on either side that may lie outside of the drawn range: a few in disordered crystals."""

_ORDER = (*(kind for kind in KINDS if kind not in ("unknown", "no bond")), "unknown", "no bond")


def difference_figure(study: BondStudy, *, title: str = "") -> Figure:
    """Left: histogram of the shortest bond less the nearest-neighbour distance, logarithmic. Right: its
    cumulative share, with the threshold.

    Args:
        study: with at least one bonded site.
        title: printed above.
    """
    counts = study.differences
    starts = np.arange(len(counts)) * DIFFERENCE_STEP
    share = np.cumsum(counts) / counts.sum()
    reached = study.within / study.bonded
    with look():
        figure = new_figure(7.2, 3.2)
        left, right = figure.subplots(1, 2)
        left.bar(starts, counts, width=DIFFERENCE_STEP, align="edge", color=BLUE)
        left.set(
            yscale="log", ylabel="sites", xlim=(-0.02, starts[-1] + 2 * DIFFERENCE_STEP), ylim=(0.7, None)
        )
        right.plot(starts + DIFFERENCE_STEP, share, drawstyle="steps-post", color=BLUE, linewidth=1.6)
        right.set(ylabel="sites at or below", xlim=(0, starts[-1]), ylim=(min(0.99, share[0] - 0.02), 1.002))
        right.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        for axes in (left, right):
            axes.axvline(study.threshold, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
            axes.set_xlabel("shortest bond less nearest distance (Å)")
            light_grid(axes, "y")
        text = f"{100 * reached:.2f} % of {thousands(study.bonded)} sites\nwithin {study.threshold:g} Å"
        right.text(0.97, 0.08, text, transform=right.transAxes, ha="right", fontsize=8.5)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def nearest_figure(study: BondStudy, *, most: int = 24, title: str = "") -> Figure:
    """A bar for each of the most frequent ordered pairs: which share of the nearest neighbours is bonded, by
    type.

    Args:
        study: with at least one site.
        most: pairs drawn.
        title: printed above.
    """
    pairs = list(study.pairs().items())[:most]
    with look():
        figure = new_figure(7.2, 0.9 + 0.2 * len(pairs))
        axes = figure.add_subplot()
        place = np.arange(len(pairs))
        left = np.zeros(len(pairs))
        for kind in _ORDER:
            share = np.array([100 * study.kinds(pair).get(kind, 0) / n for pair, n in pairs])
            if share.any():
                edge = GREY if kind == "no bond" else "none"
                axes.barh(
                    place, share, left=left, color=COLOURS[kind], edgecolor=edge, linewidth=0.4, label=kind
                )
                left += share
        for y, (pair, count) in zip(place, pairs, strict=True):
            total, bonded = study.nearest_bonded(pair)
            words = f"{100 * bonded / total:.1f} % of {thousands(count)}"
            axes.annotate(words, (100, y), (4, 0), textcoords="offset points", va="center", fontsize=7)
        axes.set_yticks(place, [str(pair) for pair, _ in pairs], fontsize=7.5)
        axes.set(xlim=(0, 100), ylim=(len(pairs) - 0.4, -0.6), xlabel="% of nearest neighbours")
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower center", ncols=5, fontsize=8)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def length_figure(study: BondStudy, pair: Pair, *, title: str = "") -> Figure:
    """Lengths of all bonds of a pair, both directions: stacked by type above, a panel for each type below.

    Distances of nearest neighbours of the pair that are no bonds are shown too.

    Args:
        study: counts.
        pair: two elements.
        title: printed above.
    """
    counted = {
        kind: study.histogram(pair, kind, NEAREST if kind == "no bond" else EVERY, both=True)
        for kind in _ORDER
    }
    drawn = {kind: counts for kind, counts in counted.items() if counts.any()}
    all_edges = edges()
    starts = all_edges[:-1]
    share = np.cumsum(np.sum([*drawn.values(), np.zeros(len(starts))], axis=0))
    inside = np.flatnonzero((share > _TAIL * share[-1]) & (share <= (1 - _TAIL) * share[-1]))
    low, high = (starts[inside[0]], starts[inside[-1]] + STEP) if len(inside) else (starts[0], starts[-1])
    seen = slice(*np.searchsorted(all_edges, (low - 0.1, high + 0.1)))  # the rest would only make files large
    drawn_edges = all_edges[seen.start : seen.stop + 1]
    name = f"{SYMBOLS[pair.centre or 0]}-{SYMBOLS[pair.neighbour or 0]}"
    with look():
        figure = new_figure(6.4, 2.6 + 0.95 * len(drawn))
        panels = figure.subplots(
            1 + len(drawn),
            1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [2.4, *[1] * len(drawn)]},
        )[:, 0]
        below = np.zeros(len(drawn_edges) - 1)
        for kind, counts in drawn.items():
            above = below + counts[seen]
            panels[0].stairs(above, drawn_edges, baseline=below, fill=True, color=COLOURS[kind], label=kind)
            below = above
        panels[0].set_ylabel("all")
        panels[0].legend(fontsize=8, loc="upper right")
        for axes, (kind, counts) in zip(panels[1:], drawn.items(), strict=True):
            colour = GREY if kind == "no bond" else COLOURS[kind]
            axes.stairs(counts[seen], drawn_edges, fill=True, color=colour)
            middle = starts[np.searchsorted(np.cumsum(counts), counts.sum() / 2)] + STEP / 2
            axes.set_ylabel(kind, fontsize=8)
            right = middle < (low + high) / 2  # beside the bars, not on them
            axes.text(
                *(0.99 if right else 0.01, 0.86, f"{thousands(int(counts.sum()))}, median {middle:.3f} Å"),
                transform=axes.transAxes,
                ha="right" if right else "left",
                va="top",
                fontsize=8,
            )
        for axes in panels:
            light_grid(axes, "y")
            axes.set_xlim(low - 0.05, high + 0.05)
            axes.set_ylim(0, 1.25 * axes.dataLim.y1)
        panels[-1].set_xlabel(f"{name} distance (Å), each bond seen from both ends")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure
