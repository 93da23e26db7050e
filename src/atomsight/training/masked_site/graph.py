"""The masked-site network as an ONNX graph, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.neighbours.directions import UNIT

if TYPE_CHECKING:
    from onnx import GraphProto

EPSILON = 1e-5
"""Of the layer normalisations, as in PyTorch."""


def masked_site_graph(weights: Mapping[str, NDArray[Any]], k: int, temperature: float) -> GraphProto:
    """Build the graph of `network.MaskedSiteNetwork` with a softmax at its end.

    Inputs: ``distances`` (n, k) float32 Å; ``neighbours`` (n, k) int64, row of each neighbour; ``element``
    (n,) int64, atomic number, 0 where hidden; ``directions`` (n, k, 3) int8 as in the dataset, where the
    network looks at them. Output: ``probabilities`` (n, elements) float32.

    Gate and value of a message are two matrices here, not halves of one, what a neighbour sends is added
    within the product with its radial functions, and the faded sum over the neighbours is a product of
    matrices: each spares a pass over the largest arrays.

    Args:
        weights: the network's state by PyTorch's names.
        k: neighbours of a site.
        temperature: the logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
    """
    from onnx import TensorProto, helper, numpy_helper

    from atomsight.training.masked_site.network import DEGREES, NEAREST, REACH, SOFT

    constants, nodes = [], []
    angle = weights.get("layers.0.angle.weight")
    angular = 0 if angle is None else angle.shape[1] // (len(DEGREES) - 1)
    hidden = weights["last_norm.weight"].shape[0]
    radial_size = weights["centres"].shape[0]

    def constant(name: str, value: NDArray[Any] | float, integer: bool = False) -> str:
        array = np.ascontiguousarray(value, dtype=np.int64 if integer else np.float32)
        constants.append(numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def linear(source: str, name: str) -> str:
        inputs = [source, constant(f"{name}.weight", weights[f"{name}.weight"])]
        if f"{name}.bias" in weights:
            inputs.append(constant(f"{name}.bias", weights[f"{name}.bias"]))
        return node("Gemm", inputs, name, transB=1)

    def norm(source: str, name: str) -> str:
        inputs = [source, *(constant(f"{name}.{p}", weights[f"{name}.{p}"]) for p in ("weight", "bias"))]
        return node("LayerNormalization", inputs, name, axis=-1, epsilon=EPSILON)

    def silu(source: str) -> str:
        return node("Mul", [source, node("Sigmoid", [source], f"{source}.sigmoid")], f"{source}.silu")

    one, last_axis = (
        constant(name, np.array([value]), integer=True) for name, value in (("one", 1), ("last", -1))
    )
    deep = node("Unsqueeze", ["distances", last_axis], "distances.deep")
    sharpness = 1 / weights["widths"].astype(np.float64)
    scaled = node("Mul", [deep, constant("radial.sharpness", sharpness)], "radial.scaled")
    apart = node("Sub", [scaled, constant("radial.shift", weights["centres"] * sharpness)], "radial.apart")
    radial = node(
        "Exp", [node("Neg", [node("Mul", [apart, apart], "radial.square")], "radial.exponent")], "radial"
    )
    far = node("ReduceMax", ["distances", one], "far.raw", keepdims=1)
    far = node("Max", [far, constant("nearest", NEAREST)], "far")
    ratio = node("Div", ["distances", node("Mul", [far, constant("reach", REACH)], "far.reach")], "ratio")
    square = node("Mul", [ratio, ratio], "ratio.2")
    fading = node("Sub", [constant("unit", 1.0), node("Mul", [square, square], "ratio.4")], "fading")
    fade = node("Unsqueeze", [node("Relu", [fading], "fade.flat"), one], "fade")

    if angular:
        angles = node("Mul", [harmonics_nodes(node, constant), fade], "angles")
        degrees = np.zeros((len(DEGREES) - 1, DEGREES[-1] - 1))
        for row, (first, end) in enumerate(pairwise(DEGREES)):
            degrees[row, first - 1 : end - 1] = 1
        constant("degrees", degrees)
        constant("soft", SOFT)
        constant("channels.from", np.array([0]), integer=True)
        constant("channels.to", np.array([angular]), integer=True)
        constant("powers.shape", np.array([-1, degrees.shape[0] * angular]), integer=True)

    flat_shape = constant("flat", np.array([-1, k * radial_size]), integer=True)
    flat = node("Reshape", [radial, flat_shape], "radial.flat")
    centred = node("Sub", [node("Div", ["distances", constant("three", 3.0)], "third"), "unit"], "centred")
    own = linear(node("Concat", [centred, flat], "own.input", axis=1), "own.0")
    named = node("Gather", [constant("element.weight", weights["element.weight"]), "element"], "named")
    state = node("Add", [linear(silu(own), "own.2"), named], "state")
    edges = node(
        "Reshape",
        [radial, constant("edges.shape", np.array([-1, radial_size]), integer=True)],
        "edges",
    )
    edges_from = node("Reshape", ["neighbours", last_axis], "edges.from")
    messages_shape = constant("messages.shape", np.array([-1, k, hidden]), integer=True)

    layer = 0
    while f"layers.{layer}.edge.weight" in weights:
        at = f"layers.{layer}"
        normal = norm(state, f"{at}.norm")
        halves = {}
        for half, rows in (("gate", slice(None, hidden)), ("value", slice(hidden, None))):
            name = f"{at}.{half}"
            receiver = node(
                "Gemm",
                [
                    normal,
                    constant(f"{name}.receiver.weight", weights[f"{at}.receiver.weight"][rows]),
                    constant(f"{name}.receiver.bias", weights[f"{at}.receiver.bias"][rows]),
                ],
                f"{name}.receiver",
                transB=1,
            )
            sender = node(
                "MatMul",
                [normal, constant(f"{name}.sender.weight", weights[f"{at}.sender.weight"][rows].T)],
                f"{name}.sender",
            )
            sent = node("Gather", [sender, edges_from], f"{name}.sent")
            edge_weight = constant(f"{name}.edge.weight", weights[f"{at}.edge.weight"][rows].T)
            both = node("Gemm", [edges, edge_weight, sent], f"{name}.edges")
            both = node("Reshape", [both, messages_shape], f"{name}.both")
            halves[half] = node(
                "Add", [both, node("Unsqueeze", [receiver, one], f"{name}.receiver.deep")], name
            )
        gate = node("Sigmoid", [halves["gate"]], f"{at}.open")
        message = node("Mul", [gate, silu(halves["value"])], f"{at}.messages")
        faded = node("MatMul", [fade, message], f"{at}.faded")
        summed = node("Squeeze", [faded, one], f"{at}.summed")
        heard = linear(summed, f"{at}.message")
        if angular:
            part = node("Slice", [message, "channels.from", "channels.to", "last"], f"{at}.channels")
            sums = node("MatMul", [angles, part], f"{at}.sums")
            squares = node("Mul", [sums, sums], f"{at}.squares")
            powers = node("MatMul", ["degrees", squares], f"{at}.powers")
            lengths = node("Sqrt", [node("Add", [powers, "soft"], f"{at}.softened")], f"{at}.lengths")
            lengths = node("Reshape", [lengths, "powers.shape"], f"{at}.lengths.flat")
            heard = node("Add", [heard, linear(lengths, f"{at}.angle")], f"{at}.heard")
        state = node("Add", [state, heard], f"{at}.state")
        wide = linear(norm(state, f"{at}.site_norm"), f"{at}.widen")
        state = node("Add", [state, linear(silu(wide), f"{at}.narrow")], f"{at}.out")
        layer += 1

    elements = weights["out.bias"].shape[0]
    logits = node(
        "Gemm",
        [
            norm(state, "last_norm"),
            constant("out.weight", weights["out.weight"] / temperature),
            constant("out.bias", weights["out.bias"] / temperature),
        ],
        "logits",
        transB=1,
    )
    node("Softmax", [logits], "probabilities", axis=1)
    looked_at = [
        helper.make_tensor_value_info("distances", TensorProto.FLOAT, ["sites", k]),
        helper.make_tensor_value_info("neighbours", TensorProto.INT64, ["sites", k]),
        helper.make_tensor_value_info("element", TensorProto.INT64, ["sites"]),
    ]
    if angular:
        looked_at.append(helper.make_tensor_value_info("directions", TensorProto.INT8, ["sites", k, 3]))
    return helper.make_graph(
        nodes,
        "masked-site",
        looked_at,
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["sites", elements])],
        constants,
    )


def weights_of(constants: Mapping[str, NDArray[Any]], temperature: float) -> dict[str, NDArray[np.float32]]:
    """The network's weights by PyTorch's names, out of the constants of `masked_site_graph`.

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


