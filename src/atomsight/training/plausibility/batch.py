"""Training batches of the plausibility networks: structures of several formulas, with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Structures:
    """Structures one after another.

    Attributes:
        distances: (n, k) Å.
        neighbours: (n, k) site within the structure.
        directions: (n, k, 3) towards the neighbours, of any length.
        element: (n,) atomic numbers.
        weight: (n,) float32 share of the structure's atoms.
        sizes: (s,) sites of each structure.
    """

    distances: NDArray[np.floating]
    neighbours: NDArray[np.integer]
    directions: NDArray[np.int8]
    element: NDArray[np.integer]
    weight: NDArray[np.float32]
    sizes: NDArray[np.integer]


def batch_of(
    structures: Structures,
    group: Sequence[int],
    real: Sequence[bool],
    stretch: NDArray[np.floating],
    noise: float,
    generator: np.random.Generator,
) -> dict[str, Tensor]:
    """Return the tensors of a step, with noise on the vector to each neighbour.

    Args:
        structures: s of them.
        group: (s,) which formula a structure belongs to, ascending from 0.
        real: (s,) whether it is a real crystal.
        stretch: (s,) factors of the lengths.
        noise: Å, largest standard deviation along each axis. Each structure draws its own.
        generator: draws the noise.
    """
    owner = np.repeat(np.arange(len(structures.sizes)), structures.sizes)
    begins = np.concatenate([[0], np.cumsum(structures.sizes)[:-1]])
    deviation = (noise * generator.random(len(structures.sizes)) ** 2)[owner, None, None].astype(np.float32)
    distances = structures.distances * stretch[owner, None]
    straight = structures.directions.astype(np.float32)
    straight /= np.maximum(np.linalg.norm(straight, axis=-1, keepdims=True), 1e-6)
    vectors = distances[..., None] * straight
    vectors = vectors + deviation * generator.standard_normal(straight.shape, np.float32)
    lengths = np.linalg.norm(vectors, axis=-1)
    vectors /= np.maximum(lengths, 1e-6)[..., None]
    order = np.argsort(lengths, axis=1, kind="stable")
    rows = structures.neighbours + begins[owner, None]
    return {
        "distances": torch.from_numpy(np.take_along_axis(lengths, order, 1).astype(np.float32)),
        "neighbours": torch.from_numpy(np.take_along_axis(rows, order, 1).astype(np.int64)),
        "directions": torch.from_numpy(np.take_along_axis(vectors, order[..., None], 1).astype(np.float32)),
        "element": torch.from_numpy(structures.element.astype(np.int64)),
        "weight": torch.from_numpy(structures.weight),
        "structure": torch.from_numpy(owner),
        "group": torch.tensor(group),
        "real": torch.tensor(real),
    }
