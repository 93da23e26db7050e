"""What known crystals beside a network are worth, and how sure the figures of a model are.

    python benchmarks/isotypes.py DATASET MODEL... [--split val] [--inorganic materials-project]
        [--core 2019-FSR ...] [--share 0.5] [--draws 1000]

Each MODEL is a run folder, an ONNX file or the name of a bundled model. First table: blind, on all sites, on
those of inorganic corpora and on the lanthanides there; macro figures are over the elements with 20 sites.
Second: inorganic sites, each with the elements of all other sites of its crystal given, on a share of the
crystals chosen by the hash of their names. Third: how far macro figures go in as many crystals drawn with
replacement. Fourth: crystals of the core whose sites of one element are missed by the first three, where
they cost most; twenty elements. Last: how much an answer changes when the sites of an inorganic crystal are
put in another order, which tells nothing.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from datetime import date
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS, TWENTY, parse_elements
from atomsight.dataset import open_dataset
from atomsight.models import load_model
from atomsight.models.base import Model
from masked_site import COLUMNS, FEWEST, Batch, core_sites, print_row, restricted

LANTHANIDES = (39, *range(57, 72))
"""With yttrium, which is of their size."""

LEAST = 1e-9
"""Smaller probabilities count as this in the log loss."""


def ranks_of(
    answer: NDArray[np.floating], element: NDArray[np.integer], elements: tuple[int, ...]
) -> NDArray:
    """(n,) how many elements are thought more likely than the true one; 99 where it is not among them."""
    column = np.full(256, -1)
    column[list(elements)] = np.arange(len(elements))
    own = column[element]
    rank = (answer > answer[np.arange(len(own)), own][:, None]).sum(axis=1)
    return np.where(own < 0, 99, rank)


def log_loss(answer: NDArray[np.floating], element: NDArray[np.integer], elements: tuple[int, ...]) -> float:
    """Mean over the sites of elements that the model names."""
    known = np.isin(element, elements)
    own = answer[known, np.searchsorted(elements, element[known])]
    return float(-np.log(np.maximum(own, LEAST)).mean())


def macro(hit: NDArray[np.bool_], element: NDArray[np.integer], fewest: int = FEWEST) -> float:
    """Mean over the elements with so many sites of the share of theirs that is hit."""
    count = np.bincount(element, minlength=256)
    often = count >= fewest
    return float((np.bincount(element, hit, 256)[often] / count[often]).mean())


def interval(
    hit: NDArray[np.bool_],
    element: NDArray[np.integer],
    crystal: NDArray,
    fewest: int,
    target: float,
    draws: int,
) -> list[str]:
    """A macro figure, where 95 % of the draws of crystals lie, and the share of them that reach a target."""
    _, of = np.unique(crystal, return_inverse=True)
    sites, hits = np.zeros((2, of.max() + 1, 256))
    np.add.at(sites, (of, element), 1)
    np.add.at(hits, (of, element), hit)
    often = sites.sum(axis=0) >= fewest
    sites, hits = sites[:, often], hits[:, often]
    generator = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        times = np.bincount(generator.integers(0, len(sites), len(sites)), minlength=len(sites))
        total = times @ sites
        found.append(((times @ hits)[total > 0] / total[total > 0]).mean())
    low, high = np.quantile(found, [0.025, 0.975])
    reached = np.mean(np.array(found) >= target)
    value = macro(hit, element, fewest)
    return [f"{value:.4f}", f"{low:.3f} to {high:.3f}", f"{target:g}", f"{100 * reached:.0f} %"]


def given_others(model: Model, crystals: list[Batch]) -> list[str]:
    """Sites, how often the right element comes first and among three, log loss."""
    if not hasattr(model, "conditional_probabilities"):
        return ["", "", "", ""]
    answer = np.concatenate([model.conditional_probabilities(columns) for columns in crystals])
    element = np.concatenate([columns["element"] for columns in crystals])
    rank = ranks_of(answer, element, model.elements)
    return [
        f"{len(rank):,}",
        *(f"{(rank < most).mean():.3f}" for most in (1, 3)),
        f"{log_loss(answer, element, model.elements):.3f}",
    ]


def shuffled(columns: Batch, generator: np.random.Generator) -> tuple[Batch, NDArray[np.int64]]:
    """A crystal with its sites in another order: which of the old ones each is."""
    n = len(columns["site"])
    order = generator.permutation(n)
    new = np.argsort(order)
    taken = {name: values[order] for name, values in columns.items()}
    return taken | {"site": columns["site"], "neighbours": new[taken["neighbours"]]}, order


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--split", default="val", help="train, val or test")
    parser.add_argument("--inorganic", nargs="+", default=["materials-project"])
    parser.add_argument("--core", nargs="+", default=["2019-FSR", "2019-ASR", "2014"])
    parser.add_argument("--share", type=float, default=0.5, help="of the crystals of the second table")
    parser.add_argument("--draws", type=int, default=1000)
    given = parser.parse_args()
    dataset = open_dataset(given.dataset)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}; split {given.split}\n")
    batches = list(dataset.batches(COLUMNS, split=given.split, whole_crystals=True))
    inorganic = np.concatenate([core_sites(dataset, b, tuple(given.inorganic)) for b in batches])
    core = np.concatenate([core_sites(dataset, b, tuple(given.core)) for b in batches])
    element = np.concatenate([b["element"] for b in batches]).astype(np.int64)
    crystal = np.concatenate([np.asarray(b["crystal"]).astype(str) for b in batches])
    models = {name: load_model(name, threads=1) for name in given.models}
    answers = {
        name: np.concatenate([model.probabilities({c: b[c] for c in model.columns}) for b in batches])
        for name, model in models.items()
    }

    parts = {
        "all": np.ones(len(element), bool),
        "inorganic": inorganic,
        "lanthanides of inorganic": inorganic & np.isin(element, LANTHANIDES),
    }
    print_row(["model", "sites of", "sites", "accuracy", "macro", "top-3 macro", "top-3", "log loss"])
    print_row(["---"] * 8)
    for name, answer in answers.items():
        elements = models[name].elements
        for part, rows in parts.items():
            rank = ranks_of(answer[rows], element[rows], elements)
            macros = [f"{macro(rank < most, element[rows]):.3f}" for most in (1, 3)]
            loss = log_loss(answer[rows], element[rows], elements)
            shares = [f"{(rank < most).mean():.4f}" for most in (1, 3)]
            print_row([name, part, f"{rows.sum():,}", shares[0], *macros, shares[1], f"{loss:.4f}"])

    begins = np.flatnonzero(np.concatenate([b["site"] for b in batches]) == 0)
    ends = np.append(begins[1:], len(element))
    columns = {c: np.concatenate([b[c] for b in batches]) for c in COLUMNS if c != "crystal"}
    chosen = [
        {name: values[start:end] for name, values in columns.items()}
        for start, end in zip(begins.tolist(), ends.tolist(), strict=True)
        if inorganic[start] and crc32(crystal[start].encode()) % 1000 < 1000 * given.share
    ]
    print(f"\nGiven the elements of all other sites, {len(chosen)} inorganic crystals:\n")
    print_row(["model", "sites", "first", "among three", "log loss"])
    print_row(["---"] * 5)
    for name, model in models.items():
        print_row([name, *given_others(model, chosen)])

    twenty = parse_elements(TWENTY)
    among = core & np.isin(element, twenty)
    print(f"\n{given.draws:,} draws of as many crystals:\n")
    print_row(["model", "figure", "value", "95 % of the draws", "target", "reached in"])
    print_row(["---"] * 6)
    lost = {}
    for name, answer in answers.items():
        elements = models[name].elements
        few = ranks_of(restricted(answer[among], elements, twenty), element[among], twenty)
        every = ranks_of(answer, element, elements)
        lost[name] = few
        for figure, row in {
            "core, twenty, top-3 macro": (few < 3, element[among], crystal[among], 1, 0.97),
            "all, macro recall": (every < 1, element, crystal, FEWEST, 0.60),
            "all, top-3 macro": (every < 3, element, crystal, FEWEST, 0.80),
        }.items():
            print_row([name, figure, *interval(*row, given.draws)])

    print("\nWhat top-3 macro over the twenty elements of the core would gain by single crystals:\n")
    print_row(["model", "crystal", "element", "sites missed", "of", "gain"])
    print_row(["---"] * 6)
    count = Counter(element[among].tolist())
    for name, few in lost.items():
        missed = Counter(zip(crystal[among][few >= 3], element[among][few >= 3].tolist(), strict=True))
        gains = {key: sites / count[key[1]] / len(count) for key, sites in missed.items()}
        for key in sorted(gains, key=lambda key: -gains[key])[:4]:
            print_row(
                [name, key[0], SYMBOLS[key[1]], f"{missed[key]}", f"{count[key[1]]}", f"{gains[key]:.4f}"]
            )

    print("\nInorganic crystals with their sites in another order:\n")
    print_row(["model", "largest change of a probability", "sites that change by 0.001"])
    print_row(["---"] * 3)
    for name, model in models.items():
        generator = np.random.default_rng(0)
        changes = []
        for one in chosen:
            other, order = shuffled(one, generator)
            before, after = (model.probabilities({c: x[c] for c in model.columns}) for x in (one, other))
            changes.append(np.abs(after - before[order]).max(axis=1))
        change = np.concatenate(changes)
        print_row([name, f"{change.max():.4f}", f"{100 * (change > 1e-3).mean():.2f} %"])


if __name__ == "__main__":
    main()
