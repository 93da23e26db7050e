"""A trained model taken to a larger k: old weights kept, new inputs neutral, then fine-tuned.

Widening a network so that it computes the same function is Net2Net's idea (Chen, Goodfellow and Shlens 2016,
arXiv:1511.05641); for an input that the old network did not have, zero weights are the function-preserving
ones, and gradients reach them from the first step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import parse_elements
from atomsight.core.errors import InputError, ModelError
from atomsight.core.files import write_text
from atomsight.core.progress import OnProgress, Progress
from atomsight.training import calibrate
from atomsight.training.extra import require_training_packages
from atomsight.training.hardware import Hardware
from atomsight.training.registry import architecture_class
from atomsight.training.run_folder import RunFolder, held_origin, read_settings
from atomsight.training.settings import Settings, check_dataset
from atomsight.training.train import Start, train_model

if TYPE_CHECKING:
    from torch import Tensor

    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.training.architecture import Architecture, SiteBatch

TOLERANCE = 1e-6
"""Largest difference between a probability of the grown network before its training and the old one's."""

EPOCHS = 4
LEARNING_RATE = 0.03
"""Of the fine-tuning where nothing else is asked for: shorter and gentler than training anew. What they reach
is measured by ``benchmarks/grow.py``; other learning rates were not compared."""

GROWN_FILE = "grown.json"
"""In the run folder: from what the run grew, and that it answered the same before its training."""


@dataclass(frozen=True)
class Parent:
    """A finished training run that can grow.

    Attributes:
        path: its folder.
        settings: what it was asked for.
        chosen: symbols of its elements.
        fingerprint: of the dataset that it was trained on.
        weights: its network's state.
        temperature: of its calibration.
        digest: SHA-256 of its exported model.
    """

    path: Path
    settings: Settings
    chosen: tuple[str, ...]
    fingerprint: str
    weights: dict[str, Tensor]
    temperature: float
    digest: str


