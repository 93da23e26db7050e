"""Common style of all figures: sizes, colours that colour-blind readers can tell apart, and saving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomsight.core.errors import InputError
from atomsight.core.files import whole

DASHED = (0, (4, 3))

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#8C8C8C", "#222222"
"""Blue and vermilion of the palette of Okabe and Ito (2008), which colour-blind readers tell apart."""

SEQUENTIAL = "Blues"
"""Colour map of a single hue. It is safe for colour-blind readers and in grey print."""

SUFFIXES = (".png", ".svg", ".pdf")

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "atomsight",
    "pdf.fonttype": 42,
}


@contextmanager
def look() -> Iterator[None]:
    """Apply this style while figures are drawn and saved, as a context or as a decorator."""
    with rc_context(_RC):
        yield


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of this size, inches, with a title at its upper left.

    It belongs to no window and no global state, so it needs no closing.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def light_grid(axes: Axes, axis: str) -> None:
    """Draw faint lines behind the data along one axis."""
    axes.grid(True, axis=axis, color="#E3E3E3", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def thousands(count: int) -> str:
    """Return a short text of a count: 940, 1.2k, 35k, 2.1M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 0.9995:
            value = count / size
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return str(count)


def save(figure: Figure, paths: Path | Sequence[Path], dpi: int = 200) -> None:
    """Write a figure as .png, .svg (text stays text) or .pdf, by the suffix of each path.

    The same data gives the same bytes, because no date is written.

    Raises:
        InputError: The suffix is another one.
        OutputError: The file cannot be written.
    """
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path.name}: figures are written as {', '.join(SUFFIXES)}")
        metadata = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix]
        with look(), whole(path) as place:
            figure.savefig(place, dpi=dpi, format=path.suffix[1:], metadata=metadata)


def save_both(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and as SVG.

    Args:
        figure: The figure.
        path: The files without their suffix.

    Raises:
        OutputError: A file cannot be written.
    """
    save(figure, [path.with_name(f"{path.name}{suffix}") for suffix in (".png", ".svg")])
