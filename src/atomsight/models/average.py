"""One model from several of one kind: the mean of their weights.

    python -m atomsight.models.average DATASET MODEL MODEL ... --out RUN [--shares SHARE SHARE ...]

Models whose training went on from the same weights often lie in one basin of the loss, and their mean
generalises better than each (model soups: Wortsman et al. 2022, arXiv:2203.05482), even that of a model and
the one that it was trained on from (Wortsman et al. 2022, arXiv:2109.01903). It costs no more at work than
one of them. The temperature is fitted anew on ``val``; whether the mean is better is for ``val`` to say.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight._version import __version__
from atomsight.elements import SYMBOLS
from atomsight.errors import InputError
from atomsight.models.further import constants_of
from atomsight.models.registry import kind_named
from atomsight.models.run_folder import RunFolder, held_origin
from atomsight.models.runtime import load_model, model_file
from atomsight.models.settings import Settings
from atomsight.models.train import finish, require_training_packages

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models.base import Model

ROWS = 4096
"""Sites of ``val`` looked at together."""


def average(
    models: Sequence[str | Path], dataset: Dataset, out: str | Path, shares: Sequence[float] | None = None
) -> Model:
    """Write a run folder with the mean of the weights of some masked-site models.

    Args:
        models: names of bundled models, run folders, or files; all of one kind, k and elements.
        dataset: its ``val`` split calibrates the mean. It should hold all that the models were trained on in
            ``train``: an evaluation takes that split for what the mean has seen.
        out: the new run folder; one that is finished is opened.
        shares: of each model in the mean, all positive; equal ones if None. They need not sum to 1.

    Raises:
        InputError: there are fewer than two, they differ in kind, k or elements, models of this kind cannot
            be taken out of their files, or the shares are not positive or not one for each.
        ModelError: there is no such model, or it is not built as those trained today.
        MissingExtraError: PyTorch or onnx is not installed.
    """
    if len(models) < 2:
        raise InputError("an average takes at least two models")
    if shares is not None and (len(shares) != len(models) or not all(share > 0 for share in shares)):
        raise InputError(f"{len(models)} models take as many positive shares, got {list(shares)}")
    parts = [share / sum(shares) for share in shares] if shares else [1 / len(models)] * len(models)
    require_training_packages()
    import torch

    from atomsight.models.stream import SiteStream

    loaded = [load_model(model) for model in models]
    first = loaded[0]
    for other in loaded[1:]:
        if (other.kind, other.k, other.elements) != (first.kind, first.k, first.elements):
            raise InputError(f"{other.name} and {first.name} differ in kind, k or elements")
    elements = first.elements
    symbols = [SYMBOLS[z] for z in elements]
    settings = Settings(model=first.kind, k=first.k, elements=",".join(symbols), batch_size=ROWS)
    run = RunFolder(Path(out))
    average_of: list[dict[str, Any]] = [
        {"model": model.name, "fingerprint": model.fingerprint} for model in loaded
    ]
    if shares is not None:
        for told, part in zip(average_of, parts, strict=True):
            told["share"] = part
    record = {
        "average_of": average_of,
        "chosen": symbols,
        "dataset": str(dataset.path),
        "fingerprint": dataset.fingerprint,
        "atomsight": __version__,
    }
    if held_origin(run.path, "average_of") not in ((False, None), (True, record["average_of"])):
        raise InputError(f"{out} holds another run; give another --out")
    if run.ended:
        run.claim(settings, record, resume=True)
        return load_model(run.path)
    architecture = kind_named(first.kind).architecture_class()(first.k, elements)
    total: dict[str, torch.Tensor] = {}
    for model, part in zip(models, parts, strict=True):
        architecture.restore(*constants_of(model_file(model)))
        for name, weights in architecture.network.state_dict().items():
            if weights.is_floating_point():
                total[name] = total.get(name, 0) + weights.double() * part
    held = architecture.network.state_dict()
    mean = {name: weights.to(held[name].dtype) for name, weights in total.items()}
    architecture.network.load_state_dict({**held, **mean})
    run.claim(
        settings, record, resume=True
    )  # not before: a model that cannot be taken apart leaves no folder
    stream = SiteStream(dataset, settings, elements, architecture.columns, "val", architecture.whole_crystals)
    finish(architecture, dataset, elements, settings, run, stream, [], 0.0)
    return load_model(run.path)


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
