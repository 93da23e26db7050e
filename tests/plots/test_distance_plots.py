from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from atomsight.analyse import DistanceCounts, Ranks, summarise_pairs
from atomsight.analyse.mistakes import PairOfElements
from atomsight.analyse.profiles import Profiles
from atomsight.analyse.site import OpenSite
from atomsight.plots.distances import overall_figure, pair_figure, pair_matrix_figure
from atomsight.plots.mistakes import mistaken_pairs_figure, site_figure
from atomsight.plots.style import save

pytestmark = pytest.mark.filterwarnings("error")


def made_counts(ranks: Ranks = Ranks(1, 1), elements: tuple[int, ...] = (6, 1)) -> DistanceCounts:  # noqa: B008
    """Three peaks of C-C, one of each other pair, and some beyond the range."""
    rng = np.random.default_rng(0)
    rows = []
    for rank in range(ranks.first, ranks.last + 1):
        for centre in elements:
            for neighbour in elements:
                lengths = [rng.normal(1.39, 0.02, 5000), rng.normal(5, 0.1, 10)]
                if centre == neighbour == 6:
                    lengths += [rng.normal(1.2, 0.01, 200), rng.normal(1.53, 0.01, 300)]
                place = np.minimum(np.concatenate(lengths) / 0.0025, 1600).astype(int)
                bins, counts = np.unique(place, return_counts=True)
                rows += [(centre, neighbour, rank, b, n, 2 * n) for b, n in zip(bins, counts, strict=True)]
    names = ("centre", "neighbour", "rank", "bin", "sites", "atoms")
    kinds = (np.uint8, np.uint8, np.int32, np.int64, np.int64, np.int64)
    table = np.array(rows, dtype=list(zip(names, kinds, strict=True)))
    table.sort(order=list(names[:4]))
    return DistanceCounts(elements, ranks, 0.0, 4.0, 800, 2, table)


def words(figure: Figure) -> str:
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return " | ".join(found)


def test_a_pair_names_its_peaks(tmp_path: Path) -> None:
    counts = made_counts()
    summary = next(s for s in summarise_pairs(counts) if str(s.pair) == "C-C")
    figure = pair_figure(counts, summary, title="C-C of tests")
    save(figure, [tmp_path / "pair.png", tmp_path / "pair.svg"])
    said = words(figure)
    assert "triple" in said
    assert "double or aromatic" in said
    assert "1.530 Å" in said
    assert f"{5510:,} sites" in said
    assert figure.axes[1].get_yscale() == "log"
    assert figure.axes[0].get_xlim()[0] > 1.0
    assert figure.axes[1].get_xlim() == (0, 4)


def test_ranks_are_lines_of_their_own(tmp_path: Path) -> None:
    counts = made_counts(Ranks(1, 3))
    figure = pair_figure(counts, summarise_pairs(counts)[0])
    save(figure, tmp_path / "ranks.png")
    assert "n = 3" in words(figure)
    assert "1st to 3rd nearest" in words(figure)


def test_the_matrix_has_a_cell_for_each_ordered_pair_and_for_the_rest(tmp_path: Path) -> None:
    counts = made_counts()
    figure = pair_matrix_figure(counts, summarise_pairs(counts), title="pairs")
    save(figure, tmp_path / "matrix.png")
    assert len(figure.axes) == 6
    assert "none" in words(figure)  # no other neighbour
    assert "50 %" in words(figure)


def test_many_elements_are_cut_to_the_most_abundant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomsight.plots.distances.MATRIX_UP_TO", 3)
    figure = pair_matrix_figure(made_counts(elements=(1, 6, 7, 8, 9)), [], "atoms")
    assert len(figure.axes) == 3 * 4
    assert "C" in words(figure).split(" | ")


def test_overall_shows_all_and_each_centre(tmp_path: Path) -> None:
    figure = overall_figure(made_counts(), "atoms", title="overall")
    save(figure, tmp_path / "overall.png")
    assert "C (21k)" in words(figure)
    assert "atoms per 0.005 Å" in words(figure)


def test_a_site_beside_both_elements(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(-(((np.arange(1200) - 200) / 30.0) ** 2)) * 50, (2, 4, 1200))
    profiles = Profiles((6, 7), "train", counts)
    distances = np.array([1.9, 2.0, 2.1, 2.4], dtype=np.float32)
    near = np.array([1, 6, 6, 8], dtype=np.uint8)
    site = OpenSite("AAA", 0, "C1", 6, 1, "test", distances, near, "CH", "CH", (), "a.cif")
    figure = site_figure(site, profiles, 7)
    save(figure, tmp_path / "site.png")
    assert "N (predicted)" in words(figure)
    assert [t.get_text() for t in figure.axes[0].texts] == ["H", "C", "C", "O"]
    save(site_figure(site, profiles, None), tmp_path / "right.png")
    unheard = Profiles((6, 7), "train", np.zeros_like(counts))
    save(site_figure(site, unheard, 7), tmp_path / "unheard.png")


def test_mistaken_pairs(tmp_path: Path) -> None:
    pairs = [PairOfElements(13, 3, 50, 20, 10, 0.25, 0.5, "g", 9, 0.6, 0.1, 0.1, 0.9)]
    figure = mistaken_pairs_figure(pairs)
    save(figure, tmp_path / "pairs.png")
    assert "Al → Li" in words(figure)
    assert "25 %, 20 crystals" in words(figure)
