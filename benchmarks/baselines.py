"""Gradient-boosted trees and the two-stage network on distances: what they reach, and what leakage is worth.

    pip install lightgbm
    python benchmarks/baselines.py DATASET [--k 10 16] [--methods lightgbm two-stage] [--splits groups atoms]

`groups` is the dataset's own split, where crystals that share a formula or a family stand together. `atoms`
deals the same sites at random into parts of the same sizes, as studies did that counted every site as an
independent sample; its row `atoms, all` is judged on all sites, those of the training included. Sites and
answers are the twenty elements of the founding study. Trees (Ke et al. 2017, LightGBM) are stopped early on
val, at the least log loss; nothing is chosen on test.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS, TWENTY, parse_elements
from atomsight.dataset import Dataset, open_dataset
from atomsight.training import Hardware, Settings, train_model
from masked_site import HEAD, Tally, print_row

PARTS = ("train", "val", "test")

FEWEST = 20
"""Elements with fewer sites are in no macro figure."""

Sites = dict[str, NDArray[Any]]


class AtomLevel(Dataset):
    """A dataset whose sites are dealt at random into splits; held in memory."""

    def __init__(self, dataset: Dataset, parts: dict[str, Sites]) -> None:
        super().__init__(dataset.path, {**dataset.metadata, "fingerprint": "atoms dealt at random"})
        self._parts = parts

    def element_counts(self, split: str | None = None) -> dict[int, int]:
        """Sites of each element, most abundant first."""
        return dict(Counter(self._parts[split or "train"]["element"].tolist()).most_common())

    def batches(self, columns: Sequence[str], **options: Any) -> Iterator[Sites]:
        """Batches of a part, shuffled where asked for."""
        part = self._parts[options["split"]]
        n = len(part["element"])
        shuffle = options.get("shuffle")
        order = np.arange(n) if shuffle is None else np.random.default_rng(shuffle).permutation(n)
        for start in range(0, n, options["batch_size"]):
            rows = order[start : start + options["batch_size"]]
            yield {name: part[name][rows] for name in columns}


def sites_of(dataset: Dataset, split: str, elements: tuple[int, ...]) -> Sites:
    """Distances and elements of a split."""
    pieces = list(dataset.batches(("distances", "element"), split=split, elements=elements))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def dealt(parts: dict[str, Sites], seed: int) -> dict[str, Sites]:
    """The same sites, dealt at random into parts of the same sizes."""
    whole = {name: np.concatenate([parts[p][name] for p in PARTS]) for name in ("distances", "element")}
    order = np.random.default_rng(seed).permutation(len(whole["element"]))
    cuts = np.cumsum([len(parts[p]["element"]) for p in PARTS])[:-1]
    rows = dict(zip(PARTS, np.split(order, cuts), strict=True))
    return {p: {name: whole[name][rows[p]] for name in whole} for p in PARTS}


def trees(parts: dict[str, Sites], k: int, elements: tuple[int, ...], options: argparse.Namespace) -> Any:
    """Train LightGBM; gives a function from sites to probabilities, and a note on the training."""
    import lightgbm

    def table(part: Sites, reference: Any = None) -> Any:
        target = np.searchsorted(elements, part["element"])
        return lightgbm.Dataset(part["distances"][:, :k], target, reference=reference)

    train = table(parts["train"])
    settings = {
        "objective": "multiclass",
        "num_class": len(elements),
        "learning_rate": options.learning_rate,
        "num_leaves": options.leaves,
        "min_data_in_leaf": 20,
        "min_sum_hessian_in_leaf": 5.0,
        "lambda_l2": options.l2,
        "num_threads": 1,
        "seed": options.seed,
        "verbose": -1,
    }
    begun = time.process_time()

    def out_of_time(environment: Any) -> None:
        if time.process_time() - begun > options.seconds:
            raise lightgbm.callback.EarlyStopException(
                environment.iteration, environment.evaluation_result_list
            )

    booster = lightgbm.train(
        settings,
        train,
        options.rounds,
        valid_sets=[table(parts["val"], train)],
        callbacks=[lightgbm.early_stopping(20, verbose=False), out_of_time],
    )
    note = f"{booster.best_iteration} of {booster.current_iteration()} rounds"

    def answer(part: Sites) -> NDArray[np.floating]:
        return booster.predict(part["distances"][:, :k], num_threads=1)

    return answer, note


def network(
    dataset: Dataset, parts: dict[str, Sites] | None, k: int, elements: str, options: argparse.Namespace
) -> Any:
    """Train the two-stage network; gives a function from sites to probabilities, and a note."""
    shown = dataset if parts is None else AtomLevel(dataset, parts)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(k=k, elements=elements, seed=options.seed)
        model = train_model(shown, Path(folder) / "run", settings, hardware=Hardware(threads=1))
    return model.probabilities, "as the command line trains it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--k", type=int, nargs="+", default=[10])
    parser.add_argument("--methods", nargs="+", default=["two-stage", "lightgbm"])
    parser.add_argument("--splits", nargs="+", default=["groups", "atoms"])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--leaves", type=int, default=63)
    parser.add_argument("--l2", type=float, default=20.0, help="smaller values diverge on rare elements")
    parser.add_argument("--seconds", type=float, default=360, help="of CPU, after which no tree is added")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset)
    present = dataset.element_counts("train")
    elements = tuple(z for z in parse_elements(TWENTY) if z in present)
    own = {part: sites_of(dataset, part, elements) for part in PARTS}
    sizes = ", ".join(f"{part} {len(own[part]['element']):,}" for part in PARTS)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}; sites: {sizes}\n")
    print_row(["method", "k", "split, judged on", *HEAD, "CPU s", "training"])
    print_row(["---"] * (5 + len(HEAD)))
    for split in options.splits:
        parts = own if split == "groups" else dealt(own, options.seed)
        for k in options.k:
            for method in options.methods:
                begun = time.process_time()
                if method == "lightgbm":
                    answer, note = trees(parts, k, elements, options)
                else:
                    names = ",".join(SYMBOLS[z] for z in elements)
                    answer, note = network(dataset, None if split == "groups" else parts, k, names, options)
                seconds = time.process_time() - begun
                for judged in ("test",) if split == "groups" else ("test", "all"):
                    tally = Tally(elements)
                    for part in ("test",) if judged == "test" else PARTS:
                        for rows in np.array_split(np.arange(len(parts[part]["element"])), 8):
                            piece = {name: values[rows] for name, values in parts[part].items()}
                            tally.add(answer(piece), piece["element"])
                    cells = [f"{split}, {judged}", *tally.figures(FEWEST), f"{seconds:.0f}", note]
                    print_row([method, str(k), *cells])


if __name__ == "__main__":
    main()
