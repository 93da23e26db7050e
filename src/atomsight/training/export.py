"""Export of trained networks to ONNX files with metadata, checked against PyTorch.

    python -m atomsight.training.export RUN [--dataset DATASET]

exports the model of a run folder again from its last checkpoint, with the best weights so far, calibrated on
the ``val`` split of its dataset. Use it for runs of earlier versions, and for runs that were stopped early.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from atomsight.core.elements import SYMBOLS, parse_elements
from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.version import __version__
from atomsight.dataset import open_dataset
from atomsight.models.conformal import CALIBRATION_SITES, fit_sets
from atomsight.models.load import load_model
from atomsight.training.architecture import Architecture
from atomsight.training.calibrate import best_temperature, checked_difference, softmax, validation_scores
from atomsight.training.data import Task
from atomsight.training.loop import read_checkpoint
from atomsight.training.model_file import write_model
from atomsight.training.registry import architecture_class
from atomsight.training.run_folder import RunFolder, read_settings

if TYPE_CHECKING:
    from atomsight.models.base import Model

TOLERANCE = 1e-5
"""Largest allowed difference of a probability between PyTorch and ONNX Runtime."""


def finish(
    architecture: Architecture, task: Task, run: RunFolder, epochs: list[dict[str, Any]], seconds: float
) -> None:
    """Calibrate on ``val``, write the result and the exported model, and check it against the trained one.

    Args:
        architecture: with its best weights.
        task: what it was trained for.
        run: takes ``result.json`` and the model.
        epochs: the records of the training.
        seconds: that it took.

    Raises:
        ModelError: the exported model does not compute what the trained one does.
    """
    architecture.network.cpu().eval()
    pieces, targets, sites = [], [], 0
    sample = None
    with torch.no_grad():
        for batch in task.stream(architecture, "val"):
            named = batch["target"] >= 0
            pieces.append(architecture.logits(batch)[named].numpy())
            targets.append(batch["target"][named].numpy())
            sample = sample or {name: tensor.numpy() for name, tensor in batch.items()}
            sites += len(targets[-1])
            if sites >= CALIBRATION_SITES:
                break
    logits, target = np.concatenate(pieces), np.concatenate(targets)
    temperature = best_temperature(logits, target)
    probabilities, before = softmax(logits, temperature), validation_scores(logits, target)
    result = {
        "epochs": Counter(epoch["stage"] for epoch in epochs),
        "seconds": round(seconds, 1),
        "temperature": temperature,
        "val": {
            **validation_scores(logits, target, temperature),
            **{f"{name}_uncalibrated": before[name] for name in ("log_loss", "calibration_error")},
        },
    }
    crystals = task.dataset.crystals()
    metadata = {
        "kind": task.settings.model,
        "k": task.settings.k,
        "elements": ",".join(SYMBOLS[z] for z in task.elements),
        "atomsight": __version__,
        "settings": task.settings.as_dict(),
        "temperature": temperature,
        "val": result["val"],
        "data": {
            "fingerprint": task.dataset.fingerprint,
            "crystals": Counter(crystals["split"].to_pylist()),
            "train_sites": task.train_sites(),
            "licences": sorted({text for text in crystals["licence"].unique().to_pylist() if text}),
        },
        "sets": fit_sets(probabilities, target).as_dict(task.elements),
    }
    draft = run.path / "draft.onnx"
    write_model(architecture.graph(temperature), metadata, draft)
    assert sample is not None
    first = sample.pop("target") >= 0
    answers = load_model(draft).probabilities(sample)[first]
    trained, text = probabilities[: len(answers)], "the exported model differs from the trained one"
    result["export_difference"] = checked_difference(trained, answers, TOLERANCE, text)
    run.write_result(result)
    draft.replace(run.model)


def export_run(run: str | Path, dataset: str | Path | None = None) -> Model:
    """Export the model of a run folder again, from the best weights of its last checkpoint.

    Args:
        run: a run folder whose last stage has begun.
        dataset: the dataset that it was trained on; None opens the one that ``settings.json`` names.

    Raises:
        ModelError: it is no run folder, or its checkpoint is missing, damaged or of another version.
        InputError: the dataset is another one, or the last stage has not begun.
        DatasetError: the dataset cannot be opened.
    """
    folder = RunFolder(Path(run))
    settings, held = read_settings(folder)
    opened = open_dataset(dataset or held["dataset"])
    if opened.fingerprint != held["fingerprint"]:
        raise InputError(
            f"{run} was trained on the dataset of fingerprint {held['fingerprint']}, {opened.path} has "
            f"{opened.fingerprint}"
        )
    elements = parse_elements(",".join(held["chosen"]))
    architecture = architecture_class(settings.model)(settings.k, elements)
    checkpoint = folder.checkpoint(architecture.stages()[-1].name)
    if not checkpoint.is_file():
        raise InputError(f"{run} has no {checkpoint.name} yet; go on with: atomsight train ... --resume")
    architecture.network.load_state_dict(read_checkpoint(checkpoint)["best_weights"])
    epochs = folder.epochs()
    seconds = sum(record["seconds"] for record in epochs)
    task = Task(opened, settings, elements).sized(architecture)
    finish(architecture, task, folder, epochs, seconds)
    return load_model(folder.path)


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description="Export the model of a run folder from its checkpoint.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--dataset", type=Path, help="where the run's dataset lies now")
    given = parser.parse_args()
    try:
        model = export_run(given.run, given.dataset)
    except AtomsightError as error:
        parser.error(str(error))
    print(f"{given.run}: {model.metadata['val']}")


if __name__ == "__main__":
    main()
