"""One plausibility network from several that went on from the same weights: the mean of theirs.

    python -m atomsight.screen.plausibility.mean FILE FILE ... --out FILE

Why a mean: see `atomsight.models.average`. Whether it is better is for ``val`` to say.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from atomsight.errors import InputError
from atomsight.screen.plausibility import fit


def mean(files: Sequence[Path], out: Path, angular: int = fit.ANGULAR) -> None:
    """Write the network whose weights are the means of those of some files.

    Args:
        files: as `fit.export` writes them.
        out: the new file.
        angular: channels by direction of all of them.

    Raises:
        InputError: there are fewer than two.
        ModelError: the network of one is built otherwise.
    """
    if len(files) < 2:
        raise InputError("a mean takes at least two networks")
    network = fit.network_of(angular)
    states = []
    for path in files:
        fit.take_up(network, path)
        states.append({name: weights.double() for name, weights in network.state_dict().items()})
    held = network.state_dict()
    means = {
        name: (sum(state[name] for state in states) / len(states)).to(weights.dtype)
        for name, weights in held.items()
        if weights.is_floating_point()
    }
    network.load_state_dict({**held, **means})
    fit.export(network, out, {"mean_of": len(files)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    mean(given.files, given.out)


if __name__ == "__main__":
    main()
