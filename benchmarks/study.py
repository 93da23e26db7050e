"""Mistakes of two models on one test split, side by side: which pairs, where, and what goes with them.

    python benchmarks/study.py DATASET TWO_STAGE MASKED_SITE [--duplicates duplicates.csv] [--figures DIR]

``TWO_STAGE`` and ``MASKED_SITE`` are what ``atomsight evaluate RUN DATASET --out`` wrote about two models on
the same split of the dataset. Prints Markdown tables; with ``--figures`` draws the pairs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from atomsight import open_dataset
from atomsight.analyse.evaluation import MistakeTable, read_mistakes
from atomsight.analyse.mistake_tables import distinctive_traits
from atomsight.analyse.mistakes import MistakeAnalysis, analyse_mistakes
from atomsight.analyse.mistakes_duplicates import read_near_duplicates
from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.dataset import Dataset

PAIRS = 16


def numbers(symbols: str) -> frozenset[int]:
    return frozenset(NUMBERS[symbol] for symbol in symbols.split())


LIGHT = numbers("H C N O")
NON_METALS = LIGHT | numbers("F B Si P S Cl As Se Br Te I")
NEITHER = "a metal taken for a non-metal, or the reverse"
FAMILIES = {
    "H, C, N, O among themselves": LIGHT,
    "F with C, N, O": numbers("C N O F"),
    "other non-metals with these or each other": NON_METALS,
    "metals Sc to Zn among themselves": frozenset(range(21, 31)),
    "lanthanides among themselves": frozenset(range(57, 72)),
    "other metals among themselves": frozenset(range(3, 104)) - NON_METALS,
}
"""A mistake belongs to the first family that holds both elements, else to `NEITHER`."""


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def family(true: int, predicted: int) -> str:
    return next((name for name, held in FAMILIES.items() if {true, predicted} <= held), NEITHER)


def pair_table(models: Mapping[str, MistakeAnalysis]) -> str:
    counts = {name: {(p.true, p.predicted): p for p in a.pairs} for name, a in models.items()}
    total: Counter[tuple[int, int]] = Counter()
    for held in counts.values():
        total.update({key: pair.sites for key, pair in held.items()})
    last = list(models)[-1]
    rows = []
    for (true, predicted), _ in total.most_common(PAIRS):
        cells = [f"{SYMBOLS[true]} as {SYMBOLS[predicted]}"]
        for name in models:
            pair = counts[name].get((true, predicted))
            cells.append("" if pair is None else f"{pair.sites:,} ({100 * pair.share_of_true:.1f} %)")
        pair = counts[last].get((true, predicted))
        if pair is None:
            rows.append([*cells, "", "", ""])
            continue
        traits = distinctive_traits(models[last], pair, most=12)
        words = [
            f"{t.trait} {t.value} {100 * t.share:.0f} % ({100 * (t.share_right or 0):.0f} %)"
            for t in traits
            if t.trait not in ("source", "nearest neighbour")
        ]
        closer = "" if pair.closer_to_predicted is None else f"{100 * pair.closer_to_predicted:.0f} %"
        rows.append([*cells, f"{pair.groups}", closer, "; ".join(words[:3])])
    return markdown(["pair", *models, "groups", "closer", f"shared, {last} (right sites)"], rows)


def family_table(models: Mapping[str, MistakeAnalysis]) -> str:
    found = {
        name: Counter(family(int(t), int(p)) for t, p in zip(a.table.true, a.table.predicted, strict=True))
        for name, a in models.items()
    }
    names = [*FAMILIES, NEITHER]
    rows = [
        [kind, *(f"{found[m][kind]:,} ({100 * found[m][kind] / found[m].total():.0f} %)" for m in models)]
        for kind in names
    ]
    return markdown(["mistakes", *models], [*rows, ["all", *(f"{found[m].total():,}" for m in models)]])


def crystal_table(
    models: Mapping[str, MistakeAnalysis], dataset: Dataset, split: str, near: Mapping[str, set[str]]
) -> str:
    table = dataset.crystals(["crystal", "source", "flags", "split", "n_sites"]).to_pydict()
    rows_of = [i for i, part in enumerate(table["split"]) if split in (part, "all")]
    sites = np.array([table["n_sites"][i] for i in rows_of])
    wrong = {}
    for name, analysis in models.items():
        count = Counter(analysis.table.crystal.tolist())
        wrong[name] = np.array([count[table["crystal"][i]] for i in rows_of])

    def source(i: int) -> str:
        return str(table["source"][i]).split("::")[0].removesuffix(".tar.xz")

    sources = sorted({source(i) for i in rows_of})
    tests: dict[str, Callable[[int], bool]] = {
        f"from {name}": lambda i, name=name: source(i) == name for name in sources
    }
    flags = sorted({flag for i in rows_of for flag in table["flags"][i]} - {"from_p1", "has_hydrogen"})
    tests |= {f"flag {flag}": lambda i, flag=flag: flag in table["flags"][i] for flag in flags}
    tests["no hydrogen in the crystal"] = lambda i: "has_hydrogen" not in table["flags"][i]
    for kind in sorted(set().union(*near.values()) if near else ()):
        tests[f"near duplicate with {kind}"] = lambda i, kind=kind: kind in near.get(table["crystal"][i], ())
    tests["all"] = lambda i: True
    rows = []
    for words, test in tests.items():
        chosen = np.array([test(i) for i in rows_of])
        if chosen.any():
            shares = [f"{100 * wrong[m][chosen].sum() / sites[chosen].sum():.2f} %" for m in models]
            rows.append([words, f"{chosen.sum():,}", f"{sites[chosen].sum():,}", *shares])
    return markdown(["crystals", "number", "sites", *(f"{m} wrong" for m in models)], rows)


def spread(models: Mapping[str, MistakeAnalysis]) -> str:
    rows = []
    for name, analysis in models.items():
        table = analysis.table
        count = Counter(table.crystal.tolist())
        deviation = analysis.columns
        closer = float((deviation["deviation_predicted"] < deviation["deviation_true"]).mean())
        first, most = count.most_common(1)[0]
        top = sum(n for _, n in count.most_common(10))
        rows.append(
            [
                *(name, f"{len(table):,}", f"{len(count):,}", f"{first} ({most})"),
                f"{100 * top / len(table):.0f} %",
                *(f"{100 * closer:.0f} %", f"{100 * float((table.probability >= 0.99).mean()):.1f} %"),
            ]
        )
    header = [
        "model",
        "mistakes",
        "crystals",
        "most in one crystal",
        "in ten crystals",
        "closer",
        "given 99 %",
    ]
    return markdown(header, rows)


def overlap(first: MistakeTable, second: MistakeTable) -> str:
    answers = [
        dict(zip(zip(t.crystal, t.site.tolist(), strict=True), t.predicted.tolist(), strict=True))
        for t in (first, second)
    ]
    both = set(answers[0]) & set(answers[1])
    same = sum(answers[0][site] == answers[1][site] for site in both)
    return (
        f"Wrong in both: {len(both):,}, the same element in {same:,}; only the first: "
        f"{len(answers[0]) - len(both):,}; only the second: {len(answers[1]) - len(both):,}.\n"
    )


def draw(models: Mapping[str, MistakeAnalysis], folder: Path) -> None:
    from atomsight.plots.style import BLUE, light_grid, look, new_figure, save

    total: Counter[tuple[int, int]] = Counter()
    counts = {}
    for name, analysis in models.items():
        counts[name] = {(p.true, p.predicted): p.sites for p in analysis.pairs}
        total.update(counts[name])
    shown = [key for key, _ in total.most_common(20)]
    place = np.arange(len(shown))
    with look():
        figure = new_figure(6.2, 4.6)
        axes = figure.add_subplot()
        for (name, held), colour, offset in zip(counts.items(), ("#9CC7E3", BLUE), (-0.2, 0.2), strict=True):
            axes.barh(
                place + offset, [held.get(key, 0) for key in shown], height=0.4, color=colour, label=name
            )
        axes.set_yticks(place, [f"{SYMBOLS[t]} → {SYMBOLS[p]}" for t, p in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("misclassified sites of the test split")
        axes.legend()
        light_grid(axes, "x")
    folder.mkdir(parents=True, exist_ok=True)
    save(figure, folder / "study-mistakes.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("two_stage", type=Path)
    parser.add_argument("masked_site", type=Path)
    parser.add_argument("--duplicates", type=Path)
    parser.add_argument("--figures", type=Path)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset)
    near = read_near_duplicates(options.duplicates) if options.duplicates else {}
    tables = {
        name: read_mistakes(folder, dataset)
        for name, folder in (("two-stage", options.two_stage), ("masked-site", options.masked_site))
    }
    models = {name: analyse_mistakes(table, dataset, near or None) for name, table in tables.items()}
    print(spread(models))
    print(overlap(*tables.values()))
    print(family_table(models))
    print(pair_table(models))
    print(crystal_table(models, dataset, tables["two-stage"].split, near))
    if options.figures:
        draw(models, options.figures)


if __name__ == "__main__":
    main()
