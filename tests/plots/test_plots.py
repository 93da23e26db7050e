from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from atomsight.core.errors import InputError
from atomsight.evaluate import Calibration, normalise_rows
from atomsight.plots import confusion_figure, recall_figure, reliability_figure, save
from atomsight.plots.confusion import by_atomic_number
from atomsight.plots.style import new_figure, save_both, thousands

MATRIX = np.array([[80, 20, 0], [1, 9, 0], [0, 300, 700]])
ELEMENTS = (8, 1, 6)  # not in the order of the atomic number


def texts(figure: Figure, axes: int) -> list[str]:
    return [text.get_text() for text in figure.axes[axes].texts]


def labels(figure: Figure, axes: int, axis: str) -> list[str]:
    ax = figure.axes[axes]
    return [t.get_text() for t in (ax.get_xticklabels() if axis == "x" else ax.get_yticklabels())]


def random_matrix(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    return rng.integers(0, 5, (n, n)) + np.diag(rng.integers(0, 5000, n))


def calibration() -> Calibration:
    rng = np.random.default_rng(0)
    confidence = 1 - rng.random(5000) ** 3 * 0.9
    filled = Calibration()
    filled.add(confidence, rng.random(5000) < confidence)
    return filled


def test_confusion_orders_by_atomic_number_and_shows_recall() -> None:
    figure = confusion_figure(MATRIX, ELEMENTS, title="two elements")
    assert labels(figure, 0, "x") == labels(figure, 0, "y") == ["H", "C", "O"]
    # H: 9 of 10 right, 1 taken for O. C: 700 of 1000, 300 taken for H. O: 80 of 100, 20 taken for H.
    assert texts(figure, 0) == ["90", "9", "10", "1", "30", "300", "70", "700", "20", "20", "80", "80"]
    assert texts(figure, 1)[:3] == ["90", "70", "80"]
    assert texts(figure, 2) == [f"{100 * 9 / 329:.0f}", "100", f"{100 * 80 / 81:.0f}"]
    assert labels(figure, 1, "y") == ["10", "1.0k", "100"]
    headline = [text.get_text() for text in figure.texts]
    assert headline == ["two elements", "accuracy 71.1 %, macro recall 80.0 %, 1,110 sites, 3 elements"]


def test_confusion_leaves_out_elements_that_play_no_part() -> None:
    matrix = np.zeros((4, 4), dtype=int)
    matrix[0, 0], matrix[0, 2] = 5, 5  # class 2 never occurs but is predicted: it stays
    figure = confusion_figure(matrix, (1, 6, 7, 8))
    assert labels(figure, 0, "x") == ["H", "N"]


@pytest.mark.parametrize(("n", "shares", "counts"), [(4, True, True), (20, True, False), (90, False, False)])
def test_cell_text_goes_when_it_could_not_be_read(n: int, shares: bool, counts: bool) -> None:
    figure = confusion_figure(random_matrix(n), range(1, n + 1))
    written, shown = len(texts(figure, 0)), np.count_nonzero(normalise_rows(random_matrix(n)) >= 0.005)
    assert written == (shown if shares else 0) * (2 if counts else 1)
    assert max(figure.get_size_inches()) < 14


def test_cells_are_square_and_margins_in_line() -> None:
    figure = confusion_figure(random_matrix(7), range(1, 8))
    width, height = figure.get_size_inches()
    main, recall, precision = (figure.axes[i].get_position() for i in range(3))
    assert main.width * width == pytest.approx(main.height * height)
    assert (recall.y0, recall.height) == pytest.approx((main.y0, main.height))
    assert (precision.x0, precision.width) == pytest.approx((main.x0, main.width))


def test_recall_is_sorted_best_first_and_wraps() -> None:
    figure = recall_figure(MATRIX, ELEMENTS)
    assert labels(figure, 0, "x") == ["H", "O", "C"]
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([90, 80, 70])
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([100 * 9 / 329, 100 * 80 / 81, 100])
    assert len(recall_figure(random_matrix(90), range(1, 91)).axes) == 2


def test_recall_leaves_out_elements_without_sites() -> None:
    figure = recall_figure(np.array([[3, 1], [0, 0]]), (6, 8))
    assert labels(figure, 0, "x") == ["C"]


def test_reliability_draws_what_was_counted() -> None:
    filled = calibration()
    figure = reliability_figure(filled)
    confidence, accuracy, _ = filled.reliability()
    curve = figure.axes[0].lines[1]
    assert curve.get_xdata() == pytest.approx(confidence)
    assert curve.get_ydata() == pytest.approx(accuracy)
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == pytest.approx(100)
    assert any("99 % accurate" in text for text in texts(figure, 2))


def test_reliability_of_a_model_never_99_per_cent_accurate() -> None:
    filled = Calibration()
    filled.add(np.full(100, 0.5), np.arange(100) % 2 == 0)
    assert texts(reliability_figure(filled), 2) == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_data_same_bytes(suffix: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}{suffix}" for i in range(2)]
    for path in paths:
        save(confusion_figure(MATRIX, ELEMENTS), path, dpi=60)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 1000


def test_text_of_an_svg_stays_text(tmp_path: Path) -> None:
    save(confusion_figure(MATRIX, ELEMENTS), tmp_path / "a.svg")
    assert "predicted element" in (tmp_path / "a.svg").read_text()


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.bmp: figures are written as \.png, \.svg, \.pdf"):
        save(recall_figure(MATRIX, ELEMENTS), tmp_path / "a.bmp")


def test_the_users_own_settings_are_left_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    confusion_figure(MATRIX, ELEMENTS)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (9949, "9.9k"),
        (9960, "10k"),
        (34_567, "35k"),
        (2_100_000, "2.1M"),
    ],
)
def test_counts_are_short(count: int, text: str) -> None:
    assert thousands(count) == text


def test_matrices_are_ordered_together() -> None:
    matrices = np.zeros((2, 3, 3), dtype=np.int64)
    matrices[0, 0, 0], matrices[1, 2, 0] = 5, 3
    counts, symbols = by_atomic_number(matrices, [8, 7, 6])
    assert symbols == ["C", "O"]
    assert counts.tolist() == [[[0, 0], [0, 5]], [[0, 3], [0, 0]]]


def test_a_figure_is_saved_as_png_and_svg(tmp_path: Path) -> None:
    assert new_figure(2, 1).get_suptitle() == ""
    figure = new_figure(2, 1, "Version 1.5")
    save_both(figure, tmp_path / "figure.1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.1.png", "figure.1.svg"]
    assert "Version 1.5" in (tmp_path / "figure.1.svg").read_text(encoding="utf-8")
