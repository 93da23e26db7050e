"""The two-stage network as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.training.graph import Graph

if TYPE_CHECKING:
    from onnx import GraphProto


def two_stage_graph(weights: Mapping[str, NDArray[np.float32]], temperature: float) -> GraphProto:
    """Build the graph ``distances`` (n, k) float32 Å -> ``probabilities`` (n, elements) float32.

    Args:
        weights: the network's state by PyTorch's names. The (k,) ``mean`` is subtracted from the distances,
            which are then multiplied by the (k,) ``scale``. The layers of stage one are in their order.
        temperature: the logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
    """
    graph = Graph()
    mean = weights["mean"]
    standardised = (graph.input("distances", ["sites", len(mean)]) - mean) * weights["scale"]
    signal = standardised
    for name, weight in weights.items():
        if name.startswith("stage_one.") and name.endswith(".weight"):
            bias = weights[name.replace(".weight", ".bias")]
            signal = graph("Sigmoid", graph("Gemm", signal, weight, bias, transB=1))
    joined = graph("Concat", signal, standardised, axis=1)
    logits = graph("Gemm", joined, weights["stage_two.weight"], weights["stage_two.bias"], transB=1)
    graph("Softmax", logits / temperature, axis=1)
    return graph.finish("two-stage", "probabilities", len(weights["stage_two.bias"]))
