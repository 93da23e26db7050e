from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.analyse import find_peaks
from atomsight.analyse.bond_types import RANGES, TOO_SHORT, bond_type
from atomsight.analyse.peaks import isj_bandwidth

EDGES = np.linspace(0, 4, 1601)
FWHM = 2 * np.sqrt(2 * np.log(2))


def histogram(samples: np.ndarray) -> np.ndarray:
    return np.histogram(samples, EDGES)[0]


def bell(rng: np.random.Generator, mean: float, sd: float, n: int) -> np.ndarray:
    return rng.normal(mean, sd, n)


def test_three_carbon_peaks_with_width_and_share() -> None:
    rng = np.random.default_rng(0)
    truth = [(1.20, 0.010, 1000), (1.39, 0.015, 46_000), (1.53, 0.015, 3000)]
    peaks = find_peaks(histogram(np.concatenate([bell(rng, *t) for t in truth])), EDGES)
    assert len(peaks) == 3
    for peak, (mean, sd, n) in zip(peaks, truth, strict=True):
        assert peak.position == pytest.approx(mean, abs=0.004)
        assert peak.share == pytest.approx(n / 50_000, abs=0.004)
        assert peak.fitted_share == pytest.approx(n / 50_000, abs=0.01)
        assert peak.width == pytest.approx(FWHM * sd, rel=0.15)
        assert peak.start < peak.position < peak.end
    assert sum(peak.share for peak in peaks) == pytest.approx(1)
    assert [bond_type(6, 6, peak.position) for peak in peaks] == ["triple", "double or aromatic", "single"]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_well_separated_peaks_are_all_found_and_no_other(data: st.DataObject, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps = data.draw(st.lists(st.floats(0.2, 0.6), min_size=count, max_size=count))
    means = 0.5 + np.cumsum(gaps)
    sds = data.draw(st.lists(st.floats(0.003, 0.025), min_size=count, max_size=count))
    sizes = data.draw(st.lists(st.integers(500, 20_000), min_size=count, max_size=count))
    parts = [bell(rng, mean, sd, n) for mean, sd, n in zip(means, sds, sizes, strict=True)]
    peaks = find_peaks(histogram(np.concatenate(parts)), EDGES)
    assert len(peaks) == count
    for peak, mean, n in zip(peaks, means, sizes, strict=True):
        assert peak.position == pytest.approx(mean, abs=0.015)
        assert peak.share == pytest.approx(n / sum(sizes), abs=0.01)


def test_overlapping_peaks_share_what_overlaps() -> None:
    rng = np.random.default_rng(1)
    samples = np.concatenate([bell(rng, 1.25, 0.02, 20_000), bell(rng, 1.34, 0.03, 10_000)])
    first, second = find_peaks(histogram(samples), EDGES)
    assert first.fitted_share == pytest.approx(2 / 3, abs=0.04)
    assert second.fitted_share == pytest.approx(1 / 3, abs=0.04)


def test_resolution_merges_what_is_closer() -> None:
    riding = np.repeat([0.930, 0.950, 0.970, 1.090], [5000, 4000, 3000, 4000])
    counts = histogram(riding + 1e-4)
    assert len(find_peaks(counts, EDGES, resolution=0.02)) == 2
    assert [round(p.position, 2) for p in find_peaks(counts, EDGES, resolution=0.003)] == [
        0.93,
        0.95,
        0.97,
        1.09,
    ]


@pytest.mark.parametrize("seed", range(20))
def test_counting_noise_is_no_peak(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert find_peaks(histogram(rng.uniform(0, 4, 3000)), EDGES) == []


def test_a_slope_cut_by_the_range_is_no_peak() -> None:
    rng = np.random.default_rng(2)
    peaks = find_peaks(
        histogram(np.concatenate([bell(rng, 1.5, 0.02, 5000), bell(rng, 4.2, 0.2, 50_000)])), EDGES
    )
    assert [round(peak.position, 1) for peak in peaks] == [1.5]


def test_a_small_share_is_left_out_and_given_to_its_neighbour() -> None:
    rng = np.random.default_rng(3)
    counts = histogram(np.concatenate([bell(rng, 1.4, 0.02, 100_000), bell(rng, 2.0, 0.01, 150)]))
    assert len(find_peaks(counts, EDGES)) == 1
    assert find_peaks(counts, EDGES)[0].share == 1
    assert len(find_peaks(counts, EDGES, least_share=0.001)) == 2


def test_nothing_has_no_peaks() -> None:
    assert find_peaks(np.zeros(1600, dtype=np.int64), EDGES) == []


def test_copies_of_few_observations_are_not_more_certain() -> None:
    rng = np.random.default_rng(4)
    counts = histogram(rng.normal(1.5, 0.1, 60))
    assert find_peaks(1000 * counts, EDGES, observations=60) == find_peaks(counts, EDGES)
    assert len(find_peaks(1000 * counts, EDGES)) > len(find_peaks(counts, EDGES))


@pytest.mark.parametrize("n", [1000, 100_000])
def test_bandwidth_of_a_bell_is_that_of_the_normal_rule(n: int) -> None:
    counts = histogram(np.random.default_rng(n).normal(2, 0.2, n))
    rule = 1.06 * 0.2 * n**-0.2  # Silverman 1986, exact for a normal distribution
    assert isj_bandwidth(counts, n) * 0.0025 == pytest.approx(rule, rel=0.25)


def test_kinds_do_not_overlap_and_do_not_depend_on_order() -> None:
    for kinds in RANGES.values():
        ends = [end for _, low, high in kinds for end in (low, high)]
        assert ends == sorted(ends)
    assert bond_type(6, 7, 1.15) == bond_type(7, 6, 1.15) == "triple"
    assert bond_type(6, 6, 1.44) is None
    assert bond_type(6, 6, 0.84) == TOO_SHORT
    assert bond_type(30, 8, 0.84) is None
