"""The two-stage network as an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.training.graph import Graph

if TYPE_CHECKING:
    from onnx import GraphProto

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def two_stage_graph(
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    stage_one: Sequence[Layer],
    stage_two: Layer,
    temperature: float,
) -> GraphProto:
    """Build the graph ``distances`` (n, k) float32 Å -> ``probabilities`` (n, elements) float32.

    Args:
        mean: (k,) subtracted from the distances.
        scale: (k,) then multiplied by this; 1 / standard deviation.
        stage_one: weight (out, in) and bias (out,) of each layer, the sigmoid outputs last.
        stage_two: weight (elements, 118 + k) and bias.
        temperature: the logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
    """
    graph = Graph()
    standardised = (graph.input("distances", ["sites", len(mean)]) - mean) * scale
    signal = standardised
    for layer in stage_one:
        signal = graph("Sigmoid", graph("Gemm", signal, *layer, transB=1))
    joined = graph("Concat", signal, standardised, axis=1)
    logits = graph("Gemm", joined, *stage_two, transB=1)
    graph("Softmax", logits / temperature, axis=1)
    return graph.finish("two-stage", "probabilities", len(stage_two[1]))
