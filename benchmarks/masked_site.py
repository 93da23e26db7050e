"""The masked-site model beside others, on one split of a dataset: what it names, how surely, how fast.

    python benchmarks/masked_site.py DATASET MODEL... [--split test] [--share 0.1] [--core 2019-FSR ...]

Each MODEL is a run folder, an ONNX file or the name of a bundled model; a blind table is printed for each.
For a masked-site model, two more follow: with the elements of all other sites given (pseudo-likelihood), and
under the formula, both on a share of the crystals chosen by the hash of their names.

Noise and missing hydrogens are put on the table, not on coordinates: the way between two atoms whose
coordinates have independent normal errors of deviation s along each axis errs by s times the square root of
two along each, the way to each neighbour independently here; hydrogens are struck from the neighbours, and
where the table then holds fewer than k, the last one is repeated. `core` are the crystals whose source
begins with one of the names given by --core; `twenty` restricts sites and answers to the twenty elements of
the original study.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from atomsight import read
from atomsight.core.crystal import Crystal
from atomsight.core.elements import TWENTY, parse_elements
from atomsight.core.scores import count_pairs, macro
from atomsight.dataset import Dataset, open_dataset
from atomsight.evaluate import metrics
from atomsight.evaluate.calibration import Calibration
from atomsight.geometry.neighbours.directions import UNIT
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.composition.assignment import optimal_assignment

Batch = dict[str, NDArray[Any]]

FEWEST = 20
"""Elements with fewer sites are in no macro figure over all elements."""

COLUMNS = (
    "crystal",
    "site",
    "element",
    "multiplicity",
    "distances",
    "neighbours",
    "neighbour_elements",
    "directions",
)


@dataclass
class Tally:
    """Counts of a model's answers on one set of sites, for the elements of its columns."""

    elements: tuple[int, ...]
    matrix: NDArray[np.int64] = field(init=False)
    ranks: NDArray[np.int64] = field(init=False)
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        n = len(self.elements)
        self.matrix, self.ranks = np.zeros((n, n), dtype=np.int64), np.zeros((n, n), dtype=np.int64)

    def add(self, probabilities: NDArray[np.floating], element: NDArray[np.integer]) -> None:
        """Count sites; those of other elements are left out."""
        known = np.isin(element, self.elements)
        p, truth = probabilities[known], np.searchsorted(self.elements, element[known])
        if not len(p):
            return
        rank = metrics.true_ranks(p, truth)
        self.matrix += count_pairs(truth, p.argmax(axis=1), self.matrix.shape)
        self.ranks += count_pairs(truth, rank, self.ranks.shape)
        self.calibration.add(p.max(axis=1), rank == 0)

    def figures(self, fewest: int) -> list[str]:
        """Sites, accuracy, macro recall, top-3 macro (with the number of elements), calibration, coverage."""
        often = self.matrix.sum(axis=1) >= fewest
        recall = metrics.element_scores(self.matrix).recall
        top3 = metrics.top_recall(self.ranks, 3)
        return [
            f"{int(self.matrix.sum()):,}",
            f"{metrics.accuracy(self.matrix):.4f}",
            f"{macro(recall[often]):.3f} ({int(often.sum())})",
            f"{macro(top3[often]):.3f}",
            f"{self.calibration.expected_error():.4f}",
            f"{self.calibration.coverage_at(0.99)[0]:.3f}",
        ]


HEAD = [
    "sites",
    "accuracy",
    "macro recall (elements)",
    "top-3 macro",
    "calibration error",
    "coverage at 99 %",
]


def restricted(
    probabilities: NDArray[np.floating], elements: tuple[int, ...], chosen: tuple[int, ...]
) -> NDArray[np.floating]:
    """Probabilities given that the element is one of the chosen ones."""
    part = probabilities[:, np.searchsorted(elements, chosen)].astype(np.float64)
    return part / part.sum(axis=1, keepdims=True)


