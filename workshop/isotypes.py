"""Add the training crystals of a model to it as isotypes.

    python -m workshop.isotypes MODEL DATASET OUT

MODEL is a masked-site model, DATASET the one that it was trained on, OUT a folder for the new model. The
isotypes are the crystals of ``train`` without carbon (`bank.CARBON`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import AtomsightError, InputError, ModelError
from atomsight.core.files import write_text
from atomsight.dataset import Dataset, open_dataset
from atomsight.geometry.jit import compiled
from atomsight.models.base import Model
from atomsight.models.conformal import fit_sets
from atomsight.models.isotypes.bank import ANIONS, CARBON, KNOWN, MOST_SITES, Isotypes, orders_of, scaled
from atomsight.models.isotypes.match import WAYS, may_match, pairings
from atomsight.models.isotypes.types import COMPARED, Group, Scales
from atomsight.models.load import MODEL_FILE, load_model, model_file
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.training import calibrate
from atomsight.training.extra import onnx_library
from atomsight.training.model_file import add_metadata
from workshop.sets import unseen_answers

NEAR = 0.05
"""Largest difference of the pairs in which exchanges are counted."""

CHEMISTRIES = len(ANIONS) + 1

LENT = 5.0
"""Pseudocount: exchanges of an element in all chemistries that are added to those of each."""

RIDGE, RIDGE_OF_CHEMISTRY = 1e-4, 1e-3
"""Ridge penalties on the volumes of the elements and on the deviations of a chemistry."""

HUBER = 0.03
"""Relative error of a volume beyond which a pair has less weight (Huber 1964, 10.1214/aoms/1177703732)."""

ROUNDS = 6
"""Number of iteratively reweighted least-squares rounds."""


def crystals_of(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield the ``train`` crystals that become isotypes.

    Yields:
        ``distances``, ``element``, ``multiplicity`` and ``volume``, Å3 an atom.
    """
    table = dataset.crystals(["crystal", "volume", "n_atoms"]).to_pydict()
    volume = {
        name: size / atoms
        for name, size, atoms in zip(table["crystal"], table["volume"], table["n_atoms"], strict=True)
    }
    columns = ("crystal", "site", "element", "multiplicity", "distances")
    for batch in dataset.batches(columns, split="train", whole_crystals=True):
        begins = np.append(np.flatnonzero(batch["site"] == 0), len(batch["site"]))
        for start, end in pairwise(begins.tolist()):
            if end - start <= MOST_SITES and CARBON not in batch["element"][start:end]:
                part = {name: column[start:end] for name, column in batch.items()}
                yield part | {"volume": volume[str(part["crystal"][0])]}


def isotypes(dataset: Dataset) -> Isotypes:
    """Return the isotypes of a dataset's ``train`` crystals."""
    found: list[tuple[Any, ...]] = []
    for crystal in crystals_of(dataset):
        own = scaled(crystal["distances"])
        order = np.argsort(crystal["element"], kind="stable")
        shares = crystal["multiplicity"][order] / crystal["multiplicity"].sum()
        columns = (own.rows[order], crystal["element"][order], shares, own.length, crystal["volume"])
        found.append((len(own.rows), *columns))
    if not found:
        raise ModelError("the dataset has no train crystal without carbon of few sites to learn from")
    sites, rows, elements, shares, lengths, volumes = zip(*found, strict=True)
    bank = Isotypes(
        np.array(sites, np.uint8),
        np.concatenate(rows).astype(np.float16),
        np.concatenate(elements).astype(np.uint8),
        np.concatenate(shares).astype(np.float32),
        np.array(lengths, np.float32),
        np.array(volumes, np.float32),
        np.zeros((CHEMISTRIES, KNOWN, KNOWN), np.float32),
        np.zeros((CHEMISTRIES, KNOWN), np.float32),
    )
    pairs = exchanges(bank)
    stands, size = substitution_frequencies(pairs), element_volumes(pairs)
    return replace(bank, stands=stands.astype(np.float32), size=size.astype(np.float32))


def exchanges(bank: Isotypes) -> dict[str, NDArray[Any]]:
    """Return pairs of isotypic crystals that differ by one element.

    Returns:
        ``old`` and ``new`` atomic number, the `chemistry` of the elements ``beside``, ``share`` of the atoms,
        and the old crystal's ``volume`` and the new one's ``other``, Å3 an atom.
    """
    found = []
    for n, group in bank.groups.items():
        orders = orders_of(n)
        for one, means in enumerate(group.means):
            chosen = np.flatnonzero(may_match(means, group.means, NEAR))
            found.append(_exchanges(group, one, chosen[chosen != one], orders, NEAR, Scales().alike))
    numbers, (share, volume, other) = np.split(np.concatenate(found).T, 2)
    whole = dict(zip(("old", "new", "beside"), numbers.astype(np.int64), strict=True))
    return {**whole, "share": share, "volume": volume, "other": other}


