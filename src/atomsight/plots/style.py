"""One look for every figure: sizes, colours that colour-blind readers can tell apart, and saving."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomsight.core.errors import InputError
from atomsight.core.files import whole

BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#8C8C8C", "#222222"
"""Blue and vermilion of the palette of Okabe and Ito (2008), which colour-blind readers tell apart."""

SEQUENTIAL = "Blues"
"""One hue, lightness alone carries the value: safe for the colour-blind and in grey print."""

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


def look() -> AbstractContextManager[None]:
    """A context in which figures are drawn and saved with this look."""
    return rc_context(_RC)


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure, inches. It belongs to no window and no global state, so it needs no closing."""
    return Figure(figsize=(width, height), layout="constrained", **options)


def light_grid(axes: Axes, axis: str) -> None:
    """Faint lines behind the data along one axis."""
    axes.grid(True, axis=axis, color="#E3E3E3", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def thousands(count: int) -> str:
    """A count short enough for a margin: 940, 1.2k, 35k, 2.1M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 0.9995:
            value = count / size
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return str(count)


def save(figure: Figure, paths: Path | Sequence[Path], dpi: int = 200) -> None:
    """Write a figure; the suffix of each path says the format: .png, .svg (text stays text) or .pdf.

    The same data gives the same bytes: no date is written.

    Raises:
        InputError: another suffix.
        OutputError: the file cannot be written.
    """
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path.name}: figures are written as {', '.join(SUFFIXES)}")
        metadata = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix]
        with look(), whole(path) as place:
            figure.savefig(place, dpi=dpi, format=path.suffix[1:], metadata=metadata)
