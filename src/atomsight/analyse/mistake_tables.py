"""The analysis of mistakes as rows and as CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.analyse.mistakes import MistakeAnalysis, PairOfElements
from atomsight.analyse.mistakes_traits import Trait
from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_csv


def telling_traits(analysis: MistakeAnalysis, pair: PairOfElements, most: int = 3) -> list[Trait]:
    """The traits of a pair that a reader should know first: at least a tenth of its sites have each, half as
    many again as of the right sites, and in no less than three groups of crystals (or in all, if fewer)."""
    return [
        t
        for t in analysis.traits
        if (t.true, t.predicted) == (pair.true, pair.predicted)
        and t.share_right is not None
        and t.share >= 0.1
        and t.share >= 1.5 * t.share_right
        and t.groups >= min(3, pair.groups)
    ][:most]


def pair_row(pair: PairOfElements) -> dict[str, Any]:
    """A pair with elements as symbols."""
    return pair._asdict() | {"true": SYMBOLS[pair.true], "predicted": SYMBOLS[pair.predicted]}


def trait_row(trait: Trait) -> dict[str, Any]:
    """A trait with elements as symbols, and its ratio."""
    symbols = {"true": SYMBOLS[trait.true], "predicted": SYMBOLS[trait.predicted]}
    return trait._asdict() | symbols | {"ratio": trait.ratio}


def site_row(analysis: MistakeAnalysis, i: int) -> dict[str, Any]:
    """One mistake with what is known of its site and its crystal."""
    table, columns, crystals = analysis.table, analysis.columns, analysis.crystals
    row = int(columns["crystal_row"][i])
    return {
        "crystal": str(table.crystal[i]),
        "site": int(table.site[i]),
        "label": str(table.label[i]),
        "true": SYMBOLS[table.true[i]],
        "predicted": SYMBOLS[table.predicted[i]],
        "probability": float(table.probability[i]),
        "probability_true": float(table.probability_true[i]),
        "coordination": int(columns["coordination"][i]),
        "nearest_neighbour": SYMBOLS[columns["nearest"][i]],
        "neighbours": str(columns["neighbours"][i]),
        **{
            name: None if np.isnan(columns[name][i]) else float(columns[name][i])
            for name in ("deviation_true", "deviation_predicted")
        },
        "formula": crystals["formula"][row],
        "group": crystals["group"][row],
        "flags": " ".join(crystals["flags"][row]),
        "source": crystals["source"][row],
    }


def write_mistakes(analysis: MistakeAnalysis, chosen: Sequence[PairOfElements], folder: Path) -> list[Path]:
    """Write ``pairs.csv``, ``traits.csv`` and ``sites.csv`` (a row per misclassified site, most confident
    first) of some pairs into a folder, which must exist; the paths written."""
    wanted = {(pair.true, pair.predicted) for pair in chosen}
    table = analysis.table
    places = (
        i
        for i, key in enumerate(zip(table.true.tolist(), table.predicted.tolist(), strict=True))
        if key in wanted
    )
    traits = (t for t in analysis.traits if (t.true, t.predicted) in wanted)
    _write(folder / "pairs.csv", map(pair_row, chosen))
    _write(folder / "traits.csv", map(trait_row, traits))
    _write(folder / "sites.csv", (site_row(analysis, i) for i in places))
    return [folder / name for name in ("pairs.csv", "traits.csv", "sites.csv")]


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    held = list(rows)
    write_csv(path, list(held[0]) if held else [], (row.values() for row in held), ".6g")
