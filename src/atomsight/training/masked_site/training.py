"""Training and export of the masked-site network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from atomsight.core.errors import InputError, ModelError
from atomsight.training.architecture import Architecture, SiteBatch, Stage
from atomsight.training.masked_site.augment import augment, rows_of_neighbours, unit_vectors
from atomsight.training.masked_site.graph import masked_site_graph, weights_of
from atomsight.training.masked_site.network import MaskedSiteNetwork

if TYPE_CHECKING:
    from onnx import GraphProto

BALANCE = 0.4
"""Class weights in the loss are the abundance to the power of minus this: three of four sites are H or C,
which are learnt early. The logits are not corrected for the weights. Subtracting the logarithm of the weights
(Menon et al. 2021, arXiv:2007.07314) gained less than 0.1 % of accuracy on ``val`` and lost some percent of
macro recall, with equal calibration."""

FEWEST = 30
"""Lower limit of the train sites of an element in the class weights."""

WORTH_COMPILING = 100_000
"""Train sites from which a minute of compilation pays on a CPU. A GPU runs an epoch in seconds without it."""

NOT_WEIGHTS = ("centres", "widths", "log_weight", "draws")
"""Parts of the network's state that are no weights."""

ROWS_OF_STEP = 1024
"""Default sites of a step. On a CPU its arrays fit into the cache."""

ROWS_MULTIPLE = 64
"""Batches on a CPU are padded to a multiple of this. oneDNN keeps a compiled matrix product for each number
of rows. Without padding, almost every batch of whole crystals would compile, and memory would grow."""


@final
class MaskedSite(Architecture):
    """Training and export of `MaskedSiteNetwork`."""

    columns = ("distances", "directions", "neighbours", "site", "element")
    whole_crystals = True

    def __init__(self, k: int, elements: tuple[int, ...]) -> None:
        self.k = k
        self.classes = len(elements)
        self.network: MaskedSiteNetwork = MaskedSiteNetwork(k, len(elements))
        self._forward: Callable[..., Tensor] = self.network
        self._worth_compiling = self._compiled = self._half = False

    def prepare(self, batches: Iterable[SiteBatch]) -> None:
        """Count the elements for their class weights, and find out whether compiling pays."""
        counts = torch.zeros_like(self.network.log_weight, dtype=torch.float64)
        for batch in batches:
            target = batch["target"]
            counts += torch.bincount(target[target >= 0], minlength=len(counts))
        share = counts / counts.sum()
        weight = (counts.clamp_min(FEWEST) / counts.sum()) ** -BALANCE
        self.network.log_weight.copy_((weight / (weight * share).sum()).log())
        self._worth_compiling = bool(counts.sum() >= WORTH_COMPILING) and compiler_found()

    def batch_size(self, train_sites: int) -> int:
        """Return `ROWS_OF_STEP`."""
        return ROWS_OF_STEP

    def stages(self) -> tuple[Stage, ...]:
        """Return one stage that trains everything."""
        stage = Stage("masked-site", self.network, self._loss, 20, learning_rate=2e-3, weight_decay=0.05)
        return (replace(stage, optimiser=torch.optim.AdamW, longest_gradient=1.0),)

    def logits(self, batch: SiteBatch) -> Tensor:
        """Return (n, elements) logits of the blind prediction, see `Architecture`."""
        k, neighbours = self.k, rows_of_neighbours(batch["site"], batch["neighbours"])
        hidden = torch.zeros_like(batch["element"])
        ways = unit_vectors(batch["directions"])
        return self._forward(batch["distances"][:, :k], neighbours[:, :k], hidden, ways[:, :k]).float()

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse: messages fade towards the k-th neighbour, so that another k changes all predictions."""
        raise InputError(
            "a masked-site model cannot grow: its messages fade towards the k-th neighbour, so no larger "
            "network answers as it does; train it anew with the larger k"
        )

    def restore(self, constants: Mapping[str, Any], temperature: float) -> None:
        """Take the weights from an exported graph, see `Architecture`."""
        held = self.network.state_dict()
        weights = weights_of(constants, temperature)
        shapes = {name: tuple(held[name].shape) for name in held if name not in NOT_WEIGHTS}
        if {name: array.shape for name, array in weights.items()} != shapes:
            raise ModelError(
                "the model's network is built otherwise than those trained today; start from another model"
            )
        self.network.load_state_dict({**held, **{name: torch.from_numpy(w) for name, w in weights.items()}})

    def graph(self, temperature: float) -> GraphProto:
        """Return the network as an ONNX graph."""
        return masked_site_graph(self.state(), self.k, temperature)

    def _loss(self, batch: SiteBatch) -> tuple[Tensor, Tensor]:
        device, n = batch["site"].device.type, len(batch["site"])
        if device == "cpu":
            batch = padded(batch)
        if self._worth_compiling and not self._compiled and self.network.training and device == "cpu":
            self._forward = torch.compile(self.network, dynamic=True)
            self._compiled, self._half = True, half_pays()
        with torch.autocast(device, torch.bfloat16, enabled=self._half):
            if not self.network.training:
                logits = self.logits(batch)
                return cross_entropy(logits, batch["target"], ignore_index=-1), logits[:n]
            self.network.draws += 1
            seed = int(self.network.draws)
            torch.manual_seed(seed)  # of dropout, for a run that is taken up again
            generator = torch.Generator(batch["site"].device).manual_seed(seed)
            seen = augment(batch, self.k, generator)
            logits = self._forward(seen.distances, seen.neighbours, seen.element, seen.directions).float()
        if not seen.scored.any():
            return logits.sum() * 0.0, logits[:n].detach()
        weight = self.network.log_weight.exp()
        loss = cross_entropy(logits[seen.scored], batch["target"][seen.scored], weight=weight)
        return loss, logits[:n].detach()


def padded(batch: SiteBatch) -> SiteBatch:
    """Return the batch padded to a multiple of `ROWS_MULTIPLE` with crystals of one unlabelled site."""
    missing = -len(batch["site"]) % ROWS_MULTIPLE
    if not missing:
        return batch
    values = {"target": -1, "distances": 3}
    return {
        name: torch.cat([rows, rows.new_full((missing, *rows.shape[1:]), values.get(name, 0))])
        for name, rows in batch.items()
    }


def compiler_found() -> bool:
    """Return whether ``torch.compile`` will find a C++ compiler."""
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++"))


def half_pays() -> bool:
    """Return whether this CPU multiplies bfloat16 matrices at full speed.

    Without AVX-512 a step takes seven times as long (benchmarks/half_precision.py).
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


ARCHITECTURE = MaskedSite
