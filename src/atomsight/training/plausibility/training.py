"""Training and export of the plausibility networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from atomsight.core.errors import InputError, ModelError
from atomsight.models.plausibility.inference import POOL
from atomsight.training.architecture import Architecture, SiteBatch, Stage
from atomsight.training.masked_site.graph import masked_site_graph, weights_of
from atomsight.training.masked_site.network import DEGREES, MaskedSiteNetwork
from atomsight.training.masked_site.training import NOT_WEIGHTS, compiler_found, half_pays

if TYPE_CHECKING:
    from onnx import GraphProto

K = 16
LAYERS = 3
HIDDEN = 96
ANGULAR = 16
"""Channels resolved by direction; 0 makes a network of distances alone."""

EPOCHS = 10
LEARNING_RATE = 2e-3
DROPPED = 0.1
TINY = 1e-20


@final
class Plausibility(Architecture):
    """Training and export of a network that distinguishes real crystals from decoys.

    It sees the elements of all sites and gives one logit a site. Each batch holds structures of several
    formulas, see `batch.batch_of`; a formula counts as a row that is predicted rightly when the real crystal
    is above all its decoys.

    Args:
        k: neighbours of a site.
        elements: not used: the network takes every element.
        angular: channels by direction.
        real_weight: of a real structure against a decoy, where each is judged by itself.
    """

    columns = ("distances", "neighbours", "directions", "element", "weight", "structure", "group", "real")
    whole_crystals = True
    names_elements = False
    classes = 2

    def __init__(
        self, k: int = K, elements: tuple[int, ...] = (), *, angular: int = ANGULAR, real_weight: float = 1.0
    ) -> None:
        self.k = k
        self.real_weight = real_weight
        self.network: MaskedSiteNetwork = network_of(k, angular)
        self._forward: Callable[..., Tensor] | None = None

    def prepare(self, batches: Iterable[SiteBatch]) -> None:
        """Do nothing: the network has no scales."""

    def stages(self) -> tuple[Stage, ...]:
        """Return one stage that trains everything."""
        stage = Stage("plausibility", self.network, self._loss, EPOCHS, LEARNING_RATE, weight_decay=0.01)
        return (replace(stage, optimiser=torch.optim.AdamW, longest_gradient=1.0),)

    def logits(self, batch: SiteBatch) -> Tensor:
        """Return (s,) log-odds of real against decoy of each structure."""
        if self._forward is None:
            compiles = batch["distances"].device.type == "cpu" and compiler_found()
            self._forward = torch.compile(self.network, dynamic=True) if compiles else self.network
        with torch.autocast(batch["distances"].device.type, torch.bfloat16, enabled=half_pays()):
            site = self._forward(
                batch["distances"], batch["neighbours"], batch["element"], batch["directions"]
            )[:, 0]
        return pooled(site.float(), batch["weight"], batch["structure"], len(batch["group"]))

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse, as for a masked-site model."""
        raise InputError("a plausibility network cannot grow; train it anew with the larger k")

    def restore(self, constants: Mapping[str, Any], temperature: float) -> None:
        """Take the size and the weights of an exported network.

        If that one predicts elements, the last layer is new.

        Raises:
            ModelError: it has another structure.
        """
        other = ModelError("the file holds another kind of network than those that judge crystals")
        weights = weights_of(constants, temperature)
        if not {"element.weight", "out.bias"} <= weights.keys():
            raise other
        layers = sum(name.endswith(".message.weight") for name in weights)
        turned = weights.get("layers.0.angle.weight")
        channels = 0 if turned is None else turned.shape[1] // (len(DEGREES) - 1)
        network = network_of(self.k, channels, weights["element.weight"].shape[1], layers)
        state = network.state_dict()
        last = {"out.weight", "out.bias"} if weights["out.bias"].size > 1 else set()
        taken = {name: array for name, array in weights.items() if name not in last}
        sizes = {name: array.size for name, array in taken.items()}
        if sizes != {name: state[name].numel() for name in state.keys() - last - set(NOT_WEIGHTS)}:
            raise other
        new = {name: torch.from_numpy(a.copy()).reshape(state[name].shape) for name, a in taken.items()}
        network.load_state_dict({**state, **new})
        self.network, self._forward = network, None

    def graph(self, temperature: float) -> GraphProto:
        """Return the network as an ONNX graph; its output is the logits of the sites."""
        return masked_site_graph(self.state(), self.k, temperature, softmax=False)

    def _loss(self, batch: SiteBatch) -> tuple[Tensor, Tensor]:
        if self.network.training:
            self.network.draws += 1
            torch.manual_seed(int(self.network.draws))  # of dropout, for a run that is taken up again
        return contrast(self.logits(batch), batch["group"], batch["real"], self.real_weight)


def network_of(k: int, angular: int, hidden: int = HIDDEN, layers: int = LAYERS) -> MaskedSiteNetwork:
    """Return a network with random weights.

    Raises:
        ModelError: it would have more layers than the masked-site network.
    """
    network = MaskedSiteNetwork(k, 1, hidden, angular=angular, dropped=DROPPED)
    if layers > len(network.layers):
        raise ModelError(f"the network has {layers} layers, more than {len(network.layers)}")
    network.layers = network.layers[:layers]
    return network


def pooled(logits: Tensor, weight: Tensor, structure: Tensor, structures: int) -> Tensor:
    """Return (s,) logit of each structure, as `inference.crystal_logits`."""
    zeros = logits.new_zeros(structures)
    mean = zeros.index_add(0, structure, weight * logits)
    power = zeros.index_add(0, structure, weight * torch.exp((-logits / POOL).clamp(max=30)))
    return 0.5 * (mean - POOL * power.log())


def contrast(score: Tensor, group: Tensor, real: Tensor, real_weight: float) -> tuple[Tensor, Tensor]:
    """Return the mean loss over groups, and the scores of the crystal itself and of its best decoy.

    The loss is the cross-entropy of each real structure among the decoys of its formula, plus half of the
    binary cross-entropy of each structure by itself.

    Args:
        score: (s,) log-odds of the structures.
        group: (s,) which formula each belongs to, ascending from 0; the crystal itself is first.
        real: (s,) bool.
        real_weight: of a real structure in the binary cross-entropy.

    Returns:
        The loss, and (groups, 2) scores.
    """
    groups = int(group[-1]) + 1
    lowest = score.new_full((groups,), -math.inf)
    held = score.detach()
    top = lowest.scatter_reduce(0, group, held, "amax")
    relative = torch.exp(score - top[group])
    wrong = score.new_zeros(groups).index_add(0, group[~real], relative[~real])
    owner = group[real]
    alike = torch.bincount(owner, minlength=groups)
    missed = torch.log1p(wrong[owner] / relative[real].clamp_min(TINY))
    named = (missed / alike[owner]).sum() / groups
    weight = torch.where(real, real_weight, 1.0)
    absolute = binary_cross_entropy_with_logits(score, real.to(score.dtype), weight=weight)
    first = torch.cat([group.new_ones(1, dtype=torch.bool), group[1:] != group[:-1]])
    worst = lowest.scatter_reduce(0, group[~real], held[~real], "amax")
    return named + 0.5 * absolute, torch.stack([held[first], worst], dim=1)


ARCHITECTURE = Plausibility
