"""Training of a plausibility network on real crystals and decoys, in a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset

from atomsight.core.errors import InputError, ModelError
from atomsight.core.progress import OnProgress
from atomsight.core.version import __version__
from atomsight.models.load import model_file
from atomsight.models.onnx.floats import flushed
from atomsight.models.plausibility import inference
from atomsight.training.architecture import SiteBatch
from atomsight.training.data import READ_AHEAD, read_ahead
from atomsight.training.hardware import Hardware
from atomsight.training.loop import Schedule, Training, prepare
from atomsight.training.model_file import constants_of, write_model
from atomsight.training.plausibility.training import ANGULAR, K, Plausibility
from atomsight.training.processes import alone
from atomsight.training.run_folder import RunFolder
from atomsight.training.settings import RunSettings


class Source(Protocol):
    """Real structures and decoys of one split.

    Attributes:
        real_weight: of a real structure relative to a decoy in the binary cross-entropy.
    """

    real_weight: float

    def batches(self, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass, see `batch.batch_of`."""


@dataclass(frozen=True)
class PlausibilitySettings(RunSettings):
    """Everything that determines the result of a training, besides its data.

    Attributes:
        data: description of how structures and decoys are drawn.
        angular: channels by direction; 0 uses distances alone; None takes the default, or that of ``begin``.
        begin: model whose weights the training begins with: a plausibility network, or a masked-site model;
            None draws random weights.
        epochs: maximum of passes over the train split; None takes the architecture's default.
        learning_rate: peak of the schedule; None takes the architecture's default.
        patience: epochs without a better share of formulas on ``val`` whose real crystal is first.
        seed: of the weights and of all random numbers.
    """

    data: str = ""
    angular: int | None = None
    begin: str | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    patience: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        self.check_numbers(angular=0, epochs=1, patience=1, seed=0)


class SourceBatches(IterableDataset[SiteBatch]):
    """The batches of a source: newly drawn in each epoch for ``train``, always the same for ``val``.

    Args:
        source: of the structures.
        split: ``train`` or ``val``.
        seed: of the random numbers.
    """

    def __init__(self, source: Source, split: str, seed: int) -> None:
        super().__init__()
        self.source, self.split, self.seed = source, split, seed
        self.epoch: Callable[[], int] = lambda: 0
        self.place: Callable[[], tuple[int, int]] = alone

    def __iter__(self) -> Iterator[SiteBatch]:
        which = (0, self.epoch()) if self.split == "train" else (1, 0)
        return read_ahead(self._drawn(np.random.default_rng([self.seed, *which])), READ_AHEAD)

    def _drawn(self, generator: np.random.Generator) -> Iterator[SiteBatch]:
        for batch in self.source.batches(generator):
            groups = int(batch["group"][-1]) + 1
            yield {**batch, "target": batch["group"].new_zeros(groups)}  # the real crystal is to be first


def network_from(settings: PlausibilitySettings, real_weight: float = 1.0) -> Plausibility:
    """Return the architecture with its initial weights.

    Raises:
        ModelError: the initial model has another structure, or other channels by direction.
    """
    angular = ANGULAR if settings.angular is None else settings.angular
    architecture = Plausibility(K, angular=angular, real_weight=real_weight)
    if settings.begin is not None:
        architecture.restore(*constants_of(model_file(settings.begin)))
        if settings.angular not in (None, architecture.network.angular):
            raise ModelError(
                f"{settings.begin} has {architecture.network.angular} channels by direction, another kind of "
                f"network than one of {settings.angular}"
            )
    return architecture


def train_plausibility(
    sources: Callable[[], Mapping[str, Source]],
    out: str | Path,
    settings: PlausibilitySettings,
    record: Mapping[str, Any],
    *,
    resume: bool = False,
    hardware: Hardware | None = None,
    progress: OnProgress | None = None,
) -> inference.Plausibility:
    """Train a plausibility network, export it, and open the result.

    Args:
        sources: creates the structures and decoys by split, ``train`` and ``val``. It is called after the
            settings were checked, since it may take minutes.
        out: the run folder, see ``run_folder.py``.
        settings: what to train.
        record: goes into ``settings.json``: at least ``dataset`` and its ``fingerprint``.
        resume: continue the run in ``out``; one that has ended is only opened.
        hardware: where, in one process; None is the CPU.
        progress: receives the progress after each step and epoch.

    Raises:
        InputError: ``out`` holds another run, or other settings than those to go on with.
        ModelError: the initial model has another structure.
    """
    hardware = hardware or Hardware()
    if hardware.processes > 1 or hardware.in_memory:
        raise InputError("plausibility networks are trained in one process, from a stream")
    prepare(hardware, settings.seed)
    network_from(settings)
    run = RunFolder(Path(out))
    run.claim(settings, {"model": "plausibility", **record, "atomsight": __version__}, resume)
    if not run.ended:
        with flushed():
            _train(sources(), run, settings, hardware, progress)
    return inference.Plausibility(run.model)


def _train(
    sources: Mapping[str, Source],
    run: RunFolder,
    settings: PlausibilitySettings,
    hardware: Hardware,
    progress: OnProgress | None,
) -> None:
    started = time.perf_counter()
    prepare(hardware, settings.seed)
    architecture = network_from(settings, sources["train"].real_weight)
    batches = {split: SourceBatches(source, split, settings.seed) for split, source in sources.items()}
    steps = sum(1 for _ in batches["train"])
    schedule = Schedule(max(1, steps), settings.patience, settings.epochs, settings.learning_rate)
    epochs = Training(architecture, batches, run, schedule, hardware, progress).fit()
    best = max(epochs, key=lambda epoch: epoch["val_accuracy"])
    result = {
        "epochs": {"plausibility": len(epochs)},
        "seconds": round(time.perf_counter() - started, 1),
        "val": {"log_loss": best["val_loss"], "accuracy": best["val_accuracy"]},
    }
    run.write_result(result)
    export(architecture, run.model, {"settings": settings.as_dict(), "val": result["val"]})


def export(architecture: Plausibility, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a plausibility network as an ONNX file."""
    architecture.network.cpu()
    identity = {"kind": "plausibility", "k": str(architecture.k), "elements": "all"}
    write_model(architecture.graph(1.0), {**identity, **metadata}, path)
