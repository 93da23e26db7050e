"""Learn what `check` needs beside a model, from crystals that its training never saw.

    python -m workshop.calibrate_check DATASET --model NAME [--more DATASET] [--out FILE]

One half of a sample of the validation crystals, each as it is and with one element swapped, gives the weights
of the score. The other half, as it is, says how high correct crystals score;
`--more` adds correct crystals of a sort that the dataset lacks. `--usual` also makes the tables
of usual distances anew, from the training crystals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from atomsight.check import usual_distances as usual
from atomsight.check.reference import FILE, MODEL, Calibration, reference, write
from atomsight.check.suspicion import FEATURES, Examined, Weights, examine
from atomsight.core.errors import InputError
from atomsight.dataset import Dataset, open_dataset
from atomsight.geometry.crystal_class import WITHOUT_HYDROGEN, reference_class, weights_class
from atomsight.models import load_model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from workshop.swaps import any_swap, random_swap
from workshop.write_artefacts import write_artefacts

Columns = dict[str, NDArray[Any]]

FIRST = Weights(np.array([0.3, 0.4, 0.6, 0.3, 2.5, 1.5, -1.5, -2.5, 2.0, -1.5, -0.4]), -3.0)
"""Choose the suggestions while the weights are learned; a round of the same on other weights gave these."""

ANY = 0.25
"""Share of the swaps that are of any two elements."""

LARGEST = 150
"""Sites; larger crystals are left out of the sample, they would take most of the time."""

RIDGE = 0.01
"""Times half the squared weights of features scaled to unit deviation."""


def sample(dataset: Dataset, split: str, most: int, largest: int = LARGEST) -> Iterator[Columns]:
    """Whole crystals of a split, the ``most`` whose names have the least hash, in that order."""
    table = dataset.crystals(["crystal", "split", "n_sites"]).to_pydict()
    chosen = sorted(
        (crc32(name.encode()), name)
        for name, own, sites in zip(table["crystal"], table["split"], table["n_sites"], strict=True)
        if split in (own, "all") and sites <= largest
    )[:most]
    wanted = {name for _, name in chosen}
    held = {}
    columns = ("crystal", "site", "element", "multiplicity", "distances", "neighbours", "directions")
    for batch in dataset.batches(columns, split=split, whole_crystals=True):
        begins = np.flatnonzero(batch["site"] == 0)
        for start, end in zip(begins, np.append(begins[1:], len(batch["site"])), strict=True):
            if batch["crystal"][start] in wanted:
                held[batch["crystal"][start]] = {key: values[start:end] for key, values in batch.items()}
    for _, name in chosen:
        yield held.pop(name)


@dataclass(frozen=True)
class Case:
    """A crystal of the dataset as `examine` takes it."""

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    element: NDArray[np.int64]
    directions: NDArray[np.int8] | None
    share: NDArray[np.float64]

    @classmethod
    def of(cls, model: MaskedSiteModel, crystal: Columns) -> Case:
        """From rows of the dataset."""
        return cls(
            np.ascontiguousarray(crystal["distances"][:, : model.k], dtype=np.float32),
            crystal["neighbours"][:, : model.k].astype(np.int64),
            crystal["element"].astype(np.int64),
            model.directions_of(crystal),
            crystal["multiplicity"] / crystal["multiplicity"].sum(),
        )

    @property
    def reference_class(self) -> str:
        """See `crystal_class.reference_class`."""
        return reference_class(self.element, self.distances, self.neighbours)

    def with_element(self, site: int, number: int) -> Case:
        """The same with another element on a site."""
        element = self.element.copy()
        element[site] = number
        return replace(self, element=element)

    def examined(
        self, model: MaskedSiteModel, network: Plausibility, weights: Weights, **more: Any
    ) -> Examined:
        """See `examine`."""
        return examine(
            model,
            self.distances,
            self.neighbours,
            self.element,
            weights,
            directions=self.directions,
            plausibility=network,
            share=self.share,
            **more,
        )


def struck(crystal: Columns) -> Columns:
    """The crystal without its hydrogens, each site's first neighbours among the rest.

    Where the table then holds fewer than k neighbours, the last one is repeated.
    """
    kept = crystal["element"] != 1
    if kept.all() or not kept.any():
        return crystal
    renumbered = np.maximum(np.cumsum(kept) - 1, 0)
    seen = kept[crystal["neighbours"]]
    order = np.argsort(~seen, axis=1, kind="stable")
    place = np.minimum(np.arange(order.shape[1]), np.maximum(seen.sum(axis=1), 1)[:, None] - 1)
    order = np.take_along_axis(order, place, axis=1)
    moved = {
        "distances": np.take_along_axis(crystal["distances"], order, axis=1)[kept],
        "neighbours": renumbered[np.take_along_axis(crystal["neighbours"], order, axis=1)[kept]],
        "directions": np.take_along_axis(
            crystal["directions"].reshape(*order.shape, 3), order[..., None], axis=1
        )[kept],
    }
    return {name: values[kept] for name, values in crystal.items()} | moved


def learn_weights(features: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Weights:
    """Logistic regression with a small ridge, (m, len(FEATURES)) and (m,)."""
    from scipy.optimize import minimize

    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    sign = np.where(wrong, 1.0, -1.0)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (design @ w)
        pull = RIDGE * np.append(w[:-1], 0)
        slope = -sign * np.exp(-np.logaddexp(0, margin))
        return float(np.logaddexp(0, -margin).sum() + pull @ w / 2), design.T @ slope + pull

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    values = found[:-1] / deviation
    return Weights(values, float(found[-1] - values @ mean))


def calibrate(
    model: MaskedSiteModel,
    dataset: Dataset,
    crystals: int,
    more: Dataset | None = None,
    more_splits: tuple[str, ...] = ("train", "val"),
    seed: int = 0,
) -> Calibration:
    """Weights from the first half of a sample of validation crystals, references from the second.

    Args:
        model: to calibrate.
        dataset: whose validation crystals are taken.
        crystals: how many.
        more: a dataset that no training saw; its crystals go into the references too.
        more_splits: which of them.
        seed: of the swaps.
    """

    def known(sampled: Iterator[Columns]) -> list[Columns]:
        return [c for c in sampled if np.isin(c["element"], model.elements).all()]

    chosen = known(sample(dataset, "val", crystals))
    if len(chosen) < 200:
        raise InputError(f"{dataset.path} has {len(chosen)} crystals to calibrate on; 200 are needed")
    generator = np.random.default_rng(seed)
    network = Plausibility(threads=1)
    features: dict[str, list[NDArray[np.float64]]] = {}
    wrong: dict[str, list[NDArray[np.bool_]]] = {}
    learning, referring = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]
    if more is not None:
        referring = [c for split in more_splits for c in known(sample(more, split, crystals))] + referring
    for crystal in learning:
        case = Case.of(model, crystal)
        name = weights_class(case.reference_class)
        seen, truth = features.setdefault(name, []), wrong.setdefault(name, [])
        found = case.examined(model, network, FIRST)
        seen.append(found.features[_looked_at(found.score)])
        truth.append(np.zeros(len(seen[-1]), dtype=bool))
        swap = None if generator.random() < ANY else random_swap(case.element, generator)
        if swap is None:
            swap = any_swap(case.element, model.elements, generator)
        site, new = swap
        found = case.with_element(site, new).examined(model, network, FIRST, blind=found.blind, also=site)
        rows = np.union1d(_looked_at(found.score), [site])
        seen.append(found.features[rows])
        truth.append(rows == site)
    weights = {
        name: learn_weights(np.concatenate(features[name]), np.concatenate(wrong[name])) for name in features
    }
    largest: dict[str, list[float]] = {}
    for crystal in referring:
        for version in (crystal, struck(crystal)) if (crystal["element"] == 1).any() else (crystal,):
            case = Case.of(model, version)
            name = case.reference_class
            if (version is crystal or name.endswith(WITHOUT_HYDROGEN)) and weights_class(name) in weights:
                best = case.examined(model, network, weights[weights_class(name)]).score.max()
                largest.setdefault(name, []).append(float(best))
    told = f"{len(learning)} + {len(referring)} validation crystals of a dataset {dataset.fingerprint[:12]}"
    return Calibration(
        model.fingerprint,
        network.fingerprint,
        weights,
        {name: reference(np.array(v)) for name, v in largest.items()},
        told,
    )


def _looked_at(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The three sites of highest score."""
    return np.argsort(-score, kind="stable")[:3]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", help="that the model was trained on: its split says what it never saw")
    parser.add_argument("--model", default=None, help="name, run folder or .onnx; else the one that checks")
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write; else the package's own")
    parser.add_argument("--crystals", type=int, default=3000, help="validation crystals, at most")
    parser.add_argument("--more", help="a dataset that no training saw, of which the references learn too")
    parser.add_argument("--more-splits", default="train,val", help="the parts of it that they see")
    parser.add_argument("--usual", action="store_true", help="make the tables of usual distances too")
    options = parser.parse_args()
    begun = time.monotonic()
    dataset = open_dataset(options.dataset)
    model = load_model(options.model or MODEL, threads=1)
    if not isinstance(model, MaskedSiteModel):
        raise SystemExit(f"{model.name} is no masked-site model")
    if options.usual:
        columns = ("element", "distances", "neighbour_elements")
        usual.write(usual.tables_of(dataset.batches(columns, split="train")))
        print(f"usual distances: {usual.FILE}, {time.monotonic() - begun:.0f} s")
    more = None if options.more is None else open_dataset(options.more)
    splits = tuple(options.more_splits.split(","))
    calibration = calibrate(model, dataset, options.crystals, more, splits)
    write(calibration, options.out)
    if options.usual or options.out == FILE:
        write_artefacts()
    print(f"{options.out}: {calibration.told}, {time.monotonic() - begun:.0f} s")
    for place, name in enumerate(FEATURES):
        values = (f"{one.values[place]:8.3f} {which}" for which, one in calibration.weights.items())
        print(f"  {name:14}", *values)
    for name, found in calibration.references.items():
        limit = np.interp(-0.01, [-share for share in found.shares], found.scores)
        print(f"  {name}: {found.crystals} crystals; flagged from {limit:.2f}")


if __name__ == "__main__":
    main()
