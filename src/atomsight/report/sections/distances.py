"""Distributions of neighbour distances: pairs and their peaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atomsight.core.wording import counted
from atomsight.report.components import Column, Html, Section, folded, join, picture, table, tag
from atomsight.report.inputs import Input, read_json

_PAIRS = (
    Column("pair", "pair", "text", "centre-neighbour"),
    Column("sites", "sites", "count"),
    Column("share", "of centre", "percent", "share of the centre's neighbours"),
    Column("median", "median, Å", "length"),
    Column("mean", "mean, Å", "length"),
    Column("peaks", "peaks", "count"),
)
_PEAKS = (
    Column("pair", "pair", "text", "centre-neighbour"),
    Column("position", "peak, Å", "length"),
    Column("width", "FWHM, Å", "length"),
    Column("share", "share", "percent", "of the pair, between the valleys"),
    Column("kind", "kind"),
)


def pair_tables(pairs: Sequence[dict[str, Any]], name: str) -> Html:
    """Tables of pairs and of their peaks, from what `PairSummary.as_dict` gives."""
    rows = [pair | {"peaks": len(pair["peaks"])} for pair in pairs]
    peaks = [peak | {"pair": pair["pair"]} for pair in pairs for peak in pair["peaks"]]
    return join(
        table(f"{name}-pairs", _PAIRS, rows, caption="Pairs of centre and neighbour, most frequent first"),
        table(f"{name}-peaks", _PEAKS, peaks, caption="Peaks"),
    )


def distances_section(given: Input, number: int) -> Section:
    """What ``atomsight distances --out`` wrote."""
    name, path = f"distances-{number}", given.path
    summary = read_json(path / "summary.json")
    drawn_pairs = sorted(
        found.with_suffix("") for found in path.glob("distances-*-*.png") if found.stem.count("-") == 2
    )
    place = {pair["pair"]: i for i, pair in enumerate(summary["pairs"])}
    drawn_pairs.sort(key=lambda found: place.get(found.name.removeprefix("distances-"), len(place)))
    single = [
        picture(found, f"{name}-pair{n}", f"Distances of {found.name.removeprefix('distances-')}")
        for n, found in enumerate(drawn_pairs)
    ]
    body = join(
        tag(
            "p",
            f"{summary['neighbour_text'].capitalize()} nearest neighbour; {summary['counted']:,} counted "
            f"({summary['weight']}), {summary['below_range'] + summary['above_range']:,} of them outside "
            f"{summary['range'][0]:g} to {summary['range'][1]:g} Å. Dataset {summary['dataset']}, split "
            f"{summary['split']}.",
        ),
        picture(path / "distances-overall", f"{name}-overall", "All pairs together and each centre element"),
        picture(
            path / "distances-pairs", f"{name}-matrix", "All ordered pairs of the most abundant elements"
        ),
        pair_tables(summary["pairs"], name),
        folded(f"{counted(len(single), 'pair')} drawn", tag("div", *single, class_="gallery"))
        if single
        else None,
    )
    return Section(name, "Distances", body, str(path))
