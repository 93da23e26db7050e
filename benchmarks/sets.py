"""The sets of predictions: how often they hold the true element, and how large they are.

    python benchmarks/sets.py DATASET MODEL... [--split test] [--other DATASET]

The sets of the models as they are, and two other rules fitted to the same val split: one threshold for all
sites, and one for each true element. `--other` is a dataset that the models were not trained on; all of it
is judged. The standard error is that of sites which stand or fall with their group of crystals.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.scores import macro
from atomsight.dataset import Dataset, open_dataset
from atomsight.evaluate import metrics
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.conformal import COVERAGE, ENOUGH, SetRule
from masked_site import FEWEST, Batch, noisy, print_row, without_hydrogens
from set_counts import SetCounts

Floats = NDArray[np.floating]
Rule = Callable[[Floats], NDArray[np.bool_]]

COLUMNS = ("crystal", "site", "element", "distances", "neighbours", "neighbour_elements", "directions")

SHOWN = tuple("H C N O F Cl Br Fe Co Ni Cu Zn Zr Hf La Gd".split())


def answers(
    model: Model, dataset: Dataset, split: str | None, change: Callable[[Batch], Batch] = lambda b: b
) -> Iterator[tuple[Floats, NDArray[np.int64], NDArray[np.object_]]]:
    """Probabilities, true columns and names of crystals, of the sites whose element the model knows."""
    column_of = np.full(256, -1)
    column_of[list(model.elements)] = np.arange(len(model.elements))
    for batch in dataset.batches(COLUMNS, split=split, whole_crystals=True):
        changed = change(batch)
        truth = column_of[batch["element"]]
        known = truth >= 0
        if change is without_hydrogens:
            known &= batch["element"] != 1
        answer = model.probabilities({name: changed[name] for name in model.columns})
        yield answer[known], truth[known], batch["crystal"][known]


def lowest(own: Floats) -> float:
    """The threshold that all but a hundredth of these reach."""
    rank = int((len(own) + 1) * (1 - COVERAGE) + 1e-9)
    return float(np.partition(own, rank - 1)[rank - 1]) if rank else 0.0


def other_rules(model: Model, dataset: Dataset) -> dict[str, Rule]:
    """One threshold for all sites, and one for each true element (rare ones share theirs), from val."""
    parts = [(np.take_along_axis(p, y[:, None], 1)[:, 0], y) for p, y, _ in answers(model, dataset, "val")]
    own, truth = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    count = np.bincount(truth, minlength=len(model.elements))
    rare = count < ENOUGH
    everywhere = np.full(len(rare), lowest(own))
    each = np.full(len(rare), lowest(own[rare[truth]]))
    for column in np.flatnonzero(~rare):
        each[column] = lowest(own[truth == column])

    def rule(thresholds: Floats) -> Rule:
        def members(p: Floats) -> NDArray[np.bool_]:
            held = p >= thresholds
            held[np.arange(len(p)), p.argmax(axis=1)] = True
            return held

        return members

    return {"one threshold": rule(everywhere), "one for each true element": rule(each)}


def judge(
    label: list[str],
    model: Model,
    dataset: Dataset,
    split: str | None,
    rules: dict[str, Rule],
    **options: Callable,
) -> dict[str, SetCounts]:
    """Print a row for each rule."""
    table = dataset.crystals(["crystal", "group"]).to_pydict()
    group_of = dict(zip(table["crystal"], table["group"], strict=True))
    counts = {name: SetCounts(len(model.elements)) for name in rules}
    covered: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in rules}
    groups: list[str] = []
    for p, truth, crystal in answers(model, dataset, split, **options):
        groups += [group_of[name] for name in crystal]
        for name, rule in rules.items():
            members = rule(p)
            counts[name].add(members, truth)
            covered[name].append(members[np.arange(len(truth)), truth])
    _, cluster = np.unique(np.array(groups), return_inverse=True)
    for name, tally in counts.items():
        right = np.bincount(cluster, weights=np.concatenate(covered[name]))
        error = metrics.clustered_error(right, np.bincount(cluster))
        each, size = tally.by_element(FEWEST)
        low = np.argsort(each)[:4]
        print_row(
            [
                *label,
                name,
                f"{int(tally.sites.sum()):,}",
                f"{tally.coverage:.4f} ± {error:.4f}",
                f"{tally.macro_coverage(FEWEST):.3f}",
                ", ".join(f"{SYMBOLS[model.elements[i]]} {each[i]:.2f}" for i in low),
                f"{tally.mean_size:.2f}",
                f"{macro(size):.1f}",
                f"{tally.single_share:.3f}",
            ]
        )
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--other", action="append", default=[])
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.dataset)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}\n")
    head = ["sites", "coverage", "macro coverage", "least covered", "mean size", "macro size", "single"]
    print_row(["model", "judged on", "thresholds", *head])
    print_row(["---"] * (3 + len(head)))
    shown: dict[str, tuple[Model, SetCounts]] = {}
    for name in arguments.models:
        model = load_model(name, threads=1)
        assert isinstance(model.set_rule, SetRule), f"{name} has no thresholds"
        shipped = {"one for each first choice": model.set_rule.members}
        rules = shipped | other_rules(model, dataset)
        split = arguments.split
        shown[name] = model, judge([name, split], model, dataset, split, rules)["one for each first choice"]
        moved = {"noise 0.02 Å": lambda b: noisy(b, 0.02, 2), "without H": without_hydrogens}
        for condition, change in moved.items():
            judge([name, f"{split}, {condition}"], model, dataset, split, shipped, change=change)
        for path in arguments.other:
            judge([name, path.rstrip("/").split("/")[-1]], model, open_dataset(path), None, shipped)
    for name, (model, tally) in shown.items():
        each, size = tally.by_element(FEWEST)
        print(f"\n{name}, by true element:\n")
        print_row(["element", "sites", "coverage", "mean size"])
        print_row(["---"] * 4)
        for i, z in enumerate(model.elements):
            if SYMBOLS[z] in SHOWN and not np.isnan(each[i]):
                print_row([SYMBOLS[z], f"{tally.sites[i]:,}", f"{each[i]:.4f}", f"{size[i]:.2f}"])


if __name__ == "__main__":
    main()
