"""Networks as ONNX graphs, built node by node: small, exact, and readable in any ONNX viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto


class Graph:
    """An ONNX graph under construction."""

    def __init__(self) -> None:
        self._inputs: list[Any] = []
        self._constants: list[Any] = []
        self._nodes: list[Any] = []

    def input(self, name: str, shape: Sequence[str | int], dtype: str = "FLOAT") -> Value:
        """Add an input with the name of its ONNX data type."""
        from onnx import TensorProto, helper

        data_type = getattr(TensorProto, dtype)
        self._inputs.append(helper.make_tensor_value_info(name, data_type, shape))
        return Value(self, name)

    def constant(self, value: Operand, name: str = "") -> Value:
        """Add numbers that are stored with the graph: float32, or int64 if all are integers."""
        from onnx import numpy_helper

        if isinstance(value, Value):
            return value
        array = np.asarray(value)
        array = np.array(array, dtype=np.int64 if array.dtype.kind == "i" else np.float32, order="C")
        name = name or f"constant.{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return Value(self, name)

    def __call__(self, operator: str, *operands: Operand, **attributes: Any) -> Value:
        """Add a node and return its output."""
        from onnx import helper

        inputs = [self.constant(operand).name for operand in operands]
        output = f"{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return Value(self, output)

    def finish(self, name: str, output: str, columns: int) -> GraphProto:
        """Return the graph. The output of its last node, (sites, columns) float32, gets a name."""
        from onnx import TensorProto, helper

        self._nodes[-1].output[0] = output
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["sites", columns])]
        graph: GraphProto = helper.make_graph(self._nodes, name, self._inputs, outputs, self._constants)
        return graph


@dataclass(frozen=True)
class Value:
    """A tensor of a graph. Arithmetic on it adds nodes."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> Value:
        return self.graph("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return self.graph("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph("Div", self, other)


Operand = Value | float | list[int] | NDArray[Any]
"""What a node takes: a tensor of the graph, or numbers that become a constant."""
