"""The masked-site network in PyTorch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, silu

HIDDEN = 128
LAYERS = 4
RADIAL = 32
NEAREST, FARTHEST = 0.6, 6.0
"""Å; range of the radial functions, which are denser at bond lengths."""

ANGULAR = 24
"""Channels of a message that are resolved by direction."""

DEGREES = (1, 4, 9, 16, 25)
"""Squares: among the 24 spherical harmonics without degree 0, those of degree l have the indices from
``l**2 - 1`` to ``(l + 1)**2 - 1``."""

SOFT = 1e-3
"""Added under the root of a power, whose derivative diverges at zero."""

DROPOUT = 0.1
"""Dropout rate in each layer's site MLP. Without it long trainings overfit."""

KNOWN = 119
"""Rows of the element embedding: atomic numbers, and 0 for a hidden element."""

REACH = 1.02
"""Cutoff of the messages, relative to the distance of the last neighbour. A neighbour that enters or leaves
the k nearest then changes the output smoothly."""


class MaskedSiteNetwork(nn.Module):
    """k-NN distances, directions and the graph of neighbours -> logits of the element of each site.

    Args:
        k: neighbours of a site.
        elements: number of elements that it predicts.
        hidden: width of a site's state.
        angular: channels resolved by direction; 0 makes a network of distances alone.
        dropped: dropout rate in each layer's site MLP.
    """

    centres: Tensor
    widths: Tensor
    log_weight: Tensor
    """(elements,) logarithm of each element's weight in the loss."""

    draws: Tensor
    """Training steps so far plus a number from the seed: the random seed of the next step. A checkpoint
    stores it, so that a resumed run draws the same random numbers."""

    def __init__(
        self, k: int, elements: int, hidden: int = HIDDEN, angular: int = ANGULAR, dropped: float = DROPOUT
    ) -> None:
        super().__init__()
        self.angular = angular
        centres = NEAREST + torch.linspace(0, 1, RADIAL) ** 1.5 * (FARTHEST - NEAREST)
        self.register_buffer("centres", centres)
        self.register_buffer("widths", 1.2 * torch.gradient(centres)[0])
        self.register_buffer("log_weight", torch.zeros(elements))
        self.register_buffer("draws", torch.randint(2**62, ()))
        self.element = nn.Embedding(KNOWN, hidden)
        self.own = nn.Sequential(
            nn.Linear(k * (RADIAL + 1), 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden)
        )
        self.layers = nn.ModuleList(MessageLayer(hidden, angular, dropped) for _ in range(LAYERS))
        self.last_norm = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, elements)

    def forward(
        self, distances: Tensor, neighbours: Tensor, element: Tensor, directions: Tensor | None = None
    ) -> Tensor:
        """Return (n, elements) logits.

        Args:
            distances: (n, k) Å, ascending.
            neighbours: (n, k) row of each neighbour's site.
            element: (n,) atomic number, 0 where hidden.
            directions: (n, k, 3) unit vectors towards the neighbours; required unless ``angular`` is 0.
        """
        radial = torch.exp(-(((distances[..., None] - self.centres) / self.widths) ** 2))
        last = distances[:, -1:].clamp_min(NEAREST)
        fade = (1 - (distances / (REACH * last)) ** 4).clamp_min(0)[..., None]
        angles = None
        if self.angular:
            if directions is None:
                raise ValueError("directions: this network looks at them")
            angles = (fade * harmonics(directions)).transpose(1, 2)
        state = self.own(torch.cat([distances / 3 - 1, radial.flatten(1)], dim=1)) + self.element(element)
        for layer in self.layers:
            state = layer(state, radial, neighbours, fade, angles)
        logits: Tensor = self.out(self.last_norm(state))
        return logits


