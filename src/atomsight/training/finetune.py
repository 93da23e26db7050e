"""Fine-tuning: training that starts from the weights of a trained model.

A model is transferred to other crystals (Yosinski, Clune, Bengio and Lipson 2014, arXiv:1411.1792), or
trained longer. The weights are read from the exported file, so that bundled models serve as well as run
folders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import SYMBOLS
from atomsight.models.load import load_model, model_file
from atomsight.training.calibrate import checked_difference
from atomsight.training.extra import require_training_packages
from atomsight.training.model_file import constants_of
from atomsight.training.run_folder import check_origin
from atomsight.training.train import Start, train_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.training.architecture import Architecture, SiteBatch
    from atomsight.training.settings import Settings

TOLERANCE = 1e-4
"""Largest difference between a probability before the first step and the old model's."""


def train_further(
    model: str | Path, dataset: Dataset, out: str | Path, settings: Settings, **how: Any
) -> Model:
    """Train from the weights of a model, on its own dataset or on another.

    Architecture, k and elements are the model's own. Sites of other elements are inputs but not targets.
    Before the first step the network gives the probabilities of the model, which is checked on sites of
    ``val``. Everything else is as in `train_model`. The learning-rate schedule starts again.

    Args:
        model: name of a bundled model, run folder, or file of a masked-site model.
        dataset: an open dataset.
        out: the new run folder.
        settings: ``model``, ``k`` and ``elements`` are ignored.
        **how: the other arguments of `train_model`.

    Raises:
        InputError: a model of this kind cannot be trained on, or ``out`` holds a run that began otherwise.
        ModelError: there is no such model, or it is not built as those trained today.
        DatasetError, MissingExtraError: as `train_model`.
    """
    require_training_packages()
    old = load_model(model)
    settings = replace(settings, model=old.kind, k=old.k, elements=",".join(SYMBOLS[z] for z in old.elements))
    origin = {"model": old.name, "fingerprint": old.fingerprint}
    # The name decides: run folders of earlier versions hold fingerprints that did not cover the weights.
    check_origin(Path(out), "further_from", origin, same="model")
    constants, temperature = constants_of(model_file(model))

    def start(architecture: Architecture, val: Iterable[SiteBatch]) -> None:
        architecture.restore(constants, temperature)
        now, before = _probabilities(architecture, old, next(iter(val)), temperature)
        text = f"the network differs from {old.name}"
        checked_difference(now, before, TOLERANCE, text, " before its training")

    beginning = Start(start, {"further_from": origin}, all_present=False)
    return train_model(dataset, out, settings, start=beginning, **how)


def _probabilities(
    architecture: Architecture, old: Model, batch: SiteBatch, temperature: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the probabilities of a network and those of the old model on a batch."""
    import torch

    architecture.network.eval()
    with torch.no_grad():
        now = torch.softmax(architecture.logits(batch) / temperature, dim=1).numpy()
    architecture.network.train()
    return now, old.probabilities({name: rows.numpy() for name, rows in batch.items() if name != "target"})
