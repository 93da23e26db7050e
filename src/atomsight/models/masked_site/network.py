"""The masked-site network in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, silu

HIDDEN = 96
LAYERS = 4
RADIAL = 32
NEAREST, FARTHEST = 0.6, 6.0
"""Å; the radial functions lie between them, denser near the short end where the bonds are."""

KNOWN = 119
"""Rows of the element embedding: atomic numbers, and 0 for a hidden element."""

REACH = 1.02
"""Times the distance of the last neighbour: where a message has faded to nothing. A neighbour that enters or
leaves the k nearest then changes the answer smoothly."""


class MaskedSiteNetwork(nn.Module):
    """k-NN distances and the graph of neighbours -> logits of the element of each site.

    Args:
        k: neighbours of a site.
        elements: how many elements it tells apart.
    """

    centres: Tensor
    widths: Tensor
    log_weight: Tensor
    """(elements,) logarithm of each element's weight in the loss."""

    draws: Tensor
    """Training steps so far plus a number from the seed: the seed of what the next step draws. It goes with
    the checkpoint, so that a run that is taken up again draws what it would have drawn."""

    def __init__(self, k: int, elements: int) -> None:
        super().__init__()
        centres = NEAREST + torch.linspace(0, 1, RADIAL) ** 1.5 * (FARTHEST - NEAREST)
        self.register_buffer("centres", centres)
        self.register_buffer("widths", 1.2 * torch.gradient(centres)[0])
        self.register_buffer("log_weight", torch.zeros(elements))
        self.register_buffer("draws", torch.randint(2**62, ()))
        self.element = nn.Embedding(KNOWN, HIDDEN)
        self.own = nn.Sequential(
            nn.Linear(k * (RADIAL + 1), 2 * HIDDEN), nn.SiLU(), nn.Linear(2 * HIDDEN, HIDDEN)
        )
        self.layers = nn.ModuleList(MessageLayer() for _ in range(LAYERS))
        self.last_norm = nn.LayerNorm(HIDDEN)
        self.out = nn.Linear(HIDDEN, elements)

    def forward(self, distances: Tensor, neighbours: Tensor, element: Tensor) -> Tensor:
        """(n, elements) logits.

        Args:
            distances: (n, k) Å, ascending.
            neighbours: (n, k) row of each neighbour's site.
            element: (n,) atomic number, 0 where hidden.
        """
        radial = torch.exp(-(((distances[..., None] - self.centres) / self.widths) ** 2))
        last = distances[:, -1:].clamp_min(NEAREST)
        fade = (1 - (distances / (REACH * last)) ** 4).clamp_min(0)[..., None]
        state = self.own(torch.cat([distances / 3 - 1, radial.flatten(1)], dim=1)) + self.element(element)
        for layer in self.layers:
            state = layer(state, radial, neighbours, fade)
        return self.out(self.last_norm(state))


class MessageLayer(nn.Module):
    """Gated messages from the neighbours, then two layers on each site; both are added to what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)
        self.receiver = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.sender = nn.Linear(HIDDEN, 2 * HIDDEN, bias=False)
        self.edge = nn.Linear(RADIAL, 2 * HIDDEN, bias=False)
        self.message = nn.Linear(HIDDEN, HIDDEN)
        self.site_norm = nn.LayerNorm(HIDDEN)
        self.widen = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.narrow = nn.Linear(2 * HIDDEN, HIDDEN)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, state: Tensor, radial: Tensor, neighbours: Tensor, fade: Tensor) -> Tensor:
        """(n, HIDDEN) new states; see `MaskedSiteNetwork.forward`."""
        normal = self.norm(state)
        # embedding() and not indexing: its backward pass on the CPU adds rows without sorting them first
        joined = (
            self.receiver(normal)[:, None] + embedding(neighbours, self.sender(normal)) + self.edge(radial)
        )
        gate, value = joined.chunk(2, dim=-1)
        state = state + self.message((torch.sigmoid(gate) * silu(value) * fade).sum(dim=1))
        return state + self.narrow(silu(self.widen(self.site_norm(state))))
