"""Peaks of a distribution of distances: position, width and share.

1. The histogram is smoothed by a Gaussian kernel. Its bandwidth is chosen by the improved Sheather-Jones rule
   (Botev, Grotowski and Kroese 2010, 10.1214/10-AOS799), which works for distributions of many peaks. It is
   limited to the resolution that the caller chooses, and to five times that.
2. A local maximum is a peak if it exceeds the higher of the two minima next to it by a factor (the prominence
   of the logarithm, so that a small peak next to a large one is found) and by more than counting noise (the
   square root of a Poisson count has a standard deviation of 1/2: Anscombe 1948, 10.1093/biomet/35.3-4.246),
   and if it holds a minimum share of the counts.
3. The width at half height is that of the smoothed distribution less that of the kernel (in quadrature).
4. A mixture is fitted to the raw counts by expectation maximisation: one Student t component per peak (Peel
   and McLachlan 2000, 10.1023/A:1008981510081), with four degrees of freedom (Lange, Little and Taylor 1989,
   10.1080/01621459.1989.10478852) because the tails of these peaks are heavier than Gaussian, and a constant
   background between neighbouring minima. Its weights are the shares of overlapping peaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FREEDOM = 4.0
"""Degrees of freedom of the t components."""

_FWHM = 2 * np.sqrt(2 * np.log(2))
_T_FWHM = 2 * np.sqrt(FREEDOM * (2 ** (2 / (FREEDOM + 1)) - 1))
"""Full width at half maximum of a normal density of unit standard deviation, and of a t density of unit
scale."""

_STEPS = 300
"""Largest number of steps of the fit."""

_SIGNIFICANT = 5.0
"""Standard deviations by which a peak must exceed the minimum next to it."""


@dataclass(frozen=True)
class Peak:
    """One peak of a distribution.

    Attributes:
        position: Maximum of the smoothed distribution, Å.
        width: Full width at half maximum, Å: of the smoothed distribution less the kernel's, or of the fitted
            component where the minima on both sides are above half the height.
        share: Share of the counts in the range that lie between ``start`` and ``end``. The shares of all
            peaks sum to 1.
        start, end: The minima on both sides, or the ends of the range, Å.
        fitted_share: Weight of the fitted component. It is less than ``share`` by the constant background,
            and more where the peak overlaps its neighbours.
    """

    position: float
    width: float
    share: float
    start: float
    end: float
    fitted_share: float


def find_peaks(
    counts: Ints,
    edges: Floats,
    *,
    resolution: float = 0.01,
    depth: float = 0.2,
    least_share: float = 0.002,
    observations: float | None = None,
) -> list[Peak]:
    """Find the peaks of a histogram, by position.

    Args:
        counts: (n,) counts.
        edges: (n + 1,) edges of bins of equal width, Å. Bins of 0.0025 Å or less do not limit the resolution.
        resolution: Smallest standard deviation of the kernel, Å. Two narrow peaks closer than about twice
            this are one.
        depth: A peak is kept if a minimum on each side is below it by at least this share of its height.
        least_share: A peak is kept if it holds at least this share of the counts.
        observations: Number of independent observations if the counts are weighted; by default their sum.
    """
    total = counts.sum()
    if total == 0:
        return []
    width = float(edges[1] - edges[0])
    centres = (edges[:-1] + edges[1:]) / 2
    n = float(total if observations is None else observations)
    bandwidth = float(np.clip(isj_bandwidth(counts, n) * width, resolution, 5 * resolution))
    smooth = smooth_counts(counts * (n / total), bandwidth / width)
    modes = _modes(smooth, bandwidth / width, depth)
    while True:
        bounds = _valleys(smooth, modes)
        counted = np.add.reduceat(counts, bounds[:-1]) / total if len(modes) else np.zeros(0)
        if not len(modes) or counted.min() >= least_share:
            break
        modes = np.delete(modes, counted.argmin())
    if not len(modes):
        return []
    positions = np.array([_summit(smooth, i, centres, width) for i in modes])
    scales, fitted = _fit(counts, centres, positions, edges[bounds], counted, width)
    widths = _T_FWHM * scales
    for j, i in enumerate(modes):
        across = _across(smooth[bounds[j] : bounds[j + 1]], i - bounds[j])
        if across is not None:
            widths[j] = np.sqrt(max((across * width) ** 2 - (_FWHM * bandwidth) ** 2, width**2))
    columns = (positions, widths, counted, edges[bounds[:-1]], edges[bounds[1:]], fitted)
    return [Peak(*(float(value) for value in values)) for values in zip(*columns, strict=True)]


def smooth_counts(counts: NDArray[np.floating] | Ints, sigma: float) -> Floats:
    """Smooth counts per bin by a Gaussian kernel of standard deviation ``sigma`` bins.

    The kernel is reflected at the ends, so that a slope at the end of the range gives no false maximum.
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(np.asarray(counts, dtype=np.float64), sigma, mode="reflect")
    return np.asarray(smooth, dtype=np.float64)


