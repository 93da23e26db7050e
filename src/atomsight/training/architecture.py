"""The interface of an architecture: what the training loop and the exporter need of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from atomsight.core.errors import InputError
from atomsight.training.soap import Soap

if TYPE_CHECKING:
    from onnx import GraphProto

DEFAULT_BATCH = 4096
"""Sites a batch where nothing else is asked for."""

SiteBatch = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """One part of a network, trained by itself while the rest stands still.

    Attributes:
        name: a word for progress, metrics and file names.
        module: the part that is trained.
        loss: from a batch to (mean loss, (n, classes) scores whose largest is the prediction). Rows with a
            ``target`` below 0 are in neither loss nor scores.
        epochs: passes over the train split, at most.
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

    names_elements: bool = True
    """Whether it is trained on a dataset alone to name the elements of sites, by `train.train_model`."""

    classes: int
    """Columns of the scores that the losses return."""

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
