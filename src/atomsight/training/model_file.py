"""Model files: ONNX graphs with metadata, written and changed without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.files import write_bytes
from atomsight.models.onnx.session import FORMAT
from atomsight.training.extra import onnx_library

if TYPE_CHECKING:
    from onnx import GraphProto

OPSET = 20
IR_VERSION = 9
"""Readable by ONNX Runtime 1.17, and sufficient for the operators of the graphs."""


def write_model(graph: GraphProto, metadata: Mapping[str, Any], path: Path) -> None:
    """Write a graph with its metadata; the file is either whole or absent.

    Args:
        graph: the network.
        metadata: at least ``kind``, ``k`` and ``elements``; values that are no strings are stored as JSON.
        path: where to.
    """
    onnx = onnx_library()
    proto = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="atomsight",
    )
    _annotate(proto, {"format": FORMAT, **metadata})
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(path, proto.SerializeToString(deterministic=True))


def add_metadata(source: Path, target: Path, metadata: Mapping[str, Any]) -> None:
    """Copy a model file with additional or changed metadata."""
    onnx = onnx_library()
    proto = onnx.load(source)
    _annotate(proto, metadata)
    write_bytes(target, proto.SerializeToString(deterministic=True))


def constants_of(path: Path) -> tuple[dict[str, Any], float]:
    """Return the arrays of an exported file by name, and its temperature, 1 if it states none."""
    onnx = onnx_library()
    proto = onnx.load(path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    return arrays, float(metadata.get("temperature", 1.0))


def _annotate(proto: Any, metadata: Mapping[str, Any]) -> None:
    held = {entry.key: entry.value for entry in proto.metadata_props}
    for key, value in metadata.items():
        held[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    del proto.metadata_props[:]
    for key in sorted(held):
        proto.metadata_props.add(key=key, value=held[key])
