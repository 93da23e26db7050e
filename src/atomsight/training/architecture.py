"""The interface of an architecture: what the training loop and the exporter need of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from atomsight.core.errors import InputError
from atomsight.training.soap import Soap

if TYPE_CHECKING:
    from onnx import GraphProto

DEFAULT_BATCH = 4096
"""Default number of sites in a batch."""

SiteBatch = dict[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """One part of a network that is trained while the rest is frozen.

    Attributes:
        name: for progress, metrics and file names.
        module: the part that is trained.
        loss: from a batch to (mean loss, (n, classes) scores whose largest is the prediction). Rows with a
            ``target`` below 0 are in neither loss nor scores.
        epochs: passes over the train split, at most.
        learning_rate: peak of the one-cycle schedule (Smith and Topin 2018, arXiv:1708.07120).
        weight_decay: decoupled, of the matrices.
        monitor: the score on ``val`` that selects the best epoch and stops the stage early.
        optimiser: made from parameters, ``lr`` and ``weight_decay``.
        longest_gradient: gradients are clipped to this norm; None leaves them.
    """

    name: str
    module: nn.Module
    loss: Callable[[SiteBatch], tuple[Tensor, Tensor]]
    epochs: int
    learning_rate: float
    weight_decay: float
    monitor: Literal["accuracy", "loss"] = "accuracy"
    optimiser: Callable[..., torch.optim.Optimizer] = Soap
    longest_gradient: float | None = None


class Architecture(ABC):
    """Training and export of one architecture: what the training loop needs of it.

    Attributes:
        network: holds all weights; a checkpoint stores its state.
    """

    columns: tuple[str, ...]
    """Columns of the dataset that the batches hold."""

    whole_crystals: bool = False
    """Whether the batches hold whole crystals, with all their sites."""

    names_elements: bool = True
    """Whether it predicts the elements of sites and is trained on a dataset alone, by `train.train_model`."""

    classes: int
    """Columns of the scores that the losses return."""

    network: nn.Module

    @property
    def n_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.network.parameters())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the network as arrays."""
        return {name: t.detach().cpu().numpy() for name, t in self.network.state_dict().items()}

    @abstractmethod
    def __init__(self, k: int, elements: tuple[int, ...]) -> None:
        """Create the network with initial weights; torch's generator is seeded before."""

    @abstractmethod
    def prepare(self, batches: Iterable[SiteBatch]) -> None:
        """Read all train sites once, to fit scales and class weights."""

    def batch_size(self, train_sites: int) -> int:
        """Return the number of sites in a step if the settings name none."""
        return DEFAULT_BATCH

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in the order of their training."""

    @abstractmethod
    def logits(self, batch: SiteBatch) -> Tensor:
        """Return (n, elements) logits; their softmax is the prediction."""

    @abstractmethod
    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained network of smaller k and give exactly its probabilities.

        Args:
            weights: the smaller network's state.

        Raises:
            InputError: this architecture cannot grow.
        """

    def restore(self, constants: Mapping[str, Any], temperature: float) -> None:
        """Take the weights from an exported graph.

        Args:
            constants: arrays by name, as `graph` names them.
            temperature: the one that the graph was made with.

        Raises:
            InputError: this architecture cannot be fine-tuned.
            ModelError: the graph is of a network of another size.
        """
        raise InputError(
            "only masked-site models are trained further; a two-stage model grows (atomsight grow)"
        )

    @abstractmethod
    def graph(self, temperature: float) -> GraphProto:
        """Return the network as an ONNX graph whose probabilities are the softmax of logits / temperature."""
