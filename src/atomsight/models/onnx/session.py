"""Networks in ONNX Runtime: opened and run alike everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models.onnx.floats import flushed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = 1
"""Version of the inputs, outputs and metadata of exported networks, which say it in their metadata
``format``. Files without the field are of version 1."""


def open_session(path: Path, threads: int) -> InferenceSession:
    """Open a network for the CPU.

    Args:
        path: an ONNX file.
        threads: threads that one run may use; 0 leaves it to ONNX Runtime (all cores).

    Raises:
        ModelError: the file is no network that ONNX Runtime can open, or is of another format version.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # in threads of its own
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        with flushed():
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own that share no public base
        raise ModelError(f"{path} is not a model that ONNX Runtime can open: {error}") from error
    version = session.get_modelmeta().custom_metadata_map.get("format", str(FORMAT))
    if version != str(FORMAT):
        raise ModelError(
            f"{path} is a model of format {version}; this version of atomsight reads format {FORMAT}: "
            "export it again from its run folder (python -m atomsight.training.export RUN)"
        )
    return session


def run(session: InferenceSession, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The network's only output, with denormal numbers taken as zero, see `floats`."""
    with flushed():
        answer: NDArray[Any] = session.run(None, dict(inputs))[0]
    return answer