@compiled
def _exchanges(
    group: Group, one: int, chosen: NDArray[np.int64], orders: NDArray[np.int64], most: float, alike: float
) -> NDArray[np.float64]:
    """Return (p, 6) pairs of one crystal of a group with chosen others, see `exchanges`."""
    n = group.elements.shape[1]
    places, near = np.zeros((WAYS, n), np.int64), np.zeros(WAYS)
    rows = []
    for two in chosen:
        ways = pairings(group.rows[one], group.rows[two], most, alike, orders, places, near)
        for way in range(ways):
            # the same crystal with every atom of one element exchanged for one that it did not hold
            old, new, beside, share = 0, 0, 0, 0.0
            good = True
            for i in range(n):
                own, theirs = int(group.elements[one, i]), int(group.elements[two, places[way, i]])
                if own == theirs:
                    continue
                if old and (own != old or theirs != new):
                    good = False
                    break
                old, new, beside = own, theirs, int(group.company[one, i])
                share += group.shares[one, i]
            if not good or not old:
                continue
            for i in range(n):
                own = group.elements[one, i]
                if own == new or (own == old and group.elements[two, places[way, i]] == old):
                    good = False
            if good:
                volume, other = float(group.volumes[one]), float(group.volumes[two])
                rows.append((float(old), float(new), float(beside), float(share), volume, other))
                break
    found = np.zeros((len(rows), 6))
    for number, row in enumerate(rows):
        found[number, 0], found[number, 1], found[number, 2] = row[0], row[1], row[2]
        found[number, 3], found[number, 4], found[number, 5] = row[3], row[4], row[5]
    return found


def substitution_frequencies(pairs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return (CHEMISTRIES, KNOWN, KNOWN) substitution frequencies, see `Isotypes`."""
    counts = np.zeros((CHEMISTRIES, KNOWN, KNOWN))
    np.add.at(counts, (pairs["beside"], pairs["old"], pairs["new"]), 1.0)
    every = counts.sum(axis=0)
    counts += LENT * every / np.maximum(every.sum(axis=1, keepdims=True), 1.0)
    frequencies: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1e-30)
    return frequencies


def element_volumes(pairs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return (CHEMISTRIES, KNOWN) volumes, Å3, see `Isotypes`, from differences of volume.

    The fit is a robust least squares. The volumes of a chemistry are common volumes plus its deviations.
    """
    slope = pairs["share"] / pairs["volume"]
    wanted = pairs["other"] / pairs["volume"] - 1
    chemistry = KNOWN * (1 + pairs["beside"])
    places = np.stack([shift + pairs[name] for name in ("new", "old") for shift in (0, chemistry)])
    signs = np.array([1.0, 1.0, -1.0, -1.0])[:, None] * slope
    unknown = KNOWN * (1 + CHEMISTRIES)
    weight = np.ones(len(slope))
    found = np.zeros(unknown)
    for _ in range(ROUNDS):
        normal = np.diag(np.where(np.arange(unknown) < KNOWN, RIDGE, RIDGE_OF_CHEMISTRY))
        right = np.zeros(unknown)
        for place, sign in zip(places, signs, strict=True):
            np.add.at(right, place, weight * sign * wanted)
            for other, opposite in zip(places, signs, strict=True):
                np.add.at(normal, (place, other), weight * sign * opposite)
        found = np.linalg.solve(normal, right)
        error = np.abs((signs * found[places]).sum(axis=0) - wanted)
        weight = np.minimum(1.0, HUBER / np.maximum(error, 1e-12))
    return found[:KNOWN] + found[KNOWN:].reshape(CHEMISTRIES, KNOWN)


def add_isotypes(model: str | Path, dataset: Dataset, out: Path) -> Model:
    """Write a run folder with a model and the isotypes of its dataset.

    The prediction sets of the new model are fitted to its own probabilities on ``val``.

    Args:
        model: name of a bundled model, run folder, or ONNX file of a masked-site model.
        dataset: the one that it was trained on.
        out: the new folder.

    Raises:
        InputError: the model was trained on another dataset, is of another architecture or uses too few
            neighbours, or the folder holds another model.
        ModelError: no crystal of the dataset can become an isotype.
        MissingExtraError: the extra ``train`` is not installed.
    """
    onnx_library()  # an early error for the last step
    old = load_model(model)
    if not isinstance(old, MaskedSiteModel):
        raise InputError(f"{old.name} is a {old.kind} model; isotypes stand beside a masked-site model")
    if old.k < COMPARED:
        raise InputError(f"{old.name} looks at {old.k} neighbours; isotypes take at least {COMPARED}")
    target = out / MODEL_FILE
    if target.exists():
        raise InputError(f"{out} holds a model; give another OUT")
    alone, truth = unseen_answers(old, dataset)
    bank = isotypes(dataset)
    text = bank.text()
    out.mkdir(parents=True, exist_ok=True)
    draft = out / "draft.onnx"
    add_metadata(model_file(model), draft, {"isotypes": text})
    together, _ = unseen_answers(load_model(draft), dataset)

    val, network_alone = (
        calibrate.validation_scores(np.log(np.maximum(answers, 1e-30)), truth)
        for answers in (together, alone)
    )
    val |= {f"{name}_of_the_network": value for name, value in network_alone.items()}
    metadata = {
        "isotypes": text,
        "isotypes_beside": {"model": old.name, "fingerprint": old.fingerprint, "crystals": len(bank.sites)},
        "sets": fit_sets(together, truth).as_dict(old.elements),
        "val": val,
    }
    add_metadata(model_file(model), draft, metadata)
    draft.replace(target)
    result = {"temperature": old.metadata["temperature"], "val": val}
    write_text(out / "result.json", json.dumps(result, indent=1) + "\n")
    return load_model(out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        model = add_isotypes(given.model, open_dataset(given.dataset), given.out)
    except AtomsightError as error:
        parser.error(str(error))
    print(f"{given.out}: {model.metadata['val']}")


if __name__ == "__main__":
    main()
