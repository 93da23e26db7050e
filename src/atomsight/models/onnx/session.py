"""Networks in ONNX Runtime: how a session is opened, checked and run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models.onnx.floats import flushed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = 1
"""Version of the inputs, outputs and metadata of exported networks, in their metadata field ``format``.
Files without the field are of version 1."""

SITES_PER_CALL = 96
"""Whole crystals of about so many sites run together. The arrays over their edges then fit into the cache."""


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
    """Return the network's only output, with denormal numbers taken as zero, see `floats`."""
    with flushed():
        return np.asarray(session.run(None, dict(inputs))[0])


def run_crystals(
    session: InferenceSession, begins: NDArray[np.integer], columns: int, **inputs: NDArray[Any] | None
) -> NDArray[np.float32]:
    """Run a network on whole crystals, about `SITES_PER_CALL` sites together.

    Args:
        session: the network.
        begins: (s,) first row of each crystal, or of each part of which none is to be split.
        columns: of the output.
        **inputs: n rows each; ``neighbours`` holds rows. None is left out.

    Returns:
        (n, columns) float32.
    """
    held = {name: values for name, values in inputs.items() if values is not None}
    rows = len(held["distances"])
    parts = [np.empty((0, columns), np.float32)]
    start = 0
    ends = np.append(begins[1:], rows)
    while start < rows:
        end = int(ends[min(int(np.searchsorted(ends, start + SITES_PER_CALL)), len(ends) - 1)])
        some = {name: values[start:end] for name, values in held.items()}
        parts.append(run(session, {**some, "neighbours": some["neighbours"] - start}))
        start = end
    return np.concatenate(parts)


def uses_directions(session: InferenceSession) -> bool:
    """Return whether a network takes the directions of the neighbours."""
    return any(given.name == "directions" for given in session.get_inputs())