def noisy(batch: Batch, deviation: float, seed: int) -> Batch:
    """Distances and directions as they would be with errors of this deviation (Å) along each axis of each
    atom."""
    generator = np.random.default_rng(seed)
    ways = batch["directions"].reshape(*batch["distances"].shape, 3).astype(np.float64)
    ways /= np.maximum(np.linalg.norm(ways, axis=2), 1e-6)[..., None]
    ways = ways * batch["distances"][..., None] + generator.normal(0, deviation * 2**0.5, ways.shape)
    moved = np.linalg.norm(ways, axis=2)
    units = np.rint(ways / np.maximum(moved, 1e-6)[..., None] * UNIT).astype(np.int8)
    return sorted_by_distance({**batch, "directions": units.reshape(len(units), -1)}, moved)


def without_hydrogens(batch: Batch) -> Batch:
    """The sites that are no hydrogens, as if there were none."""
    gone = batch["neighbour_elements"] == 1
    gone &= ~gone.all(axis=1, keepdims=True)
    far = sorted_by_distance(batch, np.where(gone, np.inf, batch["distances"]))
    last = (~gone).sum(axis=1, keepdims=True) - 1
    place = np.minimum(np.arange(gone.shape[1]), last)
    return taken(far, place)


def sorted_by_distance(batch: Batch, distances: NDArray[np.floating]) -> Batch:
    """The batch with these distances, ascending, and the neighbours in their order."""
    order = np.argsort(distances, axis=1, kind="stable")
    return taken({**batch, "distances": distances.astype(np.float32)}, order)


def taken(batch: Batch, place: NDArray[np.integer]) -> Batch:
    """The batch with the neighbours of each site at these (n, k) places."""
    ways = batch["directions"].reshape(*batch["distances"].shape, 3)
    return {
        **batch,
        "distances": np.take_along_axis(batch["distances"], place, axis=1),
        "neighbours": np.take_along_axis(batch["neighbours"], place, axis=1),
        "directions": np.take_along_axis(ways, place[..., None], axis=1).reshape(len(ways), -1),
    }


