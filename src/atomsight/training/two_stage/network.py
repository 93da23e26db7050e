"""The two-stage network in PyTorch: layers, initial weights, losses."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

HIDDEN = 64
OUTPUTS = 118
"""One output per chemical element, whether or not the dataset holds it."""

TRUE_WEIGHT = 118.0
"""Weight of the true class against each of the 117 absent ones."""


class TwoStageNetwork(nn.Module):
    """Stage one: k distances -> 3 x 64 sigmoid -> 118 sigmoid. Stage two: [those, k distances] -> linear.

    The distances are standardised first, each by its mean and standard deviation over the train sites. This
    affine map precedes two linear layers, so the network can represent the same functions as with raw
    distances in Å, but trains faster.

    Args:
        k: distances of a site.
        elements: atomic numbers, in the order of stage two's outputs.
    """

    mean: Tensor
    scale: Tensor
    chosen: Tensor

    def __init__(self, k: int, elements: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(k))
        self.register_buffer("scale", torch.ones(k))
        self.register_buffer("chosen", torch.tensor(elements) - 1)
        widths = [k, HIDDEN, HIDDEN, HIDDEN, OUTPUTS]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            layers += [
                sigmoid_layer(before, after, first=index == 0, last=index == len(widths) - 2),
                nn.Sigmoid(),
            ]
        self.stage_one = nn.Sequential(*layers[:-1])
        self.stage_two = nn.Linear(OUTPUTS + k, len(elements))
        nn.init.zeros_(self.stage_two.weight)
        nn.init.zeros_(self.stage_two.bias)

    def standardised(self, distances: Tensor) -> Tensor:
        """Return (n, k) distances with zero mean and unit standard deviation."""
        return (distances - self.mean) * self.scale

    def scores(self, distances: Tensor) -> Tensor:
        """Return (n, 118) outputs of stage one before their sigmoid."""
        outputs: Tensor = self.stage_one(self.standardised(distances))
        return outputs

    def logits(self, distances: Tensor) -> Tensor:
        """Return (n, elements) logits of stage two; no gradient reaches stage one."""
        with torch.no_grad():
            standard = self.standardised(distances)
            joined = torch.cat([torch.sigmoid(self.stage_one(standard)), standard], dim=1)
        outputs: Tensor = self.stage_two(joined)
        return outputs


def sigmoid_layer(before: int, after: int, first: bool, last: bool) -> nn.Linear:
    """Return a linear layer whose initial weights let stacked sigmoids learn from the first step.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so weights of 4 times Glorot's size and a bias of minus half the row
    sum make the stack behave like tanh layers as initialised by Glorot and Bengio (2010,
    proceedings.mlr.press/v9/glorot10a). The first layer's input is standardised, and its biases are spread so
    that the units bend in different places. The outputs start low, since nearly all elements are absent from
    a site.
    """
    layer = nn.Linear(before, after)
    with torch.no_grad():
        if first:
            layer.weight.normal_(std=2 / before**0.5)
            layer.bias.normal_(std=2.0)
        else:
            nn.init.xavier_normal_(layer.weight, gain=2.0 if last else 4.0)
            layer.bias.copy_(-0.5 * layer.weight.sum(dim=1) - (4.0 if last else 0.0))
    return layer


def weighted_cross_entropy(scores: Tensor, number: Tensor) -> Tensor:
    """Return the binary cross-entropy over 118 outputs, the true one weighted by 118, nats.

    It is the mean over sites and outputs.

    Args:
        scores: (n, 118) outputs before their sigmoid.
        number: (n,) index of the true output, atomic number - 1.
    """
    # -ln(1 - sigmoid(x)) = softplus(x), and -ln sigmoid(x) = softplus(x) - x: one pass over the outputs
    # serves both.
    true = scores.gather(1, number[:, None]).squeeze(1)
    true_softplus = softplus(true)
    absent = softplus(scores).sum(dim=1) - true_softplus
    return (absent + TRUE_WEIGHT * (true_softplus - true)).mean() / OUTPUTS
