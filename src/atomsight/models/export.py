"""Write a model as an ONNX file that says what it is, and prove that ONNX Runtime computes the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.errors import MissingExtraError, ModelError
from atomsight.files import write_bytes

if TYPE_CHECKING:
    from onnx import GraphProto

OPSET = 20
IR_VERSION = 9
"""Old enough for ONNX Runtime 1.17, new enough for all that the graphs use."""

TOLERANCE = 1e-5
"""Largest difference between a probability in PyTorch and in ONNX Runtime."""


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
    _annotate(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(path, proto.SerializeToString(deterministic=True))


def add_metadata(source: Path, target: Path, metadata: Mapping[str, Any]) -> None:
    """Copy a model file, with more or other metadata."""
    onnx = onnx_library()
    proto = onnx.load(source)
    _annotate(proto, metadata)
    write_bytes(target, proto.SerializeToString(deterministic=True))


def check_agreement(expected: NDArray[np.floating], answer: NDArray[np.floating]) -> float:
    """The largest difference between probabilities from PyTorch and from ONNX Runtime.

    Raises:
        ModelError: it is larger than ``TOLERANCE``, so that the exported file would not be the trained model.
    """
    difference = float(np.abs(expected - answer).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"the exported model differs from the trained one by {difference:.2g} in probability; "
            f"{TOLERANCE} is allowed"
        )
    return difference


def onnx_library() -> Any:
    """The package onnx, which ``pip install atomsight`` leaves out.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "train", "exporting a model") from error
    return onnx


def _annotate(proto: Any, metadata: Mapping[str, Any]) -> None:
    held = {entry.key: entry.value for entry in proto.metadata_props}
    for key, value in metadata.items():
        held[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    del proto.metadata_props[:]
    for key in sorted(held):
        proto.metadata_props.add(key=key, value=held[key])
