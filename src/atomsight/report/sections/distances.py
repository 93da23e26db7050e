"""Section about distributions of neighbour distances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomsight.core.wording import counted
from atomsight.report import components as ui
from atomsight.report.inputs import read_json

_PAIR = ui.Column("pair", hint="centre-neighbour")
_PAIRS = (
    _PAIR,
    ui.Column("sites", format="count"),
    ui.Column("share", "of centre", "percent", "share of the centre's neighbours"),
    ui.Column("median", "median, Å", "length"),
    ui.Column("mean", "mean, Å", "length"),
    *ui.count_columns("peaks"),
)
_PEAKS = (
    _PAIR,
    ui.Column("position", "peak, Å", "length"),
    ui.Column("width", "FWHM, Å", "length"),
    ui.Column("share", "share", "percent", "of the pair, between the minima on both sides"),
    ui.Column("kind", "bond type"),
)


def pair_tables(pairs: Sequence[dict[str, Any]], name: str) -> ui.Html:
    """Make the tables of pairs and of their peaks, from `PairSummary.as_dict`."""
    rows = [pair | {"peaks": len(pair["peaks"])} for pair in pairs]
    peaks = [peak | {"pair": pair["pair"]} for pair in pairs for peak in pair["peaks"]]
    return ui.join(
        ui.table(f"{name}-pairs", _PAIRS, rows, caption="Pairs of centre and neighbour, most frequent first"),
        ui.table(f"{name}-peaks", _PEAKS, peaks, caption="Peaks"),
    )


def distances_section(path: Path, number: int) -> ui.Section:
    """Make the section about a folder that ``atomsight distances --out`` wrote."""
    name = f"distances-{number}"
    summary = read_json(path / "summary.json")
    pairs = [pair["pair"] for pair in summary["pairs"]]
    shown = [pair for pair in pairs if (path / f"distances-{pair}.png").is_file()]
    single = [
        ui.picture(path / f"distances-{pair}", f"{name}-pair{n}", f"Distances of {pair}")
        for n, pair in enumerate(shown)
    ]
    low, high = summary["range"]
    return ui.section(
        name,
        "Distances",
        ui.tag(
            "p",
            f"{summary['neighbour_text'].capitalize()} nearest neighbour; {summary['counted']:,} counted "
            f"({summary['weight']}), {summary['below_range'] + summary['above_range']:,} of them outside "
            f"{low:g} to {high:g} Å. Dataset {summary['dataset']}, split {summary['split']}.",
        ),
        ui.picture(
            path / "distances-overall", f"{name}-overall", "All pairs together and each centre element"
        ),
        ui.picture(path / "distances-pairs", f"{name}-matrix", "All pairs of the most abundant elements"),
        pair_tables(summary["pairs"], name),
        ui.gallery(f"{counted(len(single), 'pair')} drawn", single),
        source=path,
    )
