"""One stage of training under Lightning: what an architecture provides, and the loop that serves them all."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from atomsight.errors import InputError
from atomsight.models.soap import Soap
from atomsight.models.stream import DEFAULT_BATCH, SiteBatch
from atomsight.scores import macro_recall

if TYPE_CHECKING:
    from onnx import GraphProto

WARM_UP = 0.2
"""Share of the steps in which the learning rate rises; in the rest it falls along a cosine to zero."""

Watcher = Callable[[dict[str, Any]], None]
"""Receives ``{"event": "step", stage, epoch, epochs, done, steps}``, or ``"epoch"`` with the scores."""


@dataclass(frozen=True)
class Stage:
    """One part of a network, trained by itself while the rest stands still.

    Attributes:
        name: a word for progress, metrics and file names.
        module: the part that is trained.
        loss: from a batch to (mean loss, (n, elements) scores whose largest is the prediction). Sites with a
            target below 0 are in neither loss nor scores.
        epochs: passes over the train sites, at most.
        learning_rate: peak of the one-cycle schedule (Smith and Topin 2018, arXiv:1708.07120).
        weight_decay: decoupled, of the matrices.
        monitor: the score on ``val`` that tells which epoch was best and when to stop early.
        optimiser: made from parameters, ``lr`` and ``weight_decay``.
        longest_gradient: longer ones are shortened to this; None leaves them.
    """

    name: str
    module: nn.Module
    loss: Callable[[SiteBatch], tuple[Tensor, Tensor]]
    epochs: int
    learning_rate: float
    weight_decay: float
    monitor: Literal["accuracy", "loss"]
    optimiser: Callable[..., torch.optim.Optimizer] = Soap
    longest_gradient: float | None = None


class Architecture(ABC):
    """How a kind of model is trained and exported: what a kind implements for the training loop to serve it.

    Attributes:
        network: holds all weights; its state is what a checkpoint keeps.
    """

    columns: tuple[str, ...]
    """Columns of the dataset that the batches hold."""

    whole_crystals: bool = False
    """Whether the batches hold whole crystals, with all their sites."""

    network: nn.Module

    @abstractmethod
    def __init__(self, k: int, elements: tuple[int, ...]) -> None:
        """Make the network with its initial weights; torch's generator is seeded before."""

    @abstractmethod
    def prepare(self, batches: Iterable[SiteBatch]) -> None:
        """Look at all train sites once, for scales and the like."""

    def batch_size(self, train_sites: int) -> int:
        """Sites a step where the settings leave it open."""
        return DEFAULT_BATCH

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages in the order in which they are trained."""

    @abstractmethod
    def logits(self, batch: SiteBatch) -> Tensor:
        """(n, elements): their softmax is the model's answer."""

    @abstractmethod
    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained network of this kind and of smaller k, and answer exactly as it did.

        Args:
            weights: the smaller network's state.

        Raises:
            InputError: networks of this kind cannot grow.
        """

    def restore(self, constants: Mapping[str, Any], temperature: float) -> None:
        """Take the weights back out of an exported graph.

        Args:
            constants: arrays by name, as `graph` names them.
            temperature: the one that the graph was made with.

        Raises:
            InputError: networks of this kind are trained anew only.
            ModelError: the graph is of a network that is built otherwise.
        """
        raise InputError(
            "only masked-site models are trained further; a two-stage model grows (atomsight grow)"
        )

    @abstractmethod
    def graph(self, temperature: float) -> GraphProto:
        """The network as an ONNX graph whose probabilities are the softmax of logits / temperature."""


Start = Callable[[Architecture, Iterable[SiteBatch]], None]
"""Sets initial weights; receives the architecture and the batches of ``val``."""


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

    def gather(self, device: torch.device) -> None:
        """Add up what all processes counted."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            matrix, loss = self.matrix.to(device), torch.tensor(self.loss, dtype=torch.float32, device=device)
            torch.distributed.all_reduce(matrix)
            torch.distributed.all_reduce(loss)
            self.matrix, self.loss = matrix.cpu(), float(loss)

    def record(self) -> dict[str, float]:
        """Mean loss, accuracy, and macro recall over the elements that are present."""
        total = self.matrix.sum()
        return {
            "val_loss": self.loss / int(total),
            "val_accuracy": float(self.matrix.diagonal().double().sum() / total),
            "val_macro_recall": macro_recall(self.matrix.numpy()),
        }


