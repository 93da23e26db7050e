"""Calibration of the probabilities: the reliability diagram, and the accuracy by coverage."""

from __future__ import annotations

from matplotlib.figure import Figure

from atomsight.core.scores import BINS
from atomsight.evaluate.calibration import Calibration
from atomsight.plots.style import BLUE, DASHED, GREY, ORANGE, light_grid, look, new_figure

_LEAST_COVERAGE = 0.02
"""Coverage at which the curve begins. Below it, the accuracy is one of small numbers."""


@look()
def reliability_figure(calibration: Calibration, *, title: str = "") -> Figure:
    """Draw the reliability diagram, and the accuracy when only the most confident sites are answered.

    Left: accuracy against confidence in 15 equal bins, with the number of sites in each (Guo et al. 2017,
    arXiv:1706.04599). Right: accuracy by coverage.

    Args:
        calibration: Counts of at least one site.
        title: Title of the figure.
    """
    confidence, accuracy, _ = calibration.reliability()
    figure = new_figure(7.2, 3.9, title)
    grid = figure.add_gridspec(2, 2, height_ratios=[3.2, 1])
    curve = figure.add_subplot(grid[0, 0])
    histogram = figure.add_subplot(grid[1, 0], sharex=curve)
    coverage = figure.add_subplot(grid[:, 1])

    curve.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DASHED)
    curve.vlines(confidence, confidence, accuracy, color=ORANGE, linewidth=2)
    curve.plot(confidence, accuracy, "o-", color=BLUE, markersize=4, linewidth=1.2)
    error = calibration.expected_error()
    curve.text(0.03, 0.95, f"expected calibration error {100 * error:.1f} %", va="top", fontsize=8.5)
    curve.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    curve.tick_params(labelbottom=False)
    light_grid(curve, "both")

    share = calibration.count / calibration.count.sum()
    edges = [i / BINS for i in range(BINS)]
    histogram.bar(edges, 100 * share, width=1 / BINS, align="edge", color=BLUE, edgecolor="white")
    histogram.set(xlabel="confidence (probability of the first choice)", ylabel="% of sites")
    light_grid(histogram, "y")

    _, covered, reached = calibration.coverage_curve()
    shown = covered >= _LEAST_COVERAGE
    coverage.plot(100 * covered[shown], 100 * reached[shown], color=BLUE, linewidth=1.6)
    coverage.set(xlabel="% of sites answered, most confident first", ylabel="accuracy of the answers, %")
    coverage.set(xlim=(0, 100))
    light_grid(coverage, "both")
    best, threshold = calibration.coverage_at(0.99)
    if best > 0:
        coverage.plot([100 * best], [99], "o", color=ORANGE, markersize=5)
        coverage.axvline(100 * best, color=ORANGE, linewidth=1, linestyle=DASHED)
        text = f"99 % accurate on {100 * best:.0f} %\nof the sites: those with\nconfidence ≥ {threshold:.3f}"
        x, side = (best + 0.02, "left") if best < 0.45 else (best - 0.02, "right")
        coverage.text(x, 0.04, text, transform=coverage.transAxes, ha=side, fontsize=8.5)
    return figure
