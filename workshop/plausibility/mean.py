"""Average of the weights of several plausibility networks.

    python -m workshop.plausibility.mean MODEL MODEL ... --out FILE

`atomsight.training.average` explains the method. Compare the networks on ``val`` before using the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from atomsight.core.errors import AtomsightError, InputError, ModelError
from atomsight.models.load import model_file
from atomsight.training.average import mean_of_weights
from atomsight.training.model_file import constants_of
from atomsight.training.plausibility.train import export
from atomsight.training.plausibility.training import Plausibility


def mean(models: Sequence[str | Path], out: Path) -> None:
    """Write the average of some networks.

    Args:
        models: run folders or files of plausibility networks.
        out: the new file.

    Raises:
        InputError: there are fewer than two.
        ModelError: one has another size than the others, or predicts elements.
    """
    if len(models) < 2:
        raise InputError("a mean takes at least two networks")
    files = [model_file(model) for model in models]
    for file in files:
        if constants_of(file)[0]["out.bias"].size != 1:
            raise ModelError(f"{file} holds another kind of network: it names elements")
    architecture = Plausibility()
    mean_of_weights(architecture, files, [1 / len(files)] * len(files))
    export(architecture, out, {"mean_of": len(files)})


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        mean(given.models, given.out)
    except AtomsightError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
