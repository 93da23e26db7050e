"""How often sites that look alike are of different elements: a ceiling for whatever sees only distances.

    python benchmarks/ceiling.py DATASET [--queries 20000]

Twins are the most similar sites of two different groups of crystals, by the largest difference of any of the
k distances. First the test split: for each k and each gap, the share of twins with different elements, and
the bounds of Cover and Hart on the least error for the sites that have a twin this near. Then, over all
splits, the pairs of elements whose twins are mixed as if by chance. No model is involved.
"""

from __future__ import annotations

import argparse
import platform
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.dataset import Dataset, open_dataset
from bayes_error import least_error, nearest_of_other_groups, pair_mixing
from masked_site import print_row

EDGES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Å, upper ends of the classes of gaps."""

LIGHT = (1, 6, 7, 8)
"""Left out of the pairs: they are most of the sites, and rarely the question."""


def sites_of(dataset: Dataset, split: str | None, k: int) -> dict[str, NDArray[Any]]:
    """Distances, elements, and the number of each site's group."""
    table = dataset.crystals(["crystal", "group"]).to_pydict()
    number = {name: i for i, name in enumerate(sorted(set(table["group"])))}
    group_of = {c: number[g] for c, g in zip(table["crystal"], table["group"], strict=True)}
    parts: list[dict[str, NDArray[Any]]] = []
    for batch in dataset.batches(("crystal", "element", "distances"), split=split):
        heavy = np.ones(len(batch["element"]), dtype=bool) if split else ~np.isin(batch["element"], LIGHT)
        group = np.fromiter((group_of[c] for c in batch["crystal"][heavy]), np.int64, int(heavy.sum()))
        distances = batch["distances"][heavy, :k]
        parts.append({"element": batch["element"][heavy], "distances": distances, "group": group})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def against_k(sites: dict[str, NDArray[Any]], ks: list[int], queries: NDArray[np.integer]) -> None:
    """Print disagreement and bounds against gap and k."""
    elements = len(np.unique(sites["element"]))
    print_row(["k", "gap up to, Å", "sites with such a twin", "different element", "least error", "crowded"])
    print_row(["---"] * 6)
    for k in ks:
        twins = nearest_of_other_groups(sites["distances"][:, :k], sites["group"], queries, EDGES[-1])
        differs = sites["element"][queries] != sites["element"][twins.site]
        for edge in EDGES:
            near = twins.gap <= edge
            if not near.any():
                continue
            error = float(differs[near].mean())
            lower, upper = least_error(error, elements)
            print_row(
                [
                    str(k),
                    f"{edge:g}",
                    f"{near.mean():.3f}",
                    f"{error:.4f}",
                    f"{lower:.4f} to {upper:.4f}",
                    f"{twins.crowded.mean():.3f}",
                ]
            )


def mixed_pairs(sites: dict[str, NDArray[Any]], k: int, reach: float, queries: NDArray[np.integer]) -> None:
    """Print the most mixed pairs of elements."""
    twins = nearest_of_other_groups(sites["distances"][:, :k], sites["group"], queries, reach)
    near = twins.site >= 0
    rows = pair_mixing(sites["element"][queries[near]], sites["element"][twins.site[near]])
    print(f"\nTwins within {reach} Å on {k} distances: {int(near.sum()):,} of {len(queries):,} sites.\n")
    print_row(["pair", "twins among both", "mixing"])
    print_row(["---"] * 3)
    for a, b, n, mixing in rows[:30]:
        print_row([f"{SYMBOLS[a]} {SYMBOLS[b]}", f"{n:,}", f"{mixing:.2f}"])
    chosen = [("Co", "Ni"), ("Co", "Zn"), ("Ni", "Zn"), ("Fe", "Co"), ("Zr", "Hf"), ("Cl", "Br"), ("Mo", "W")]
    print("\nOthers of interest:\n")
    by_pair = {frozenset((SYMBOLS[a], SYMBOLS[b])): (n, mixing) for a, b, n, mixing in rows}
    for pair in chosen:
        if frozenset(pair) in by_pair:
            n, mixing = by_pair[frozenset(pair)]
            print_row([" ".join(pair), f"{n:,}", f"{mixing:.2f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--queries", type=int, default=20_000, help="sites drawn at random to find twins for")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8, 12, 16, 24])
    parser.add_argument("--pairs-k", type=int, default=8)
    parser.add_argument("--pairs-reach", type=float, default=0.05)
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.dataset)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}\n")
    generator = np.random.default_rng(0)
    test = sites_of(dataset, "test", max(arguments.k))
    n = len(test["element"])
    against_k(test, arguments.k, generator.permutation(n)[: arguments.queries])
    every = sites_of(dataset, None, arguments.pairs_k)
    queries = generator.permutation(len(every["element"]))[: 4 * arguments.queries]
    mixed_pairs(every, arguments.pairs_k, arguments.pairs_reach, queries)


if __name__ == "__main__":
    main()
