"""What training does to crystals: noise, strain, hydrogens left out, elements hidden."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from atomsight.models.stream import SiteBatch

DISTURBED = 0.5
"""Share of the crystals that get noise and strain."""

STRAIN = 0.007
"""Standard deviation of a crystal's isotropic strain: thermal expansion, and functionals that over- or
underbind, move all lengths by about a percent."""

NOISE = 0.02
"""Å; a crystal's distances get normal noise of a deviation between zero and this."""

WITHOUT_HYDROGEN = 0.15
"""Share of the crystals whose hydrogens are left out, as in many X-ray structures."""

ALL_HIDDEN = 0.5
"""Share of the crystals that show no element at all; the others hide a share of their sites between none and
all."""


@dataclass(frozen=True)
class Disturbed:
    """What the network is given of a batch, and where its answer counts.

    Attributes:
        distances: (n, k) Å, ascending.
        neighbours: (n, k) int64 rows of the batch.
        element: (n,) int64 atomic numbers, 0 where hidden.
        scored: (n,) whether the site's element was hidden and is to be named.
    """

    distances: Tensor
    neighbours: Tensor
    element: Tensor
    scored: Tensor


def rows_of_neighbours(site: Tensor, neighbours: Tensor) -> Tensor:
    """(n, k) rows of the batch from the sites within each crystal; ``site`` counts from 0 in each."""
    first = torch.arange(len(site), device=site.device) - site
    return neighbours + first[:, None]


def disturb(batch: SiteBatch, k: int, generator: torch.Generator) -> Disturbed:
    """A batch of whole crystals as a training step sees it.

    Args:
        batch: ``distances`` and ``neighbours`` (n, k or more), ``site``, ``element`` and ``target`` (n,).
            Neighbours beyond the first k move up where hydrogens are left out.
        k: neighbours that the network looks at.
        generator: of the CPU, whatever the device of the batch.
    """
    site, element = batch["site"], batch["element"]
    device = site.device
    crystal = (site == 0).cumsum(0) - 1
    crystals = int(crystal[-1]) + 1

    def draw(*shape: int, normal: bool = False) -> Tensor:
        return (torch.randn if normal else torch.rand)(*shape, generator=generator).to(device)

    neighbours = rows_of_neighbours(site, batch["neighbours"])
    distances = batch["distances"]
    touched = (draw(crystals) < DISTURBED)[crystal, None]
    stretch = 1 + STRAIN * draw(crystals, normal=True)[crystal, None]
    deviation = NOISE * draw(crystals)[crystal, None]
    moved = distances * stretch + deviation * draw(*distances.shape, normal=True)
    distances = torch.where(touched, moved, distances).abs()

    without = (draw(crystals) < WITHOUT_HYDROGEN)[crystal]
    left_out = without & (element == 1)
    distances, neighbours = nearest_left(distances, neighbours, left_out[neighbours], k)

    rate = torch.where(draw(crystals) < ALL_HIDDEN, torch.ones(crystals, device=device), draw(crystals))
    hidden = draw(len(site)) < rate[crystal]
    return Disturbed(
        distances, neighbours, element.masked_fill(hidden, 0), hidden & (batch["target"] >= 0) & ~left_out
    )


def nearest_left(distances: Tensor, neighbours: Tensor, gone: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of the neighbours that are not gone, in ascending order.

    Where fewer than k are left, the farthest of them stands for what the table does not reach; a site that
    would lose all keeps all.

    Args:
        distances: (n, m) Å.
        neighbours: (n, m) rows.
        gone: (n, m) which of them are left out.
        k: at most m.

    Returns:
        (n, k) distances and rows.
    """
    gone = gone & ~gone.all(dim=1, keepdim=True)
    distances, order = distances.masked_fill(gone, torch.inf).sort(dim=1)
    last = (~gone).sum(dim=1, keepdim=True) - 1
    place = torch.arange(k, device=distances.device).expand(len(distances), k).minimum(last)
    return distances.gather(1, place), neighbours.gather(1, order.gather(1, place))
