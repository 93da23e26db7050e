"""Fit the prediction sets of a finished model on the ``val`` split of its dataset.

    python -m workshop.sets MODEL DATASET

The thresholds go into a file next to the model that names its fingerprint, see `atomsight.models.conformal`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.files import write_text
from atomsight.dataset import Dataset, open_dataset
from atomsight.models.base import Model
from atomsight.models.conformal import CALIBRATION_SITES, COVERAGE, SetRule, fit_sets, sets_file
from atomsight.models.load import load_model, model_file


def calibrate_file(model: Model, file: Path, dataset: Dataset, coverage: float = COVERAGE) -> SetRule:
    """Fit the prediction sets of a model on the ``val`` split and write them next to its file.

    Args:
        model: the model in ``file``.
        file: its ONNX file.
        dataset: the one that it was trained on; ``val`` of another may hold training crystals.
        coverage: target coverage.

    Raises:
        InputError: the model says that it was trained on another dataset.
    """
    probabilities, truth = unseen_answers(model, dataset)
    rule = fit_sets(probabilities, truth, coverage)
    record = {"model": model.fingerprint, **rule.as_dict(model.elements)}
    write_text(sets_file(file), json.dumps(record, indent=1) + "\n")
    return rule


def unseen_answers(model: Model, dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return a model's probabilities for up to `CALIBRATION_SITES` ``val`` sites of its dataset.

    Returns:
        (n, elements) probabilities, and (n,) column of the true element.

    Raises:
        InputError: the model says that it was trained on another dataset, or there are no such sites.
    """
    learnt = model.metadata.get("data", {}).get("fingerprint")
    if learnt != dataset.fingerprint:
        raise InputError(
            f"the model {model.name} was trained on the dataset of fingerprint {learnt}, {dataset.path} has "
            f"{dataset.fingerprint}; only the val split of its own dataset is sure to be unseen"
        )
    column_of = np.full(256, -1, dtype=np.int64)
    column_of[list(model.elements)] = np.arange(len(model.elements))
    pieces, targets, sites = [], [], 0
    for batch in dataset.batches(
        list(dict.fromkeys((*model.columns, "element"))), split="val", whole_crystals=True
    ):
        truth = column_of[batch["element"]]
        answer = model.probabilities({name: batch[name] for name in model.columns})
        pieces.append(answer[truth >= 0])
        targets.append(truth[truth >= 0])
        sites += len(targets[-1])
        if sites >= CALIBRATION_SITES:
            break
    if not sites:
        raise InputError(f"{dataset.path} holds no val site of an element that {model.name} names")
    return np.concatenate(pieces), np.concatenate(targets)


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description="Fit the sets of a model on the val split of its dataset.")
    parser.add_argument("model", help="name of a bundled model, run folder, or ONNX file")
    parser.add_argument("dataset", type=Path, help="the dataset that it was trained on")
    parser.add_argument("--coverage", type=float, default=COVERAGE)
    arguments = parser.parse_args()
    try:
        file = model_file(arguments.model)
        rule = calibrate_file(
            load_model(arguments.model), file, open_dataset(arguments.dataset), arguments.coverage
        )
    except AtomsightError as error:
        parser.error(str(error))
    print(f"{sets_file(file)}: {rule.coverage:.0%} of {rule.sites:,} sites of val")


if __name__ == "__main__":
    main()
