"""One plausibility network from several that went on from the same weights: the mean of theirs.

    python -m atomsight.training.plausibility.mean FILE FILE ... --out FILE

Why a mean: see `atomsight.training.average`. Whether it is better is for ``val`` to say.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from atomsight.errors import AtomsightError, InputError, ModelError
from atomsight.training.plausibility import training as fit


def mean(files: Sequence[Path], out: Path) -> None:
    """Write the network whose weights are the means of those of some files.

    Args:
        files: as `fit.export` writes them.
        out: the new file.

    Raises:
        InputError: there are fewer than two.
        ModelError: one is built otherwise than the others, or names elements.
    """
    if len(files) < 2:
        raise InputError("a mean takes at least two networks")
    networks = [fit.network_from(path, judging=True) for path in files]
    states = [
        {name: weights.double() for name, weights in one.state_dict().items() if weights.is_floating_point()}
        for one in networks
    ]
    network = networks[0]
    shapes = [{name: weights.shape for name, weights in state.items()} for state in states]
    for path, one in zip(files, shapes, strict=True):
        if one != shapes[0]:
            raise ModelError(f"{path} holds another kind of network than {files[0]}")
    held = network.state_dict()
    means = {
        name: (sum(state[name] for state in states) / len(states)).to(held[name].dtype) for name in states[0]
    }
    network.load_state_dict({**held, **means})
    fit.export(network, out, {"mean_of": len(files)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        mean(given.files, given.out)
    except AtomsightError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