def harmonics_nodes(node: Callable[..., str], constant: Callable[..., str]) -> str:
    """The spherical harmonics of the input ``directions``, (n, 24, k): `network.racah` on terms of a graph.

    Args:
        node, constant: add one to the graph and give its name, see `masked_site_graph`.
    """
    from onnx import TensorProto

    from atomsight.training.masked_site.network import racah

    numbers = count()

    class Term:
        """A number of each edge, (n, k): arithmetic on it adds nodes."""

        def __init__(self, name: str) -> None:
            self.name = name

        def _with(self, kind: str, other: Term | float) -> Term:
            second = other.name if isinstance(other, Term) else constant(f"number.{next(numbers)}", other)
            return Term(node(kind, [self.name, second], f"term.{next(numbers)}"))

        def __mul__(self, other: Term | float) -> Term:
            return self._with("Mul", other)

        def __add__(self, other: Term | float) -> Term:
            return self._with("Add", other)

        def __sub__(self, other: Term | float) -> Term:
            return self._with("Sub", other)

    vectors = node("Cast", ["directions"], "vectors.whole", to=TensorProto.FLOAT)
    vectors = node("Mul", [vectors, constant("per_unit", 1 / UNIT)], "vectors")
    axes = (
        Term(node("Gather", [vectors, constant(f"axis.{i}", i, integer=True)], f"vectors.{i}", axis=2))
        for i in range(3)
    )
    terms = [node("Unsqueeze", [term.name, "one"], f"harmonic.{i}") for i, term in enumerate(racah(*axes))]
    return node("Concat", terms, "harmonics", axis=1)