def core_sites(dataset: Dataset, batch: Batch, prefixes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which rows are of crystals whose source begins with one of the prefixes."""
    table = dataset.crystals(["crystal", "source"]).to_pydict()
    chosen = {c for c, s in zip(table["crystal"], table["source"], strict=True) if s.startswith(prefixes)}
    return np.fromiter((name in chosen for name in batch["crystal"]), bool, len(batch["crystal"]))


def blind(model: Model, dataset: Dataset, batches: list[Batch], cores: list[NDArray[np.bool_]]) -> None:
    """Print the blind table of a model."""
    twenty = tuple(z for z in parse_elements(TWENTY) if z in model.elements)
    conditions: dict[str, Callable[[Batch], Batch]] = {
        "as it is": lambda b: b,
        "noise 0.01 Å": lambda b: noisy(b, 0.01, 1),
        "noise 0.02 Å": lambda b: noisy(b, 0.02, 2),
        "noise 0.05 Å": lambda b: noisy(b, 0.05, 3),
        "without H": without_hydrogens,
    }
    print_row(["sites of", "condition", *HEAD])
    print_row(["---"] * (2 + len(HEAD)))
    for name, change in conditions.items():
        tallies = {
            ("core, twenty", 1): Tally(twenty),
            ("all, twenty", 1): Tally(twenty),
            ("core, all elements", FEWEST): Tally(model.elements),
            ("all, all elements", FEWEST): Tally(model.elements),
        }
        for batch, core in zip(batches, cores, strict=True):
            answer = model.probabilities({c: v for c, v in change(batch).items() if c in model.columns})
            heavy = batch["element"] != 1 if name == "without H" else np.ones(len(core), dtype=bool)
            among = restricted(answer, model.elements, twenty)
            for (sites, _), tally in tallies.items():
                rows = heavy & core if sites.startswith("core") else heavy
                tally.add((among if "twenty" in sites else answer)[rows], batch["element"][rows])
        for (sites, fewest), tally in tallies.items():
            print_row([sites, name, *tally.figures(fewest)])
        if name == "as it is":
            recall = metrics.element_scores(tallies["core, twenty", 1].matrix).recall
            weakest = np.argsort(recall)[:8]
    print(f"\nWeakest of the twenty on core crystals: {_elements(twenty, recall, weakest)}.\n")


def _elements(elements: tuple[int, ...], recall: NDArray[np.floating], order: NDArray[np.integer]) -> str:
    from atomsight.core.elements import SYMBOLS

    return ", ".join(f"{SYMBOLS[elements[i]]} {recall[i]:.2f}" for i in order)


def given(model: Model, batches: list[Batch], share: float) -> None:
    """Print what the model makes of known elements and of the formula, on a share of the crystals."""
    from atomsight.models.masked_site.inference import MaskedSiteModel

    if not isinstance(model, MaskedSiteModel):
        return
    others, plain, seconds = Tally(model.elements), Tally(model.elements), 0.0
    right = sites = whole = crystals = 0
    for batch in batches:
        names, first = np.unique(batch["crystal"].astype(str), return_index=True)
        for name, start in zip(names, first, strict=True):
            if crc32(name.encode()) >= share * 2**32:
                continue
            rows = slice(start, start + int(np.count_nonzero(batch["crystal"] == name)))
            crystal = {c: v[rows] for c, v in batch.items()}
            element = crystal["element"]
            if not np.isin(element, model.elements).all():
                continue
            begun = time.process_time()
            conditional = model.conditional_probabilities(crystal)
            seconds += time.process_time() - begun
            answer = model.probabilities(crystal)
            others.add(conditional, element)
            plain.add(answer, element)
            formula = np.unique(element)
            multiplicity = crystal["multiplicity"].astype(np.int64)
            counts = np.array([multiplicity[element == z].sum() for z in formula])
            among = restricted(np.maximum(answer, 1e-30), model.elements, tuple(formula.tolist()))
            hits = formula[optimal_assignment(among, multiplicity, counts)] == element
            right, sites = right + int(hits.sum()), sites + len(hits)
            whole, crystals = whole + int(hits.all()), crystals + 1
    print(f"On {crystals:,} crystals ({share:.0%} of them, by the hash of their names):\n")
    print_row(["given", *HEAD])
    print_row(["---"] * (1 + len(HEAD)))
    print_row(["nothing", *plain.figures(FEWEST)])
    print_row(["all other elements", *others.figures(FEWEST)])
    print(
        f"\nUnder the formula: {right / sites:.4f} of the sites right, all sites right in "
        f"{whole / crystals:.3f} of the crystals.\n"
        f"Pseudo-likelihoods: {1000 * seconds / sites:.2f} ms of CPU a site.\n"
    )


def speed(model: Model, batch: Batch, crystals: list[Crystal]) -> None:
    """Print how many sites a second of CPU the network names, and how many with the search for neighbours."""
    columns = {c: batch[c] for c in model.columns}
    alone = len(batch["element"]) / least_cpu(lambda: model.probabilities(columns))
    print(f"Network alone: {alone:,.0f} sites a second of CPU.\n")
    if crystals:
        sites = sum(crystal.n_sites for crystal in crystals)
        both = sites / least_cpu(lambda: list(model.predict(crystals)))
        print(
            f"With the search for neighbours, {len(crystals)} crystals: {both:,.0f} sites a second of CPU.\n"
        )


def least_cpu(call: Callable[[], Any], repeat: int = 3) -> float:
    """Seconds of CPU, over all threads, of the quickest call."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.process_time()
        call()
        best = min(best, time.process_time() - begun)
    return best


def print_row(cells: list[str]) -> None:
    """A line of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--split", default="test", help="train, val, test or all")
    parser.add_argument("--share", type=float, default=0.1, help="of the crystals for the slower tables")
    parser.add_argument(
        "--crystals", nargs="+", default=[], help="archives or folders to time predictions on"
    )
    parser.add_argument("--core", nargs="+", default=["2019-FSR", "2019-ASR", "2014"])
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.dataset)
    print(
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}; split {arguments.split}\n"
    )
    split = None if arguments.split == "all" else arguments.split
    batches = list(dataset.batches(COLUMNS, split=split, whole_crystals=True))
    timed = list(islice(read(arguments.crystals), 500)) if arguments.crystals else []
    cores = [core_sites(dataset, batch, tuple(arguments.core)) for batch in batches]
    for name in arguments.models:
        model = load_model(name)
        print(f"## {model.name}: {model.kind}, k = {model.k}, {len(model.elements)} elements\n")
        blind(model, dataset, batches, cores)
        given(model, batches, arguments.share)
        speed(model, batches[0], timed)


if __name__ == "__main__":
    main()
