"""Average of the weights of several models of one architecture.

    python -m atomsight.training.average DATASET MODEL MODEL ... --out RUN [--shares SHARE SHARE ...]

Models that were fine-tuned from the same weights often lie in one basin of the loss, and their mean
generalises better than each (model soups: Wortsman et al. 2022, arXiv:2203.05482). This also holds for a
model and its fine-tuned successor (Wortsman et al. 2022, arXiv:2109.01903). The mean is as fast as one model.
Its temperature is fitted on ``val``. Compare the models on ``val`` before using the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.models.load import load_model, model_file
from atomsight.training.extra import require_training_packages
from atomsight.training.model_file import constants_of
from atomsight.training.registry import architecture_class
from atomsight.training.run_folder import RunFolder, run_origin
from atomsight.training.settings import Settings
from atomsight.training.train import dataset_record

if TYPE_CHECKING:
    from torch import Tensor

    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.training.architecture import Architecture

ROWS = 4096
"""Sites of ``val`` in a batch."""


def average(
    models: Sequence[str | Path], dataset: Dataset, out: str | Path, shares: Sequence[float] | None = None
) -> Model:
    """Write a run folder with the mean of the weights of some masked-site models.

    Args:
        models: names of bundled models, run folders, or files, with the same architecture, k and elements.
        dataset: its ``val`` split calibrates the mean. Its ``train`` split should hold all training crystals
            of the models, because an evaluation takes that split for the training data of the mean.
        out: the new run folder; one that is finished is opened.
        shares: of each model in the mean, all positive; equal ones if None. They need not sum to 1.

    Raises:
        InputError: there are fewer than two models, they differ in architecture, k or elements, the weights
            of this architecture cannot be read from its files, or there is not one positive share per model.
        ModelError: there is no such model, or its network has another size than those trained today.
        MissingExtraError: PyTorch or onnx is not installed.
    """
    if len(models) < 2:
        raise InputError("an average takes at least two models")
    if shares is not None and (len(shares) != len(models) or not all(share > 0 for share in shares)):
        raise InputError(f"{len(models)} models take as many positive shares, got {list(shares)}")
    parts = [share / sum(shares) for share in shares] if shares else [1 / len(models)] * len(models)
    require_training_packages()
    from atomsight.training.data import Task
    from atomsight.training.export import finish

    loaded = [load_model(model) for model in models]
    first = loaded[0]
    for other in loaded[1:]:
        if (other.kind, other.k, other.elements) != (first.kind, first.k, first.elements):
            raise InputError(f"{other.name} and {first.name} differ in kind, k or elements")
    elements = first.elements
    symbols = ",".join(SYMBOLS[z] for z in elements)
    settings = Settings(model=first.kind, k=first.k, elements=symbols, batch_size=ROWS)
    run = RunFolder(Path(out))
    average_of: list[dict[str, Any]] = [
        {"model": model.name, "fingerprint": model.fingerprint, **({"share": part} if shares else {})}
        for model, part in zip(loaded, parts, strict=True)
    ]
    record = {"average_of": average_of, **dataset_record(dataset, elements)}
    if run_origin(run.path, "average_of") not in ((False, None), (True, record["average_of"])):
        raise InputError(f"{out} holds another run; give another --out")
    architecture = architecture_class(first.kind)(first.k, elements)
    mean_of_weights(architecture, [model_file(model) for model in models], parts)
    # The folder is created last, so that models whose weights cannot be read leave none.
    run.claim(settings, record, resume=True)
    if not run.ended:
        finish(architecture, Task(dataset, settings, elements), run, [], 0.0)
    return load_model(run.path)


def mean_of_weights(architecture: Architecture, files: Sequence[Path], shares: Sequence[float]) -> None:
    """Set the network of an architecture to the mean of the weights of exported models.

    Args:
        architecture: that of the models.
        files: of the models.
        shares: of each in the mean; they sum to 1.

    Raises:
        InputError: the weights of this architecture cannot be read from its files.
        ModelError: a network has another size than the others, or than those trained today.
    """
    total: dict[str, Tensor] = {}
    for file, share in zip(files, shares, strict=True):
        architecture.restore(*constants_of(file))
        state = architecture.network.state_dict()
        weights = {name: values for name, values in state.items() if values.is_floating_point()}
        if total and {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in total.items()}:
            raise ModelError(f"{file} holds another kind of network than {files[0]}")
        for name, values in weights.items():
            total[name] = total.get(name, 0) + values.double() * share
    held = architecture.network.state_dict()
    mean = {name: weights.to(held[name].dtype) for name, weights in total.items()}
    architecture.network.load_state_dict({**held, **mean})


def main() -> None:
    """The command line."""
    from atomsight.dataset import open_dataset

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shares", type=float, nargs="+", help="of each model in the mean")
    given = parser.parse_args()
    model = average(given.models, open_dataset(given.dataset), given.out, given.shares)
    print(f"{given.out}: {model.metadata['val']}")


if __name__ == "__main__":
    main()