def isj_bandwidth(counts: Ints, observations: float) -> float:
    """Return the bandwidth of a Gaussian kernel, in bins, by the improved Sheather-Jones rule.

    The fixed point of Botev et al. (2010) is solved on the cosine transform of the histogram. The bandwidth
    is 0 where there is no fixed point because of too few observations.
    """
    from scipy.fft import dct
    from scipy.optimize import brentq

    n_bins = len(counts)
    transform = dct(counts / counts.sum(), norm=None)[1:] / 2
    squared_index = np.arange(1, n_bins, dtype=np.float64) ** 2
    squares = transform**2

    def roughness(order: int, time: float) -> float:
        decay = np.exp(-squared_index * np.pi**2 * time)
        return float(2 * np.pi ** (2 * order) * (squared_index**order * squares * decay).sum())

    def fixed_point(time: float) -> float:
        norm = roughness(7, time)
        for order in range(6, 1, -1):
            if norm <= 0:
                return -1.0
            odd = float(np.prod(np.arange(1, 2 * order, 2)))
            constant = (1 + 0.5 ** (order + 0.5)) / 3
            step = (2 * constant * odd / (observations * np.sqrt(np.pi / 2) * norm)) ** (2 / (3 + 2 * order))
            norm = roughness(order, step)
        return time - (2 * observations * np.sqrt(np.pi) * norm) ** (-2 / 5) if norm > 0 else -1.0

    least, most = 1e-9, 0.1
    if fixed_point(least) >= 0 or fixed_point(most) <= 0:
        return 0.0
    return float(np.sqrt(brentq(fixed_point, least, most)) * n_bins)


def _modes(smooth: Floats, sigma: float, depth: float) -> Ints:
    """Return the bins of the maxima that exceed the minima next to them by depth and beyond noise."""
    from scipy.signal import find_peaks as maxima

    window = sigma * np.sqrt(4 * np.pi)  # bins that a Gaussian kernel averages over, as far as noise goes
    level = np.log(smooth + 1 / window)
    modes, found = maxima(level, prominence=-np.log1p(-depth))
    summits, valleys = np.exp(level[modes]), np.exp(level[modes] - found["prominences"])
    # Each root has a standard deviation of 1/2, their difference one of 1/√2.
    excess = np.sqrt(2) * (np.sqrt(summits * window) - np.sqrt(valleys * window))
    return np.asarray(modes[excess >= _SIGNIFICANT], dtype=np.int64)


def _valleys(smooth: Floats, modes: Ints) -> Ints:
    """Return the (modes + 1,) first bins of the ranges of the peaks, and the number of bins."""
    between = [int(a + np.argmin(smooth[a:b])) for a, b in pairwise(modes)]
    return np.array([0, *between, len(smooth)])


def _summit(smooth: Floats, i: int, centres: Floats, width: float) -> float:
    """Return the maximum of the parabola through a maximum and its two neighbours."""
    left, top, right = smooth[i - 1], smooth[i], smooth[i + 1]
    bend = left - 2 * top + right
    return float(centres[i] + (width * (left - right) / (2 * bend) if bend < 0 else 0.0))


def _across(smooth: Floats, i: int) -> float | None:
    """Return the full width in bins at half the height of the maximum i.

    It is twice the half width where only one side falls that low, and None where neither does.
    """
    halves = []
    for flank in (smooth[i::-1], smooth[i:]):
        low = np.flatnonzero(flank < smooth[i] / 2)
        if len(low):
            n = int(low[0])
            halves.append(n - 1 + (flank[n - 1] - smooth[i] / 2) / (flank[n - 1] - flank[n]))
    return 2 * float(np.mean(halves)) if halves else None


def _fit(
    counts: Ints, centres: Floats, positions: Floats, bounds: Floats, counted: Floats, width: float
) -> tuple[Floats, Floats]:
    """Fit the scales and weights of the t components.

    Each component stays between the minima next to it, and its half width ends at the nearer minimum.
    """
    used = np.flatnonzero(counts)
    x, c = centres[used, None], counts[used, None] / counts.sum()
    lower, upper = bounds[:-1], bounds[1:]
    flat = ((x >= lower) & (x < upper)) / (upper - lower)
    widest = np.maximum(2 * np.minimum(positions - lower, upper - positions) / _T_FWHM, width)
    location, scale = positions.copy(), np.minimum(4 * width, widest)
    weight, background = 0.95 * counted, 0.05 * counted
    for _ in range(_STEPS):
        # The density of t with four degrees of freedom: 3/8 (1 + t²/4)^(-5/2) / scale.
        spread = FREEDOM + ((x - location) / scale) ** 2
        density = weight * 0.375 * (spread / FREEDOM) ** (-(FREEDOM + 1) / 2) / scale
        level = background * flat
        whole = density.sum(axis=1, keepdims=True) + level.sum(axis=1, keepdims=True)
        member = c * density / whole
        pull = member * (FREEDOM + 1) / spread
        mass = np.maximum(pull.sum(axis=0), 1e-12)
        location = np.clip((pull * x).sum(axis=0) / mass, lower, upper)
        before, weight = weight, member.sum(axis=0)
        variance = (pull * (x - location) ** 2).sum(axis=0) / np.maximum(weight, 1e-12)
        scale = np.clip(np.sqrt(variance), width / 4, widest)
        background = (c * level / whole).sum(axis=0)
        if np.abs(weight - before).max() < 1e-7:
            break
    return scale, weight
