"""Augmentation of training crystals: noise, strain, hydrogens left out, elements hidden."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from atomsight.geometry.neighbours.directions import UNIT
from atomsight.training.architecture import SiteBatch

NOISY = 0.7
"""Share of the crystals with noise and strain."""

STRAIN = 0.007
"""Standard deviation of a crystal's isotropic strain. Thermal expansion and errors of density functionals
change all lengths by about a percent."""

NOISE = 0.03
"""Å; largest standard deviation of the normal noise on the vector to each neighbour, along each axis."""

WITHOUT_HYDROGEN = 0.15
"""Share of the crystals without their hydrogens, as in many X-ray structures."""

ALL_HIDDEN = 0.5
"""Share of the crystals with all elements hidden. The others hide a uniformly drawn share of their sites."""


@dataclass(frozen=True)
class Augmented:
    """Inputs of the network for a batch, and the sites in the loss.

    Attributes:
        distances: (n, k) Å, ascending.
        directions: (n, k, 3) unit vectors.
        neighbours: (n, k) int64 rows of the batch.
        element: (n,) int64 atomic numbers, 0 where hidden.
        scored: (n,) whether the site's hidden element is in the loss.
    """

    distances: Tensor
    directions: Tensor
    neighbours: Tensor
    element: Tensor
    scored: Tensor


def rows_of_neighbours(site: Tensor, neighbours: Tensor) -> Tensor:
    """Return (n, k) rows of the batch from sites within each crystal; ``site`` counts from 0 in each."""
    first = torch.arange(len(site), device=site.device) - site
    return neighbours + first[:, None]


def unit_vectors(directions: Tensor) -> Tensor:
    """Return (n, k, 3) unit vectors from the dataset's (n, 3 k) int8."""
    return directions.reshape(len(directions), -1, 3).float() / UNIT


def augment(batch: SiteBatch, k: int, generator: torch.Generator) -> Augmented:
    """Return an augmented batch of whole crystals.

    Args:
        batch: ``distances``, ``directions`` and ``neighbours`` (n, k or more), ``site``, ``element`` and
            ``target`` (n,). Neighbours beyond the first k move up where hydrogens are left out.
        k: neighbours that the network uses.
        generator: on the device of the batch.
    """
    site, element = batch["site"], batch["element"]
    device = site.device
    crystal = (site == 0).cumsum(0) - 1
    crystals = int(crystal[-1]) + 1

    def draw(*shape: int, normal: bool = False) -> Tensor:
        return (torch.randn if normal else torch.rand)(*shape, generator=generator, device=device)

    neighbours = rows_of_neighbours(site, batch["neighbours"])
    distances, directions = batch["distances"], unit_vectors(batch["directions"])
    touched = (draw(crystals) < NOISY)[crystal, None]
    stretch = 1 + STRAIN * draw(crystals, normal=True)[crystal, None]
    deviation = NOISE * draw(crystals)[crystal, None, None]
    stretched = (distances * stretch)[..., None]
    straight = directions / directions.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    moved = stretched * straight + deviation * draw(*directions.shape, normal=True)
    length = moved.norm(dim=-1)
    distances = torch.where(touched, length, distances)
    directions = torch.where(touched[..., None], moved / length[..., None].clamp_min(1e-6), directions)

    without = (draw(crystals) < WITHOUT_HYDROGEN)[crystal]
    left_out = without & (element == 1)
    gone = left_out[neighbours]
    distances, directions, neighbours = nearest_left(distances, directions, neighbours, gone, k)

    rate = torch.where(draw(crystals) < ALL_HIDDEN, torch.ones(crystals, device=device), draw(crystals))
    hidden = draw(len(site)) < rate[crystal]
    scored = hidden & (batch["target"] >= 0) & ~left_out
    return Augmented(distances, directions, neighbours, element.masked_fill(hidden, 0), scored)


def nearest_left(
    distances: Tensor, directions: Tensor, neighbours: Tensor, gone: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the k nearest of the remaining neighbours, in ascending order.

    If fewer than k are left, the farthest of them is repeated. A site that would lose all keeps all.

    Args:
        distances: (n, m) Å.
        directions: (n, m, 3).
        neighbours: (n, m) rows.
        gone: (n, m) which of them are left out.
        k: at most m.

    Returns:
        (n, k) distances, (n, k, 3) directions, and (n, k) rows.
    """
    gone = gone & ~gone.all(dim=1, keepdim=True)
    distances, order = distances.masked_fill(gone, torch.inf).sort(dim=1)
    last = (~gone).sum(dim=1, keepdim=True) - 1
    place = torch.arange(k, device=distances.device).expand(len(distances), k).minimum(last)
    order = order.gather(1, place)
    ways = directions.gather(1, order[..., None].expand(-1, -1, 3))
    return distances.gather(1, place), ways, neighbours.gather(1, order)
