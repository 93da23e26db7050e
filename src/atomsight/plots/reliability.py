"""Whether a probability means what it says: the reliability diagram, and the accuracy by coverage."""

from __future__ import annotations

from matplotlib.figure import Figure

from atomsight.core.scores import BINS
from atomsight.evaluate.calibration import Calibration
from atomsight.plots.style import BLUE, GREY, ORANGE, light_grid, look, new_figure

_LEAST_COVERAGE = 0.02
"""The curve begins here: the accuracy of the few most confident sites is one of small numbers."""


def reliability_figure(calibration: Calibration, *, title: str = "") -> Figure:
    """Left: accuracy against confidence in 15 equal bins, with how many sites each holds (Guo et al. 2017,
    arXiv:1706.04599). Right: the accuracy that is reached when only the most confident share is answered.

    Args:
        calibration: counts of at least one site.
        title: printed above.
    """
    confidence, accuracy, _ = calibration.reliability()
    with look():
        figure = new_figure(7.2, 3.9)
        grid = figure.add_gridspec(2, 2, height_ratios=[3.2, 1])
        curve = figure.add_subplot(grid[0, 0])
        histogram = figure.add_subplot(grid[1, 0], sharex=curve)
        coverage = figure.add_subplot(grid[:, 1])

        curve.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
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
            coverage.axvline(100 * best, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
            text = (
                f"99 % accurate on {100 * best:.0f} %\nof the sites: those with\nconfidence ≥ {threshold:.3f}"
            )
            left = best < 0.45
            coverage.text(
                best + (0.02 if left else -0.02),
                0.04,
                text,
                transform=coverage.transAxes,
                ha="left" if left else "right",
                fontsize=8.5,
            )
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure
