"""The training loop of all architectures, run by Lightning."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from atomsight.core.errors import ModelError
from atomsight.core.progress import OnProgress, Progress
from atomsight.core.scores import macro_recall
from atomsight.training.architecture import Architecture, SiteBatch, Stage
from atomsight.training.hardware import Hardware
from atomsight.training.processes import alone
from atomsight.training.run_folder import RunFolder

CHECKPOINT_FORMAT = 1
"""Version of what `Keeper` writes into a checkpoint. Checkpoints without the field are of version 1."""

Records = list[dict[str, Any]]

WARM_UP = 0.2
"""Share of the steps in which the learning rate rises. Then it falls along a cosine to zero."""


class Scores:
    """Confusion counts and mean loss over batches."""

    def __init__(self, elements: int) -> None:
        self.matrix = torch.zeros(elements, elements, dtype=torch.int64)
        self.loss = 0.0

    def add(self, loss: float, scores: Tensor, target: Tensor) -> None:
        """Count a batch: mean loss, (n, elements) scores, (n,) true column or -1."""
        n = len(self.matrix)
        named = target >= 0
        if not named.any():
            return
        pairs = torch.bincount((target * n + scores.argmax(dim=1))[named], minlength=n * n)
        self.matrix += pairs.reshape(n, n).cpu()
        self.loss += loss * int(named.sum())

    def record(self, device: torch.device) -> dict[str, float]:
        """Return mean loss, accuracy and macro recall over the present elements, from all processes."""
        matrix, loss = self.matrix.to(device), torch.tensor(self.loss, dtype=torch.float32, device=device)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(matrix)
            torch.distributed.all_reduce(loss)
            self.loss = float(loss)
        counts = matrix.cpu()
        total = counts.sum()
        return {
            "val_loss": self.loss / int(total),
            "val_accuracy": float(counts.diagonal().double().sum() / total),
            "val_macro_recall": macro_recall(counts.numpy()),
        }


class StageModule(lightning.LightningModule):
    """A stage for Lightning. Holds the whole network, so that a checkpoint does too."""

    def __init__(self, network: nn.Module, stage: Stage, classes: int, steps: int) -> None:
        super().__init__()
        self.network, self.stage, self.classes, self.steps = network, stage, classes, steps
        network.requires_grad_(False)
        stage.module.requires_grad_(True)

    def on_train_epoch_start(self) -> None:
        """Reset the sums of the epoch."""
        self.started = time.perf_counter()
        self.train_loss, self.train_sites = 0.0, 0

    def training_step(self, batch: SiteBatch, index: int) -> Tensor:
        """Return the loss of a batch."""
        loss, _ = self.stage.loss(batch)
        sites = len(batch["target"])
        self.train_loss += float(loss.detach()) * sites
        self.train_sites += sites
        return loss

    def on_validation_epoch_start(self) -> None:
        """Reset the scores."""
        self.scores = Scores(self.classes)

    def validation_step(self, batch: SiteBatch, index: int) -> None:
        """Score a batch."""
        loss, scores = self.stage.loss(batch)
        self.scores.add(float(loss), scores, batch["target"])

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the stage with the one-cycle schedule."""
        stage = self.stage
        optimiser = stage.optimiser(
            stage.module.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
        )
        total = self.steps * stage.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step / total))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def epoch_record(self, epoch: int) -> dict[str, Any]:
        """Return the scores and the time of an epoch that has just ended."""
        return {
            "stage": self.stage.name,
            "epoch": epoch + 1,
            "train_loss": self.train_loss / max(self.train_sites, 1),
            **self.scores.record(self.device),
            "seconds": round(time.perf_counter() - self.started, 3),
        }


