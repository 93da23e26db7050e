"""Misclassified sites: pairs of elements, traits of a pair, and one site against the distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atomsight.analyse.mistakes import MistakeAnalysis, PairOfElements
from atomsight.analyse.peaks import smooth_counts
from atomsight.analyse.profiles import STEP, Profiles
from atomsight.analyse.site import OpenSite
from atomsight.core.elements import SYMBOLS
from atomsight.core.wording import counted
from atomsight.plots.style import BLUE, GREY, INK, ORANGE, light_grid, look, new_figure

PAIRS_DRAWN, TRAITS_DRAWN, RANKS_DRAWN = 20, 10, 12
_PALE_BLUE, _PALE_ORANGE = "#9CC7E3", "#F0B48F"


@look()
def mistaken_pairs_figure(pairs: Sequence[PairOfElements], *, title: str = "") -> Figure:
    """Draw the number of misclassified sites of the most frequent pairs (true, predicted).

    The narrow bars are sites in groups with more than one mistaken crystal, where one fault may count many
    times.
    """
    shown = list(pairs)[:PAIRS_DRAWN]
    figure = new_figure(5.6, 1.1 + 0.22 * len(shown), title)
    axes = figure.add_subplot()
    place = np.arange(len(shown))
    sites = np.array([pair.sites for pair in shown])
    repeated = np.array([pair.repeated for pair in shown]) * sites
    axes.barh(place, sites, color=_PALE_BLUE, label="mistaken sites")
    axes.barh(place, repeated, height=0.35, color=BLUE, label="in near duplicates")
    for y, pair in zip(place, shown, strict=True):
        text = f"{100 * pair.share_of_true:.0f} %, {counted(pair.crystals, 'crystal')}"
        axes.annotate(text, (pair.sites, y), (4, 0), textcoords="offset points", va="center", size=7)
    axes.set_yticks(place, [f"{SYMBOLS[pair.true]} → {SYMBOLS[pair.predicted]}" for pair in shown])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlim=(0, 1.28 * max(sites.max(initial=1), 1)))
    axes.set_xlabel("sites; next to the bars: share of the true element's sites")
    axes.legend(fontsize=7.5, loc="lower right")
    light_grid(axes, "x")
    return figure


@look()
def mistaken_pair_figure(analysis: MistakeAnalysis, pair: PairOfElements, *, title: str = "") -> Figure:
    """Draw traits and distances of the misclassified sites of one pair.

    Left: the share of the mistaken and of the right sites that have each trait. Right: the distances of both
    elements, and those of the mistaken sites.
    """
    true, predicted = SYMBOLS[pair.true], SYMBOLS[pair.predicted]
    traits = [t for t in analysis.traits if (t.true, t.predicted) == (pair.true, pair.predicted)]
    # Without a right site to compare with, the traits met most often are shown.
    gain = {t: t.share - (t.share_right or 0.0) for t in traits if max(t.share, t.share_right or 0) >= 0.02}
    shown = sorted(sorted(gain, key=lambda t: -abs(gain[t]))[:TRAITS_DRAWN], key=lambda t: -gain[t])
    places = f"{counted(pair.crystals, 'crystal')} of {counted(pair.groups, 'group')}"
    count = f"{counted(pair.sites, 'site')} in {places}"
    figure = new_figure(8.2, 3.6, f"{title or f'{true} taken for {predicted}'}: {count}")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    place = np.arange(len(shown))
    mistaken = 100 * np.array([t.share for t in shown])
    correct = 100 * np.array([np.nan if t.share_right is None else t.share_right for t in shown])
    left.hlines(place, mistaken, correct, color=GREY, lw=1)
    left.plot(correct, place, "o", color=BLUE, ms=5, label=f"{true} predicted rightly")
    left.plot(mistaken, place, "o", color=ORANGE, ms=5, label=f"{true} taken for {predicted}")
    left.set_yticks(place, [_plain(f"{t.trait}: {t.value} ({t.groups})") for t in shown], fontsize=7.5)
    left.tick_params(axis="y", length=0)
    left.set(xlim=(-3, 103), ylim=(len(shown) - 0.5, -0.5), xlabel="share of the sites (%)")
    left.set_title("Traits (groups of crystals)")
    left.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=2)
    light_grid(left, "x")
    _distances(right, analysis, pair)
    return figure


@look()
def site_figure(site: OpenSite, profiles: Profiles, predicted: int | None, *, title: str = "") -> Figure:
    """Draw each distance of a site with the distributions of that rank for two elements.

    The true element is on the left of each rank, the predicted one on the right. The symbols name the
    neighbours.
    """
    ranks = min(profiles.k, RANKS_DRAWN, len(site.distances))
    # An element without sites in the reference split has no distribution to draw.
    drawn = [z for z in (site.element, predicted) if z is not None and profiles.of(z).any()]
    longest = [float(profiles.quantile(z, 0.99)[ranks - 1]) for z in drawn]
    top = max(*longest, float(site.distances[ranks - 1]), 0.0) * 1.06
    shortest = [float(profiles.quantile(z, 0.01)[0]) for z in drawn]
    bottom = max(min(*shortest, float(site.distances[0]), top) - 0.3, 0.0)
    head = _plain(title or f"{site.crystal}: {site.label}")
    figure = new_figure(max(4.4, 0.6 * ranks + 1.2), 4.2, head)
    axes = figure.add_subplot()
    _violins(axes, profiles.of(site.element)[:ranks], -1, _PALE_BLUE, f"{SYMBOLS[site.element]} (true)")
    if predicted is not None:
        label = f"{SYMBOLS[predicted]} (predicted)"
        _violins(axes, profiles.of(predicted)[:ranks], 1, _PALE_ORANGE, label)
    for n in range(ranks):
        distance = float(site.distances[n])
        axes.plot([n + 0.58, n + 1.42], [distance] * 2, color=INK, lw=1.4)
        symbol = SYMBOLS[site.neighbour_elements[n]]
        axes.annotate(symbol, (n + 1, distance), (0, 2), textcoords="offset points", ha="center", size=8)
    axes.plot([], [], color=INK, lw=1.4, label=_plain(f"{site.label} of {site.crystal}"))
    axes.set(xlim=(0.4, ranks + 0.6), ylim=(bottom, top))
    axes.set_xticks(range(1, ranks + 1))
    axes.set(xlabel="n", ylabel="distance to the n-th neighbour (Å)")
    axes.legend(fontsize=7.5, loc="upper left")
    light_grid(axes, "y")
    return figure


def _plain(text: str) -> str:
    """Escape dollars, which would start a formula."""
    return text.replace("$", r"\$")


def _distances(axes: Axes, analysis: MistakeAnalysis, pair: PairOfElements) -> None:
    profiles = analysis.profiles
    n = np.arange(1, profiles.k + 1)
    for z, hue, name in ((pair.true, BLUE, "true"), (pair.predicted, ORANGE, "predicted")):
        low, middle, high = (profiles.quantile(z, share) for share in (0.25, 0.5, 0.75))
        axes.fill_between(n, low, high, color=hue, alpha=0.22, lw=0)
        axes.plot(n, middle, color=hue, lw=1.3, label=f"{SYMBOLS[z]} ({name})")
    low, middle, high = np.quantile(analysis.distances_of(pair), (0.25, 0.5, 0.75), axis=0)
    error = (middle - low, high - middle)
    axes.errorbar(n, middle, error, fmt="o", color=INK, ms=3.5, lw=1, label="the mistaken sites")
    axes.set(xlabel="n", ylabel="distance to the n-th neighbour (Å)", xlim=(0.5, profiles.k + 0.5))
    axes.set_xticks(n if profiles.k <= 14 else n[::2])
    axes.set_title("Distances (median, middle half)")
    axes.legend(fontsize=7.5, loc="lower right")
    light_grid(axes, "y")


def _violins(axes: Axes, counts: NDArray[np.int64], side: int, colour: str, label: str) -> None:
    """Draw half a violin per rank, on its left (side -1) or right (side 1)."""
    heights = (np.arange(counts.shape[1]) + 0.5) * STEP
    for rank, row in enumerate(counts):
        if row.sum() == 0:
            continue
        density = smooth_counts(row, 2.0)
        width = 0.42 * np.sqrt(density / density.max())
        name, edge = label if rank == 0 else None, rank + 1 + side * width
        shown = (width > 0.004).tolist()
        axes.fill_betweenx(heights, rank + 1, edge, where=shown, color=colour, lw=0, label=name)
