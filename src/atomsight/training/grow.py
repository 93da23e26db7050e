"""Growth of a trained model to a larger k: the old weights are kept, the new inputs start with zero weights.

Net2Net (Chen, Goodfellow and Shlens 2016, arXiv:1511.05641) widens a network so that it computes the same
function. For inputs that the old network did not have, zero weights preserve the function, and gradients
reach them from the first step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import parse_elements
from atomsight.core.errors import InputError, ModelError
from atomsight.core.files import write_text
from atomsight.core.progress import OnProgress, Progress
from atomsight.models.artefacts import fingerprint_of
from atomsight.training.calibrate import checked_difference, softmax
from atomsight.training.extra import require_training_packages
from atomsight.training.registry import architecture_class
from atomsight.training.run_folder import RunFolder, check_origin, read_settings
from atomsight.training.settings import Settings, check_dataset
from atomsight.training.train import Start, train_model

if TYPE_CHECKING:
    from torch import Tensor

    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.training.architecture import Architecture, SiteBatch

TOLERANCE = 1e-6
"""Largest allowed difference of a probability between the untrained grown network and the old one."""

EPOCHS = 4
LEARNING_RATE = 0.03
"""Defaults of the fine-tuning, measured by ``benchmarks/grow.py``."""

GROWN_FILE = "grown.json"
"""File in the run folder: the run from which it grew, and the difference before the training."""


@dataclass(frozen=True)
class Parent:
    """A finished training run that can grow.

    Attributes:
        path: its folder.
        settings: of the run, with the elements as symbols.
        weights: its network's state.
        temperature: of its calibration.
        sha256: of its exported model.
    """

    path: Path
    settings: Settings
    weights: dict[str, Tensor]
    temperature: float
    sha256: str

    def architecture(self, k: int) -> Architecture:
        """Return an untrained architecture with the run's elements."""
        return architecture_class(self.settings.model)(k, parse_elements(self.settings.elements))


def read_parent(run: str | Path) -> Parent:
    """Open a run folder whose training has ended.

    Raises:
        ModelError: it is no run folder, its training has not ended, or its checkpoint is missing or damaged.
    """
    from atomsight.training.loop import read_checkpoint

    folder = RunFolder(Path(run))
    settings, record = read_settings(folder)
    if not folder.ended:
        raise ModelError(f"the training run {run} has not ended; go on with: atomsight train ... --resume")
    try:
        result = json.loads((folder.path / "result.json").read_text(encoding="utf-8"))
        checkpoint = folder.checkpoint(list(result["epochs"])[-1])
        settings = replace(settings, elements=",".join(record["chosen"]))
        temperature = float(result["temperature"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"the run folder {run} is damaged ({error}); train the model again") from error
    weights = read_checkpoint(checkpoint)["best_weights"]
    return Parent(folder.path, settings, weights, temperature, fingerprint_of(folder.model))


def grow_model(
    run: str | Path,
    dataset: Dataset,
    k: int,
    out: str | Path,
    *,
    epochs: int = EPOCHS,
    learning_rate: float = LEARNING_RATE,
    seed: int | None = None,
    progress: OnProgress | None = None,
    **how: Any,
) -> Model:
    """Grow a trained model to a larger k and fine-tune it.

    The new inputs get zero weights, so that the grown network gives the old probabilities until its first
    step; that is checked on sites of ``val``. Everything else is the usual training, in a run folder that can
    be evaluated, resumed and grown further.

    Args:
        run: folder of the finished run.
        dataset: what to fine-tune on, usually that of the run.
        k: the new k.
        out: the new run folder.
        epochs: passes in each stage.
        learning_rate: peak of the schedule.
        seed: of the order of the sites; None takes the run's.
        progress: receives the progress; first that of the stage ``grown``, whose `Progress.record` holds the
            largest difference of the two networks.
        **how: ``resume`` and ``hardware``, see `train_model`.

    Raises:
        InputError: k is not larger than the run's, this architecture cannot grow, or ``out`` holds something
            else.
        ModelError: the run cannot be used, or the grown network did not give the old probabilities.
        DatasetError: the dataset holds too few neighbours, or lacks an element of the run.
    """
    require_training_packages()
    import torch

    parent = read_parent(run)
    old = parent.settings
    if k <= old.k:
        raise InputError(f"k = {k} asked for, but {run} has k = {old.k}; give a larger k")
    settings = replace(
        old, k=k, epochs=epochs, learning_rate=learning_rate, seed=old.seed if seed is None else seed
    )
    check_dataset(settings, dataset)
    parent.architecture(k).adopt(parent.weights)
    origin = {"run": str(parent.path), "k": old.k, "sha256": parent.sha256}
    check_origin(Path(out), "grown_from", origin, same="sha256")

    def start(architecture: Architecture, val: Iterable[SiteBatch]) -> None:
        architecture.adopt(parent.weights)
        before = parent.architecture(old.k)
        before.network.load_state_dict(parent.weights)
        batch = next(iter(val))
        cut = {name: t[:, : old.k] if t.ndim == 2 else t for name, t in batch.items()}
        with torch.no_grad():
            small, large = (
                softmax(one.logits(sites).numpy(), parent.temperature)
                for one, sites in ((before, cut), (architecture, batch))
            )
        text = f"the grown network differs from {parent.path}"
        difference = checked_difference(small, large, TOLERANCE, text, " before its training")
        record = {
            "from": origin,
            "k": k,
            "parameters": architecture.n_parameters,
            "parameters_before": before.n_parameters,
            "difference": difference,
            "sites": len(large),
        }
        write_text(Path(out) / GROWN_FILE, json.dumps(record, indent=1) + "\n")
        if progress is not None:
            progress(Progress("grown", record={"event": "grown", **record}))

    beginning = Start(start, {"grown_from": origin})
    return train_model(dataset, out, settings, progress=progress, start=beginning, **how)
