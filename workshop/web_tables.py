"""Make the tables that the page shows if no dataset is named.

    python -m workshop.web_tables DATASET EVALUATION

Make them again for each new bundled model. The tables are: distances to the n-th neighbour of each element,
distances of each pair of elements, sites for comparison, and the confusion matrix on ``test`` with examples.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.core.errors import InputError
from atomsight.models.artefacts import fingerprint_of
from atomsight.models.load import DEFAULT, model_file
from atomsight.web.precedents import precedents_table
from atomsight.web.tables import FOLDER, RANKS, distances_table, profiles_table
from workshop.write_artefacts import write_artefacts

FEWEST = 50
"""Minimum number of sites of an element in the table of profiles."""

FEWEST_PAIRS = 150
"""Minimum number of sites of a pair of elements."""

EXAMPLES = 4
"""Maximum number of misclassified sites per pair of elements, the most confident first."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m workshop.web_tables", description=__doc__)
    parser.add_argument("dataset", type=Path, help="training dataset of the bundled model")
    parser.add_argument("evaluation", type=Path, help="output of evaluate on its test split")
    parser.add_argument("--bonds", type=Path, help="a dataset with bonds, for the lengths by bond type")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(arguments)
    from atomsight.dataset import open_dataset

    dataset = open_dataset(given.dataset)
    given.out.mkdir(parents=True, exist_ok=True)
    present = dataset.element_counts("train")
    chosen = [z for z, n in present.items() if n >= FEWEST]
    _write(given.out / "profiles.json.gz", profiles_table(dataset, chosen, split="train"))
    bonded = None if given.bonds is None else open_dataset(given.bonds)
    table = distances_table(dataset, chosen, split="train", fewest=FEWEST_PAIRS, bonded=bonded)
    _write(given.out / "distances.json.gz", table)
    _write(given.out / "precedents.json.gz", precedents_table(dataset, split="train"))
    fitted_with = {DEFAULT: fingerprint_of(model_file(DEFAULT))}
    confusion = {**confusion_table(dataset, given.evaluation), "fitted_with": fitted_with}
    _write(given.out / "confusion.json.gz", confusion)
    if given.out == FOLDER:
        write_artefacts()


def confusion_table(dataset: Any, evaluation: Path) -> dict[str, Any]:
    """Collect the confusion matrix of an evaluation, with examples of misclassified sites.

    Args:
        dataset: the dataset of the evaluation.
        evaluation: output folder of `evaluate`.

    Raises:
        InputError: the evaluation belongs to another dataset.
    """
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    if summary["dataset_fingerprint"] != dataset.fingerprint:
        raise InputError(f"{evaluation} is of another dataset than {dataset.path}")
    with (evaluation / "confusion.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["known"] == "yes"]
    elements = [row["true"] for row in rows]
    matrix = np.array([[int(row[symbol]) for symbol in elements] for row in rows])
    used = [j for j in range(len(elements)) if matrix[j].sum() or matrix[:, j].sum()]
    matrix, elements = matrix[np.ix_(used, used)], [elements[j] for j in used]
    kept: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with (evaluation / "mistakes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            held = kept.setdefault((row["true"], row["predicted"]), [])
            if len(held) < EXAMPLES:
                held.append(
                    {
                        "crystal": row["crystal"],
                        "site": int(row["site"]),
                        "label": row["label"],
                        "probability": round(float(row["probability"]), 4),
                        "probability_true": round(float(row["probability_true"]), 4),
                    }
                )
    wanted = {(e["crystal"], e["site"]): e for examples in kept.values() for e in examples}
    columns = ["crystal", "site", "distances", "neighbour_elements"]
    for batch in dataset.batches(columns, split=summary["split"]):
        for place, key in enumerate(zip(batch["crystal"].tolist(), batch["site"].tolist(), strict=True)):
            if key in wanted:
                wanted[key]["distances"] = [round(float(d), 3) for d in batch["distances"][place, :RANKS]]
                wanted[key]["around"] = [SYMBOLS[z] for z in batch["neighbour_elements"][place, :RANKS]]
    formulas = dataset.crystals(["crystal", "formula"]).to_pydict()
    formula = dict(zip(formulas["crystal"], formulas["formula"], strict=True))
    for example in wanted.values():
        example["formula"] = formula[example["crystal"]]
    cells = [[int(i), int(j), int(matrix[i, j])] for i, j in np.argwhere(matrix)]
    pairs = sorted(kept, key=lambda pair: [NUMBERS[symbol] for symbol in pair])
    facts = ("split", "crystals", "sites", "accuracy", "macro_recall", "top3_accuracy")
    return {
        **{name: summary[name] for name in facts},
        "elements": elements,
        "sites_of": matrix.sum(axis=1).tolist(),
        "cells": cells,
        "examples": [{"true": pair[0], "predicted": pair[1], "sites": kept[pair]} for pair in pairs],
    }


def _write(path: Path, table: dict[str, Any]) -> None:
    text = json.dumps(table, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
