"""A model's file written anew with the graph of today: the same weights, perhaps quicker.

    python -m atomsight.models.masked_site.regraph FILE.onnx ...

Answers change by rounding alone, which is checked on the files' own kind of input before a file is replaced.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.errors import ModelError
from atomsight.models.masked_site.graph import masked_site_graph, weights_of

ROUNDING = 1e-4
"""Largest difference of an answer that is taken for rounding, relative to answers above one."""


def regraph(path: Path) -> float:
    """Replace a file of a masked-site network, or of one for plausibilities, by one with today's graph.

    Returns:
        The largest difference of an answer on random crystals.

    Raises:
        ModelError: the answers are not the same.
    """
    import onnx

    model = onnx.load(path)
    constants = {held.name: onnx.numpy_helper.to_array(held) for held in model.graph.initializer}
    weights = weights_of(constants, 1.0)
    sharpness = constants["radial.sharpness"]
    weights["widths"] = (1 / sharpness).astype(np.float32)
    weights["centres"] = (constants["radial.shift"] / sharpness).astype(np.float32)
    k = next(
        held.type.tensor_type.shape.dim[1].dim_value for held in model.graph.input if held.name == "distances"
    )
    graph = masked_site_graph(weights, k, 1.0)
    if model.graph.output[0].name == "logits":  # of plausibilities, which end without a softmax
        del graph.node[-1]
        del graph.output[:]
        graph.output.append(model.graph.output[0])
    for held in graph.initializer:  # to the bit as they were, where the way through the weights rounds
        if held.name in constants:
            held.CopyFrom(onnx.numpy_helper.from_array(constants[held.name], held.name))
    new = onnx.ModelProto()
    new.CopyFrom(model)
    new.graph.CopyFrom(graph)
    spare = path.with_suffix(".new.onnx")
    onnx.save(new, spare)
    difference = _difference(path, spare, k)
    if not difference < ROUNDING:
        spare.unlink()
        raise ModelError(f"{path}: today's graph answers otherwise, by up to {difference:.2g}")
    os.replace(spare, path)
    return difference


def _difference(one: Path, other: Path, k: int) -> float:
    from atomsight.models.session import open_session, run

    sessions = [open_session(path, 1) for path in (one, other)]
    generator = np.random.default_rng(0)
    inputs: dict[str, NDArray[Any]] = {
        "distances": np.sort(generator.uniform(0.9, 6.0, (200, k)), axis=1).astype(np.float32),
        "neighbours": generator.integers(0, 200, (200, k)),
        "element": generator.integers(0, 90, 200),
        "directions": generator.integers(-70, 70, (200, k, 3)).astype(np.int8),
    }
    asked = {held.name for held in sessions[0].get_inputs()}
    first, second = (
        run(session, {name: array for name, array in inputs.items() if name in asked}) for session in sessions
    )
    return float((np.abs(first - second) / np.maximum(np.abs(first), 1.0)).max())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    for path in parser.parse_args().files:
        print(f"{path}: largest difference {regraph(path):.2g}")


if __name__ == "__main__":
    main()
