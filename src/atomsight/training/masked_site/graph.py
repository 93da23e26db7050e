"""The masked-site network as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.neighbours.directions import UNIT
from atomsight.training.graph import Graph, Value
from atomsight.training.masked_site.network import DEGREES, NEAREST, REACH, SOFT, racah

if TYPE_CHECKING:
    from onnx import GraphProto

EPSILON = 1e-5
"""Added to the variance in layer normalisations, as in PyTorch."""

Weights = Mapping[str, NDArray[Any]]


def masked_site_graph(weights: Weights, k: int, temperature: float, softmax: bool = True) -> GraphProto:
    """Build the graph of `network.MaskedSiteNetwork`.

    Inputs: ``distances`` (n, k) float32 Å; ``neighbours`` (n, k) int64, row of each neighbour; ``element``
    (n,) int64, atomic number, 0 where hidden; ``directions`` (n, k, 3) int8 as in the dataset, if the
    network uses them. Output: ``probabilities`` (n, elements) float32, or ``logits``.

    The graph spares passes over the largest arrays. Gate and value of a message are two matrices, not halves
    of one. The sender's part is added within the product with the radial functions. The faded sum over the
    neighbours is a matrix product.

    Args:
        weights: the network's state by PyTorch's names.
        k: neighbours of a site.
        temperature: the logits are divided by it (Guo et al. 2017, arXiv:1706.04599).
        softmax: end with a softmax over the elements.
    """
    graph = Graph()
    angle = weights.get("layers.0.angle.weight")
    angular = 0 if angle is None else angle.shape[1] // (len(DEGREES) - 1)
    hidden, n_radial = len(weights["last_norm.weight"]), len(weights["centres"])
    distances = graph.input("distances", ["sites", k])
    neighbours = graph.input("neighbours", ["sites", k], "INT64")
    element = graph.input("element", ["sites"], "INT64")

    def parameters(name: str) -> list[Value]:
        names = (f"{name}.{part}" for part in ("weight", "bias"))
        return [graph.constant(weights[one], one) for one in names if one in weights]

    def linear(source: Value, name: str) -> Value:
        return graph("Gemm", source, *parameters(name), transB=1)

    def norm(source: Value, name: str) -> Value:
        return graph("LayerNormalization", source, *parameters(name), axis=-1, epsilon=EPSILON)

    def silu(source: Value) -> Value:
        return source * graph("Sigmoid", source)

    sharpness = 1 / weights["widths"].astype(np.float64)
    offset = graph("Unsqueeze", distances, [-1]) * sharpness - weights["centres"] * sharpness
    radial = graph("Exp", graph("Neg", offset * offset))
    farthest = graph("Max", graph("ReduceMax", distances, [1], keepdims=1), NEAREST)
    ratio = distances / (farthest * REACH)
    square = ratio * ratio
    fade = graph("Unsqueeze", graph("Relu", graph("Sub", 1.0, square * square)), [1])
    if angular:
        directions = graph.input("directions", ["sites", k, 3], "INT8")
        angles = harmonics_of(directions) * fade
        degrees = np.zeros((len(DEGREES) - 1, DEGREES[-1] - 1))
        for row, (first, end) in enumerate(pairwise(DEGREES)):
            degrees[row, first - 1 : end - 1] = 1

    flat = graph("Reshape", radial, [-1, k * n_radial])
    own = linear(graph("Concat", distances / 3.0 - 1.0, flat, axis=1), "own.0")
    embedding = graph.constant(weights["element.weight"], "element.weight")
    state = linear(silu(own), "own.2") + graph("Gather", embedding, element)
    edges = graph("Reshape", radial, [-1, n_radial])
    senders = graph("Reshape", neighbours, [-1])

    def half_of_messages(normal: Value, at: str, half: str, rows: slice) -> Value:
        def part(name: str, transposed: bool = False) -> Value:
            array = weights[f"{at}.{name}"][rows]
            return graph.constant(array.T if transposed else array, f"{at}.{half}.{name}")

        receiver = graph("Gemm", normal, part("receiver.weight"), part("receiver.bias"), transB=1)
        sent = graph("Gather", graph("MatMul", normal, part("sender.weight", True)), senders)
        both = graph("Gemm", edges, part("edge.weight", True), sent)
        return graph("Reshape", both, [-1, k, hidden]) + graph("Unsqueeze", receiver, [1])

    for layer in range(sum(name.endswith(".edge.weight") for name in weights)):
        at = f"layers.{layer}"
        normal = norm(state, f"{at}.norm")
        gate = half_of_messages(normal, at, "gate", slice(None, hidden))
        value = half_of_messages(normal, at, "value", slice(hidden, None))
        messages = graph("Sigmoid", gate) * silu(value)
        update = linear(graph("Squeeze", graph("MatMul", fade, messages), [1]), f"{at}.message")
        if angular:
            sums = graph("MatMul", angles, graph("Slice", messages, [0], [angular], [-1]))
            lengths = graph("Sqrt", graph("MatMul", graph.constant(degrees), sums * sums) + SOFT)
            update += linear(graph("Reshape", lengths, [-1, len(degrees) * angular]), f"{at}.angle")
        state += update
        wide = linear(norm(state, f"{at}.site_norm"), f"{at}.widen")
        state += linear(silu(wide), f"{at}.narrow")

    last = (graph.constant(weights[name] / temperature, name) for name in ("out.weight", "out.bias"))
    logits = graph("Gemm", norm(state, "last_norm"), *last, transB=1)
    if softmax:
        graph("Softmax", logits, axis=1)
    return graph.finish("masked-site", "probabilities" if softmax else "logits", len(weights["out.bias"]))


def weights_of(constants: Weights, temperature: float) -> dict[str, NDArray[np.float32]]:
    """Return the network's weights by PyTorch's names, from the constants of `masked_site_graph`.

    Args:
        constants: arrays by name.
        temperature: the one that the graph was made with.
    """
    found = {}
    for name, array in constants.items():
        layer, _, rest = name.partition(".gate.")
        if rest:  # gate and value are halves of one matrix; those that are not Gemm's are turned
            turn = rest in ("sender.weight", "edge.weight")
            halves = (half.T if turn else half for half in (array, constants[f"{layer}.value.{rest}"]))
            found[f"{layer}.{rest}"] = np.concatenate(list(halves))
        elif name.endswith((".weight", ".bias")) and ".value." not in name:
            found[name] = array * np.float32(temperature) if name.startswith("out.") else array
    return {name: np.array(array, dtype=np.float32) for name, array in found.items()}


def harmonics_of(directions: Value) -> Value:
    """Add the spherical harmonics of the input ``directions``, (n, 24, k), see `network.racah`."""
    graph = directions.graph
    vectors = graph("Cast", directions, to=1) * (1 / UNIT)
    components = (graph("Gather", vectors, np.array(axis), axis=2) for axis in range(3))
    terms = [graph("Unsqueeze", term, [1]) for term in racah(*components)]
    return graph("Concat", *terms, axis=1)
