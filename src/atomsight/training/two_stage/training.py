"""Training of the two-stage network: stage one, then stage two on its frozen outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from atomsight.core.errors import DatasetError
from atomsight.training.architecture import DEFAULT_BATCH, Architecture, SiteBatch, Stage
from atomsight.training.two_stage.graph import two_stage_graph
from atomsight.training.two_stage.network import TwoStageNetwork, weighted_cross_entropy

if TYPE_CHECKING:
    from onnx import GraphProto

LEAST_DEVIATION = 1e-3
"""Å; smallest standard deviation in the scaling of a distance."""


@final
class TwoStage(Architecture):
    """Training and export of `TwoStageNetwork`."""

    columns = ("distances",)

    def __init__(self, k: int, elements: tuple[int, ...]) -> None:
        self.classes = len(elements)
        self.network: TwoStageNetwork = TwoStageNetwork(k, elements)

    def prepare(self, batches: Iterable[SiteBatch]) -> None:
        """Compute mean and standard deviation of each distance over the train sites."""
        k = len(self.network.mean)
        count, total, squares = 0, torch.zeros(k, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
        for batch in batches:
            distances = batch["distances"].double()
            count += len(distances)
            total += distances.sum(dim=0)
            squares += distances.square().sum(dim=0)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(0.0).sqrt()
        if not bool(torch.isfinite(deviation).all()):
            raise DatasetError("the train split holds distances that are not finite; build the dataset again")
        self.network.mean.copy_(mean)
        self.network.scale.copy_(1 / deviation.clamp_min(LEAST_DEVIATION))

    def batch_size(self, train_sites: int) -> int:
        """Return a large batch that keeps all cores busy, but at least about 64 steps an epoch."""
        return min(DEFAULT_BATCH, max(256, train_sites // 64))

    def stages(self) -> tuple[Stage, ...]:
        """Return stage one and stage two.

        Both monitor accuracy: the loss on ``val`` rises early because of a few confident mistakes, which
        calibration corrects.
        """
        return (
            Stage("stage-one", self.network.stage_one, self._loss_one, 24, 0.1, 0.01),
            Stage("stage-two", self.network.stage_two, self._loss_two, 10, 0.1, 0.01),
        )

    def logits(self, batch: SiteBatch) -> Tensor:
        """Return (n, elements) logits, see `Architecture`."""
        return self.network.logits(batch["distances"])

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take the old weights and scales, and zero weights from the new distances into both stages."""
        own = self.network.state_dict()
        for name, tensor in weights.items():
            if name in ("mean", "scale"):
                own[name][: len(tensor)] = tensor
            elif name in ("stage_one.0.weight", "stage_two.weight"):
                own[name].zero_()
                own[name][:, : tensor.shape[1]] = tensor
            else:
                own[name].copy_(tensor)

    def graph(self, temperature: float) -> GraphProto:
        """Return the network as an ONNX graph."""
        return two_stage_graph(self.state(), temperature)

    def _loss_one(self, batch: SiteBatch) -> tuple[Tensor, Tensor]:
        scores = self.network.scores(batch["distances"])
        chosen = self.network.chosen
        return weighted_cross_entropy(scores, chosen[batch["target"]]), scores.detach()[:, chosen]

    def _loss_two(self, batch: SiteBatch) -> tuple[Tensor, Tensor]:
        logits = self.logits(batch)
        return cross_entropy(logits, batch["target"]), logits.detach()


ARCHITECTURE = TwoStage
