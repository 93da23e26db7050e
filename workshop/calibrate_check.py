"""Calibrate `check` on crystals that were not used in training.

    python -m workshop.calibrate_check DATASET --model NAME [--more DATASET] [--out FILE]

The weights of the score are fitted to one half of a sample of the validation crystals, each as it is and with
one element swapped. The other half, as it is, gives the distribution of the scores of correct crystals.
`--more` adds correct crystals of a kind that the dataset lacks. `--usual` also computes the tables of usual
distances from the training crystals.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from atomsight.check import usual_distances
from atomsight.check.reference import FILE, MODEL, Calibration, fit_reference, write
from atomsight.check.suspicion import FEATURES, CheckInput, Weights, score_sites
from atomsight.core.errors import InputError
from atomsight.dataset import Dataset, open_dataset
from atomsight.geometry.crystal_class import WITHOUT_HYDROGEN, weights_class
from atomsight.models import load_model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from workshop.swaps import any_swap, random_swap
from workshop.write_artefacts import write_artefacts

Columns = dict[str, NDArray[Any]]

FIRST = Weights(np.array([0.3, 0.4, 0.6, 0.3, 2.5, 1.5, -1.5, -2.5, 2.0, -1.5, -0.4]), -3.0)
"""Weights that choose the suggestions before the weights are fitted. They come from an earlier fit."""

ANY = 0.25
"""Share of the swaps that are between any two elements."""

LARGEST = 150
"""Sites; larger crystals are left out of the sample because they would take most of the time."""

RIDGE = 0.01
"""Ridge penalty on the weights of the standardised features."""


def sample(dataset: Dataset, split: str, most: int, largest: int = LARGEST) -> Iterator[Columns]:
    """Yield complete crystals of a split: the ``most`` with the smallest hash of the name, in that order."""
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


def without_hydrogen(crystal: Columns) -> Columns:
    """Remove the hydrogens of a crystal, also from the neighbours of the other sites.

    The last neighbour is repeated if fewer than k remain.
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


def fit_weights(features: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Weights:
    """Fit a logistic regression with a small ridge penalty.

    Args:
        features: (m, len(FEATURES)).
        wrong: (m,) whether the element is wrong.
    """
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
    """Fit the weights to the first half of a sample of validation crystals, the references to the second.

    Args:
        model: the model to calibrate.
        dataset: the dataset of its training.
        crystals: number of validation crystals.
        more: a dataset that was not used in training, whose crystals are added to the references.
        more_splits: the splits of ``more`` that are added.
        seed: seed of the swaps.

    Raises:
        InputError: there are too few crystals.
    """

    def known(sampled: Iterator[Columns]) -> list[Columns]:
        return [c for c in sampled if np.isin(c["element"], model.elements).all()]

    chosen = known(sample(dataset, "val", crystals))
    if len(chosen) < 200:
        raise InputError(f"{dataset.path} has {len(chosen)} crystals to calibrate on; 200 are needed")
    generator = np.random.default_rng(seed)
    network = Plausibility(threads=1)
    examples: dict[str, list[tuple[NDArray[np.float64], NDArray[np.bool_]]]] = defaultdict(list)
    fitting, referring = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]
    if more is not None:
        referring = [c for split in more_splits for c in known(sample(more, split, crystals))] + referring
    for crystal in fitting:
        given = CheckInput.of(model, crystal)
        name = weights_class(given.reference_class)
        found = score_sites(model, given, FIRST, network)
        rows = _most_suspicious(found.score)
        examples[name].append((found.features[rows], np.zeros(len(rows), dtype=bool)))
        swap = None if generator.random() < ANY else random_swap(given.element, generator)
        site, new = swap or any_swap(given.element, model.elements, generator)
        swapped = given.with_element(site, new)
        found = score_sites(model, swapped, FIRST, network, blind=found.blind, also=site)
        rows = np.union1d(_most_suspicious(found.score), [site])
        examples[name].append((found.features[rows], rows == site))
    weights = {
        name: fit_weights(*map(np.concatenate, zip(*some, strict=True))) for name, some in examples.items()
    }
    largest: dict[str, list[float]] = defaultdict(list)
    for crystal in referring:
        versions = [crystal, without_hydrogen(crystal)] if 1 in crystal["element"] else [crystal]
        for version in versions:
            given = CheckInput.of(model, version)
            name = given.reference_class
            if (version is crystal or name.endswith(WITHOUT_HYDROGEN)) and weights_class(name) in weights:
                found = score_sites(model, given, weights[weights_class(name)], network)
                largest[name].append(float(found.score.max()))
    references = {name: fit_reference(np.array(v)) for name, v in largest.items()}
    text = f"{len(fitting)} + {len(referring)} validation crystals of a dataset {dataset.fingerprint[:12]}"
    return Calibration(model.fingerprint, network.fingerprint, weights, references, text)


def _most_suspicious(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the three sites with the highest scores."""
    return np.argsort(-score, kind="stable")[:3]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", help="dataset of the model's training, with its split")
    parser.add_argument("--model", default=None, help="name, run folder or .onnx; default: bundled")
    parser.add_argument("--out", type=Path, default=FILE, help="file to write; default: in the package")
    parser.add_argument("--crystals", type=int, default=3000, help="maximum number of crystals")
    parser.add_argument("--more", help="a dataset for the references, not used in training")
    parser.add_argument("--more-splits", default="train,val", help="its splits that are used")
    parser.add_argument("--usual", action="store_true", help="compute the usual distances, too")
    options = parser.parse_args()
    begun = time.monotonic()
    dataset = open_dataset(options.dataset)
    model = load_model(options.model or MODEL, threads=1)
    if not isinstance(model, MaskedSiteModel):
        raise SystemExit(f"{model.name} is no masked-site model")
    if options.usual:
        columns = ("element", "distances", "neighbour_elements")
        usual_distances.write(usual_distances.tables_of(dataset.batches(columns, split="train")))
        print(f"usual distances: {usual_distances.FILE}, {time.monotonic() - begun:.0f} s")
    more = None if options.more is None else open_dataset(options.more)
    splits = tuple(options.more_splits.split(","))
    calibration = calibrate(model, dataset, options.crystals, more, splits)
    write(calibration, options.out)
    if options.usual or options.out == FILE:
        write_artefacts()
    print(f"{options.out}: {calibration.description}, {time.monotonic() - begun:.0f} s")
    for place, name in enumerate(FEATURES):
        values = (f"{one.values[place]:8.3f} {which}" for which, one in calibration.weights.items())
        print(f"  {name:14}", *values)
    for name, found in calibration.references.items():
        limit = np.interp(-0.01, [-share for share in found.shares], found.scores)
        print(f"  {name}: {found.crystals} crystals; flagged from {limit:.2f}")


if __name__ == "__main__":
    main()