class StageModule(lightning.LightningModule):
    """A stage as Lightning wants it. Holds the whole network, so that a checkpoint does too."""

    def __init__(self, network: nn.Module, stage: Stage, elements: int, steps: int) -> None:
        super().__init__()
        self.network = network
        self.stage = stage
        self.elements = elements
        self.steps = steps
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for parameter in stage.module.parameters():
            parameter.requires_grad_(True)

    def on_train_epoch_start(self) -> None:
        self.train_loss, self.train_sites = 0.0, 0

    def training_step(self, batch: SiteBatch, index: int) -> Tensor:
        loss, _ = self.stage.loss(batch)
        sites = len(batch["target"])
        self.train_loss += float(loss.detach()) * sites
        self.train_sites += sites
        return loss

    def on_validation_epoch_start(self) -> None:
        self.scores = Scores(self.elements)

    def validation_step(self, batch: SiteBatch, index: int) -> None:
        loss, scores = self.stage.loss(batch)
        self.scores.add(float(loss), scores, batch["target"])

    def configure_optimizers(self) -> Any:
        stage = self.stage
        optimiser = stage.optimiser(
            stage.module.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
        )
        total = self.steps * stage.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: one_cycle(step / total))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def one_cycle(share: float) -> float:
    """Factor of the learning rate after a share of the steps: up from zero, then down a half cosine."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + cos(pi * min(1.0, (share - WARM_UP) / (1 - WARM_UP))))


class Keeper(lightning.Callback):
    """At the end of each epoch: keep the best weights, write metrics and checkpoint, stop when it is time."""

    def __init__(
        self,
        checkpoint: Path,
        patience: int,
        write: Callable[[list[dict[str, Any]]], None],
        watch: Watcher | None,
    ) -> None:
        self.checkpoint = checkpoint
        self.patience = patience
        self.write = write
        self.watch = watch
        self.history: list[dict[str, Any]] = []
        self.best_score = -float("inf")
        self.best_epoch = -1
        self.best_weights: dict[str, Tensor] = {}
        self.finished = False

    @property
    def state_key(self) -> str:
        return "keeper"

    def state_dict(self) -> dict[str, Any]:
        names = ("history", "best_score", "best_epoch", "best_weights", "finished")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.watch is not None:
            stage = module.stage
            place = {"stage": stage.name, "epoch": trainer.current_epoch + 1, "epochs": stage.epochs}
            self.watch({"event": "step", **place, "done": batch_idx + 1, "steps": module.steps})

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        epoch, stage = trainer.current_epoch, module.stage
        module.scores.gather(module.device)
        record = {
            "stage": stage.name,
            "epoch": epoch + 1,
            "train_loss": module.train_loss / max(module.train_sites, 1),
            **module.scores.record(),
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        self.history.append(record)
        score = record["val_accuracy"] if stage.monitor == "accuracy" else -record["val_loss"]
        if score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.best_weights = {
                name: t.detach().cpu().clone() for name, t in module.network.state_dict().items()
            }
        self.finished = epoch + 1 >= stage.epochs or epoch - self.best_epoch >= self.patience
        temporary = self.checkpoint.with_name(self.checkpoint.name + ".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.checkpoint)
            self.write(self.history)
        if self.watch is not None:
            self.watch({"event": "epoch", "epochs": stage.epochs, **record})
        if self.finished:
            trainer.should_stop = True
