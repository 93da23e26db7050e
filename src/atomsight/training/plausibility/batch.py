"""Structures of several formulas as one training step sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def batch_of(
    distances: NDArray[np.floating],
    neighbours: NDArray[np.integer],
    directions: NDArray[np.int8],
    element: NDArray[np.integer],
    weight: NDArray[np.float32],
    sizes: NDArray[np.integer],
    group: Sequence[int],
    real: Sequence[bool],
    deviation: NDArray[np.floating],
    generator: np.random.Generator,
) -> dict[str, Tensor]:
    """The tensors of a step, with noise on the way to each neighbour.

    Args:
        distances, directions: (n, k) and (n, k, 3) of the sites, one structure after another.
        neighbours: (n, k) site within the structure.
        element, weight: (n,) atomic numbers and shares of the structure's atoms.
        sizes: (s,) sites of each structure.
        group: (s,) which formula a structure belongs to, ascending from 0.
        real: (s,).
        deviation: (s,) of the noise along each axis, Å.
        generator: draws the noise.
    """
    owner = np.repeat(np.arange(len(sizes)), sizes)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    straight = directions.astype(np.float32)
    straight /= np.maximum(np.linalg.norm(straight, axis=-1, keepdims=True), 1e-6)
    noise = deviation[owner, None, None].astype(np.float32)
    ways = distances[..., None] * straight + noise * generator.standard_normal(straight.shape, np.float32)
    lengths = np.linalg.norm(ways, axis=-1)
    ways /= np.maximum(lengths, 1e-6)[..., None]
    order = np.argsort(lengths, axis=1, kind="stable")
    rows = neighbours + begins[owner, None]
    return {
        "distances": torch.from_numpy(np.take_along_axis(lengths, order, 1).astype(np.float32)),
        "neighbours": torch.from_numpy(np.take_along_axis(rows, order, 1).astype(np.int64)),
        "directions": torch.from_numpy(np.take_along_axis(ways, order[..., None], 1).astype(np.float32)),
        "element": torch.from_numpy(element.astype(np.int64)),
        "weight": torch.from_numpy(weight),
        "structure": torch.from_numpy(owner),
        "group": torch.tensor(group),
        "real": torch.tensor(real),
    }
