"""Weights of a two-stage network, as `two_stage_graph` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def two_stage_weights(
    mean: NDArray[np.float32], scale: NDArray[np.float32], stage_one: Sequence[Layer], stage_two: Layer
) -> dict[str, NDArray[np.float32]]:
    """Return weights by PyTorch's names, from weight (out, in) and bias (out,) of each layer."""
    weights = {"mean": mean, "scale": scale}
    for number, (weight, bias) in enumerate(stage_one):
        weights |= {f"stage_one.{2 * number}.weight": weight, f"stage_one.{2 * number}.bias": bias}
    return {**weights, "stage_two.weight": stage_two[0], "stage_two.bias": stage_two[1]}
