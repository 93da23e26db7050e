"""The analysis of mistakes as rows and as CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atomsight.analyse.mistakes import MistakeAnalysis, PairOfElements
from atomsight.analyse.mistakes_traits import Trait
from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_rows
from atomsight.core.scores import none_if_nan


def distinctive_traits(analysis: MistakeAnalysis, pair: PairOfElements, most: int = 3) -> list[Trait]:
    """Return the most distinctive traits of a pair.

    At least a tenth of the mistaken sites have each of them, 1.5 times the share of the right sites, in three
    or more groups of crystals (or in all, if there are fewer).
    """
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
    """Return a pair with elements as symbols."""
    return pair._asdict() | {"true": SYMBOLS[pair.true], "predicted": SYMBOLS[pair.predicted]}


def trait_row(trait: Trait) -> dict[str, Any]:
    """Return a trait with elements as symbols, and its ratio."""
    symbols = {"true": SYMBOLS[trait.true], "predicted": SYMBOLS[trait.predicted]}
    return trait._asdict() | symbols | {"ratio": trait.ratio}


def site_row(analysis: MistakeAnalysis, i: int) -> dict[str, Any]:
    """Return one mistake with the properties of its site and its crystal."""
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
        "deviation_true": none_if_nan(columns["deviation_true"][i]),
        "deviation_predicted": none_if_nan(columns["deviation_predicted"][i]),
        "formula": crystals["formula"][row],
        "group": crystals["group"][row],
        "flags": " ".join(crystals["flags"][row]),
        "source": crystals["source"][row],
    }


def write_mistakes(analysis: MistakeAnalysis, chosen: Sequence[PairOfElements], folder: Path) -> list[Path]:
    """Write ``pairs.csv``, ``traits.csv`` and ``sites.csv`` of some pairs.

    ``sites.csv`` has a row per misclassified site, most confident first.

    Returns:
        The paths of the files.
    """
    wanted = {(pair.true, pair.predicted) for pair in chosen}
    keys = zip(analysis.table.true.tolist(), analysis.table.predicted.tolist(), strict=True)
    tables = {
        "pairs": map(pair_row, chosen),
        "traits": (trait_row(t) for t in analysis.traits if (t.true, t.predicted) in wanted),
        "sites": (site_row(analysis, i) for i, key in enumerate(keys) if key in wanted),
    }
    for name, rows in tables.items():
        write_rows(folder / f"{name}.csv", rows, ".6g")
    return [folder / f"{name}.csv" for name in tables]