def read_parent(run: str | Path) -> Parent:
    """Open a run folder whose training has ended.

    Raises:
        ModelError: it is no run folder, its training has not ended, or its checkpoint is missing or damaged.
    """
    from atomsight.training.loop import read_checkpoint

    folder = RunFolder(Path(run))
    if not (folder.path / "settings.json").is_file():
        raise ModelError(f"{run} is no run folder; growing needs the folder that atomsight train wrote")
    if not folder.ended:
        raise ModelError(f"the training run {run} has not ended; go on with: atomsight train ... --resume")
    settings, held = read_settings(folder)
    try:
        result = json.loads((folder.path / "result.json").read_text(encoding="utf-8"))
        checkpoint = folder.checkpoint(list(result["epochs"])[-1])
        chosen, fingerprint = tuple(held["chosen"]), held["fingerprint"]
        temperature = float(result["temperature"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"the run folder {run} is damaged ({error}); train the model again") from error
    weights = read_checkpoint(checkpoint)["best_weights"]
    digest = hashlib.sha256(folder.model.read_bytes()).hexdigest()
    return Parent(folder.path, settings, chosen, fingerprint, weights, temperature, digest)


def grow_model(
    run: str | Path,
    dataset: Dataset,
    k: int,
    out: str | Path,
    *,
    epochs: int = EPOCHS,
    learning_rate: float = LEARNING_RATE,
    seed: int | None = None,
    resume: bool = False,
    hardware: Hardware | None = None,
    progress: OnProgress | None = None,
) -> Model:
    """Take a trained model to a larger k and fine-tune it.

    The new inputs get zero weights, so that the grown network answers as the old one did until its first
    step; that is checked on sites of ``val``. Everything else is the usual training, in a run folder of its
    own that can be evaluated, taken up again and grown further.

    Args:
        run: folder of the finished run.
        dataset: what to fine-tune on, usually that of the run.
        k: the new k.
        out: the new run folder.
        epochs: passes in each stage.
        learning_rate: peak of the schedule.
        seed: of the order of the sites; None takes the run's.
        resume: go on with the grown run in ``out``.
        hardware: where; None is this process, on the CPU.
        progress: receives the progress; first that of the stage ``grown``, whose `Progress.record` holds the
            largest difference of the two networks.

    Raises:
        InputError: k is not larger than the run's, this kind cannot grow, ``out`` holds something else.
        ModelError: the run cannot be used, or the grown network did not answer as the old one.
        DatasetError: the dataset holds too few neighbours, or lacks an element of the run.
    """
    require_training_packages()
    parent = read_parent(run)
    if k <= parent.settings.k:
        raise InputError(f"k = {k} asked for, but {run} has k = {parent.settings.k}; give a larger k")
    settings = Settings(
        model=parent.settings.model,
        k=k,
        elements=",".join(parent.chosen),
        cap=parent.settings.cap,
        epochs=epochs,
        batch_size=parent.settings.batch_size,
        learning_rate=learning_rate,
        patience=parent.settings.patience,
        seed=parent.settings.seed if seed is None else seed,
    )
    check_dataset(settings, dataset)
    _architecture(parent, k).adopt(parent.weights)
    origin = {"run": str(parent.path), "k": parent.settings.k, "sha256": parent.digest}
    _check_origin(Path(out), origin)
    return train_model(
        dataset,
        out,
        settings,
        resume=resume,
        hardware=hardware,
        progress=progress,
        start=Start(_neutral_start(parent, k, Path(out), origin, progress), {"grown_from": origin}),
    )


def _architecture(parent: Parent, k: int) -> Architecture:
    """An untrained one of the parent's kind and elements."""
    return architecture_class(parent.settings.model)(k, parse_elements(",".join(parent.chosen)))


def _check_origin(out: Path, origin: dict[str, Any]) -> None:
    """Refuse to go on with a run that grew from another."""
    there, held = held_origin(out, "grown_from")
    if there and (not held or held.get("sha256") != origin["sha256"]):
        grew = f"grew from {held['run']}" if held else "did not grow from another"
        raise InputError(f"{out} holds a run that {grew}; give another --out")


def _neutral_start(
    parent: Parent, k: int, out: Path, origin: dict[str, Any], progress: OnProgress | None
) -> Callable[[Architecture, Iterable[SiteBatch]], None]:
    def start(architecture: Architecture, val: Iterable[SiteBatch]) -> None:
        architecture.adopt(parent.weights)
        old = _architecture(parent, parent.settings.k)
        old.network.load_state_dict(parent.weights)
        difference, sites = largest_difference(old, architecture, val, parent.settings.k, parent.temperature)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the grown network differs from {parent.path} by {difference:.2g} in probability before its "
                f"training; {TOLERANCE} is allowed"
            )
        record = {
            "from": origin,
            "k": k,
            "parameters": parameters(architecture),
            "parameters_before": parameters(old),
            "difference": difference,
            "sites": sites,
        }
        write_text(out / GROWN_FILE, json.dumps(record, indent=1) + "\n")
        if progress is not None:
            progress(Progress("grown", record={"event": "grown", **record}))

    return start


def largest_difference(
    old: Architecture, grown: Architecture, batches: Iterable[SiteBatch], k: int, temperature: float
) -> tuple[float, int]:
    """The largest difference between their probabilities on the first batch, and its number of sites.

    Args:
        old: takes the first ``k`` columns.
        grown: takes them all.
    """
    import torch

    batch = next(iter(batches))
    cut = {name: t[:, :k] if t.ndim == 2 else t for name, t in batch.items()}
    with torch.no_grad():
        before, after = old.logits(cut).numpy(), grown.logits(batch).numpy()
    apart = calibrate.softmax(before, temperature) - calibrate.softmax(after, temperature)
    return float(abs(apart).max()), len(apart)


def parameters(architecture: Architecture) -> int:
    """Numbers that training adjusts."""
    return sum(p.numel() for p in architecture.network.parameters())