class MessageLayer(nn.Module):
    """Gated messages from the neighbours, then a site MLP, both with residual connections.

    The first channels of the messages are also summed with the spherical harmonics of their directions. The
    norm of each degree's sum is invariant under rotation and describes the angles between the neighbours (the
    power spectrum of Bartok, Kondor and Csanyi 2013, 10.1103/PhysRevB.87.184115, over learnt densities).
    """

    def __init__(self, hidden: int, angular: int, dropped: float) -> None:
        super().__init__()
        self.angular, self.dropped = angular, dropped
        self.norm = nn.LayerNorm(hidden)
        self.receiver = nn.Linear(hidden, 2 * hidden)
        self.sender = nn.Linear(hidden, 2 * hidden, bias=False)
        self.edge = nn.Linear(RADIAL, 2 * hidden, bias=False)
        self.message = nn.Linear(hidden, hidden)
        self.site_norm = nn.LayerNorm(hidden)
        self.widen = nn.Linear(hidden, 2 * hidden)
        self.narrow = nn.Linear(2 * hidden, hidden)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)
        if angular:
            self.angle = nn.Linear((len(DEGREES) - 1) * angular, hidden, bias=False)

    def forward(
        self, state: Tensor, radial: Tensor, neighbours: Tensor, fade: Tensor, angles: Tensor | None
    ) -> Tensor:
        """Return (n, hidden) new states; see `MaskedSiteNetwork.forward`."""
        normal = self.norm(state)
        # embedding() and not indexing: its backward pass on the CPU adds rows without sorting them first
        joined = (
            self.receiver(normal)[:, None] + embedding(neighbours, self.sender(normal)) + self.edge(radial)
        )
        gate, value = joined.chunk(2, dim=-1)
        messages = torch.sigmoid(gate) * silu(value)
        update = self.message((messages * fade).sum(dim=1))
        if angles is not None:
            sums = (angles @ messages[..., : self.angular].to(angles.dtype)).float() ** 2
            powers = [sums[:, a - 1 : b - 1].sum(dim=1) for a, b in pairwise(DEGREES)]
            update = update + self.angle((torch.cat(powers, dim=1) + SOFT).sqrt())
        state = state + update
        inner = dropout(silu(self.widen(self.site_norm(state))), self.dropped, self.training)
        updated: Tensor = state + self.narrow(inner)
        return updated


def harmonics(directions: Tensor) -> Tensor:
    """Return (..., 24) real spherical harmonics of degrees 1 to 4 of (..., 3) unit vectors, see `racah`."""
    return torch.stack(racah(*directions.unbind(-1)), dim=-1)


def racah(x: Any, y: Any, z: Any) -> list[Any]:
    """Return real spherical harmonics of degrees 1 to 4 in Racah's normalisation.

    The squares of each degree sum to 1.

    Args:
        x: first component of unit vectors: numbers, arrays or tensors of a graph.
        y: second component.
        z: third component.
    """
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    of_two, up, round_x, round_y = xx - yy, zz * 7.0 - 1.0, xx - yy * 3.0, xx * 3.0 - yy
    return [
        *(x, y, z),
        xy * 3**0.5,
        yz * 3**0.5,
        zz * 1.5 - 0.5,
        xz * 3**0.5,
        of_two * (3**0.5 / 2),
        y * round_y * (10**0.5 / 4),
        xy * z * 15**0.5,
        y * (zz * 5.0 - 1.0) * (6**0.5 / 4),
        z * (zz * 2.5 - 1.5),
        x * (zz * 5.0 - 1.0) * (6**0.5 / 4),
        z * of_two * (15**0.5 / 2),
        x * round_x * (10**0.5 / 4),
        xy * of_two * (35**0.5 / 2),
        yz * round_y * (70**0.5 / 4),
        xy * up * (5**0.5 / 2),
        yz * (zz * 7.0 - 3.0) * (10**0.5 / 4),
        (zz * 35.0 - 30.0) * zz * 0.125 + 0.375,
        xz * (zz * 7.0 - 3.0) * (10**0.5 / 4),
        of_two * up * (5**0.5 / 4),
        xz * round_x * (70**0.5 / 4),
        (of_two * of_two - xy * xy * 4.0) * (35**0.5 / 8),
    ]
