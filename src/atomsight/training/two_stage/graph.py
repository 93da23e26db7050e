"""The two-stage network as an ONNX graph, node by node: small, exact, and readable in any ONNX viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    from onnx import TensorProto, helper, numpy_helper

    constants, nodes = [], []

    def constant(name: str, value: NDArray[np.float32]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def linear(layer: Layer, source: str, name: str) -> str:
        weight, bias = layer
        return node(
            "Gemm",
            [source, constant(f"{name}.weight", weight), constant(f"{name}.bias", bias)],
            name,
            transB=1,
        )

    centred = node("Sub", ["distances", constant("mean", mean)], "centred")
    standard = node("Mul", [centred, constant("scale", scale)], "standardised")
    signal = standard
    for index, layer in enumerate(stage_one):
        signal = node("Sigmoid", [linear(layer, signal, f"stage_one.{index}")], f"sigmoid.{index}")
    joined = node("Concat", [signal, standard], "stage_two.input", axis=1)
    logits = linear(stage_two, joined, "stage_two")
    cooled = node("Div", [logits, constant("temperature", np.array(temperature))], "logits")
    node("Softmax", [cooled], "probabilities", axis=1)
    return helper.make_graph(
        nodes,
        "two-stage",
        [helper.make_tensor_value_info("distances", TensorProto.FLOAT, ["sites", len(mean)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["sites", len(stage_two[1])])],
        constants,
    )