def one_cycle(share: float) -> float:
    """Return the learning-rate factor after a share of the steps: linear warm-up, then a half cosine to 0."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + cos(pi * min(1.0, (share - WARM_UP) / (1 - WARM_UP))))


class Keeper(lightning.Callback):
    """Keeps the best weights, writes metrics and checkpoint after each epoch, and stops the stage early.

    Args:
        checkpoint: file of the stage.
        patience: epochs without a better score before the stage stops.
        write: takes the records of the stage's epochs.
        progress: receives the progress.
    """

    _KEPT = ("history", "best_score", "best_epoch", "best_weights", "finished")

    def __init__(
        self, checkpoint: Path, patience: int, write: Callable[[Records], None], progress: OnProgress | None
    ) -> None:
        self.checkpoint, self.patience, self.write = checkpoint, patience, write
        self.progress: OnProgress = progress or (lambda done: None)
        self.history: Records = []
        self.best_score, self.best_epoch = -float("inf"), -1
        self.best_weights: dict[str, Tensor] = {}
        self.finished = False

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint."""
        return "keeper"

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint stores."""
        return {"format": CHECKPOINT_FORMAT, **{name: getattr(self, name) for name in self._KEPT}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what a checkpoint stores."""
        for name in self._KEPT:
            setattr(self, name, state_dict[name])

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report a step."""
        self._report(trainer, module, batch_idx + 1)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Score an epoch, write its records and checkpoint, and decide whether the stage has ended."""
        epoch, stage = trainer.current_epoch, module.stage
        record = module.epoch_record(epoch)
        self.history.append(record)
        score = record["val_accuracy"] if stage.monitor == "accuracy" else -record["val_loss"]
        if score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            state = module.network.state_dict()
            self.best_weights = {name: t.detach().cpu().clone() for name, t in state.items()}
        self.finished = epoch + 1 >= stage.epochs or epoch - self.best_epoch >= self.patience
        temporary = self.checkpoint.with_name(self.checkpoint.name + ".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.checkpoint)
            self.write(self.history)
        self._report(trainer, module, module.steps, {"event": "epoch", "epochs": stage.epochs, **record})
        trainer.should_stop = trainer.should_stop or self.finished

    def _report(
        self, trainer: lightning.Trainer, module: Any, done: int, record: Mapping[str, Any] | None = None
    ) -> None:
        stage, epoch = module.stage, trainer.current_epoch + 1
        when = {"epoch": epoch, "epochs": stage.epochs}
        self.progress(Progress(stage.name, done, module.steps, **when, record=record or {}))


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a training runs.

    Attributes:
        steps: of an epoch.
        patience: epochs without a better score on ``val`` before a stage stops.
        epochs: maximum of each stage; None takes the architecture's default.
        learning_rate: peak; None takes the architecture's default.
    """

    steps: int
    patience: int
    epochs: int | None = None
    learning_rate: float | None = None


def prepare(hardware: Hardware, seed: int) -> None:
    """Set PyTorch's threads, seed, and the precision of matrix products."""
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    if hardware.accelerator != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32 where the device has it
    torch.manual_seed(seed)


@dataclass
class Training:
    """The training of one network.

    Attributes:
        architecture: its network is trained in place.
        batches: by split, ``train`` and ``val``: iterable datasets of PyTorch with the attributes
            ``epoch``, which returns the number of the epoch that is about to be read, and ``place``, which
            returns the rank of this process and the number of processes.
        run: takes checkpoints and metrics; an interrupted run continues.
        schedule: how long and how fast.
        hardware: where.
        progress: receives the progress after each step and epoch.
    """

    architecture: Architecture
    batches: Mapping[str, Any]
    run: RunFolder
    schedule: Schedule
    hardware: Hardware
    progress: OnProgress | None = None

    def fit(self) -> list[dict[str, Any]]:
        """Train what is left of all stages, then restore the best weights.

        Returns:
            The records of all epochs.

        Raises:
            ModelError: a checkpoint is damaged or of another version.
        """
        history: list[dict[str, Any]] = []
        for stage in self.architecture.stages():
            epochs = self.schedule.epochs or stage.epochs
            learning_rate = self.schedule.learning_rate or stage.learning_rate
            history += self._fit(replace(stage, epochs=epochs, learning_rate=learning_rate), history)
        return history

    def _fit(self, stage: Stage, earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Train what is left of a stage; return the records of its epochs."""
        run, network, patience = self.run, self.architecture.network, self.schedule.patience
        checkpoint = run.checkpoint(stage.name)
        keeper = Keeper(checkpoint, patience, lambda new: run.write_epochs(earlier + new), self.progress)
        resumed = checkpoint if checkpoint.is_file() else None
        if resumed:
            keeper.load_state_dict(read_checkpoint(checkpoint))
        if not keeper.finished:
            module = StageModule(network, stage, self.architecture.classes, self.schedule.steps)
            self.batches["train"].epoch = lambda: len(keeper.history)
            self._run_lightning(module, keeper, resumed)
        network.load_state_dict(keeper.best_weights)
        return keeper.history

    def _run_lightning(self, module: StageModule, keeper: Keeper, checkpoint: Path | None) -> None:
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            accelerator=self.hardware.accelerator,
            devices=self.hardware.devices,
            num_nodes=self.hardware.nodes,
            strategy="ddp" if self.hardware.processes > 1 else "auto",
            max_epochs=module.stage.epochs,
            gradient_clip_val=module.stage.longest_gradient,
            callbacks=[keeper],
            num_sanity_val_steps=0,
            default_root_dir=self.run.path,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        for one in self.batches.values():
            one.place = lambda: (trainer.global_rank, trainer.world_size)
        train, val = (DataLoader(self.batches[split], batch_size=None) for split in ("train", "val"))
        try:
            with warnings.catch_warnings():
                # Batches are read in a thread; Lightning's advice on worker processes does not apply.
                warnings.filterwarnings("ignore", module="lightning")
                trainer.fit(module, train, val, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:  # Lightning turns Ctrl-C into this
            raise KeyboardInterrupt from error
        finally:
            for one in self.batches.values():
                one.place = alone


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `Keeper` wrote: ``history``, ``best_weights``, ``finished``, ...

    Raises:
        ModelError: the file is missing or damaged, or another version of atomsight wrote it.
    """
    if not path.is_file():
        raise ModelError(f"{path} is missing, and with it the weights; train the model again")
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)["callbacks"]["keeper"]
        version = state.get("format", 1)
    except Exception as error:  # torch raises what pickle, zipfile and its own reader raise
        raise ModelError(f"{path} is damaged ({error}); train the model again") from error
    if version != CHECKPOINT_FORMAT:
        raise ModelError(
            f"{path} is a checkpoint of format {version}; this version of atomsight reads format "
            f"{CHECKPOINT_FORMAT}: use the version that wrote it, or train the model again"
        )
    return state
