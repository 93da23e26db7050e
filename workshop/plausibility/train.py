"""Train a plausibility network and export it.

    python -m workshop.plausibility.train DATASET --small ARCHIVE ... [--large ARCHIVE ...] --out RUN

The crystals of the dataset's ``train`` and ``val`` splits are read again from the archives: `--small` are
inorganic cells, which serve each other as templates, `--large` are frameworks. With `--unrelaxed` the network
learns to judge inorganic candidates that are not relaxed, from `--small` alone. Formulas named by
`--leave-out`, one a line, are left out with all that shares their chemical systems. With `--from` the weights
are those of an earlier network, or of a masked-site model but for its last layer; the size is that of the
network then. With `--exchange` elements of the inorganic crystals are substituted by others that stand for
them in isotypic crystals, as a model with isotypes knows them (`exchange`). `--resume` goes on where a run
stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atomsight.core.errors import AtomsightError
from atomsight.core.progress import Progress
from atomsight.dataset import open_dataset
from atomsight.training.hardware import Hardware
from atomsight.training.plausibility.train import PlausibilitySettings, Source, train_plausibility
from atomsight.training.plausibility.training import ANGULAR, K
from workshop.plausibility.examples import SPLITS
from workshop.plausibility.exchange import OFTEN, Exchanges
from workshop.plausibility.unrelaxed import Unrelaxed
from workshop.plausibility.whole import LARGE_SHARE, Choice, Whole, examples_of_splits


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--large", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=1500, help="frameworks of each archive and split")
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one a line")
    parser.add_argument("--examples", type=Path, help="folder of examples that an earlier run made")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--patience", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--angular", type=int, help=f"channels by direction, {ANGULAR} by default; 0 sees distances"
    )
    parser.add_argument("--large-share", type=float, default=LARGE_SHARE, help="of frameworks in an epoch")
    parser.add_argument("--from", dest="begin", metavar="MODEL", help="network to begin with")
    parser.add_argument("--rate", type=float, help="peak of the learning rate")
    parser.add_argument("--exchange", metavar="MODEL", help="model whose isotypes exchange elements")
    parser.add_argument("--often", type=float, default=OFTEN, help="chance of an exchange in a crystal")
    parser.add_argument("--unrelaxed", action="store_true", help="for candidates that are not relaxed")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--threads", type=int)
    return parser


def sources_of(given: argparse.Namespace, exchanges: Exchanges | None) -> Mapping[str, Source]:
    """The structures and decoys that the options ask for, by split."""
    left = given.leave_out.read_text().split() if given.leave_out else []
    if given.unrelaxed:
        return {
            split: Unrelaxed.prepared(given.dataset, given.small, split, left, given.seed, K)
            for split in SPLITS
        }
    choice = Choice(given.most, left, given.seed, K)
    folder = given.examples or given.out / "examples"
    examples = examples_of_splits(given.dataset, given.small, given.large, folder, choice)
    return {
        "train": Whole(examples["train"], given.large_share, exchanges),
        "val": Whole(examples["val"], 1.0),
    }


def show(progress: Progress) -> None:
    """Print how an epoch went."""
    record = progress.record
    if record:
        print(
            f"epoch {record['epoch']}/{record['epochs']}: loss {record['train_loss']:.4f}, val "
            f"{record['val_loss']:.4f}, first {record['val_accuracy']:.3f}, {record['seconds']:.0f} s",
            flush=True,
        )


def main() -> None:
    """The command of the module's docstring."""
    parser = arguments()
    given = parser.parse_args()
    if not 0 <= given.often <= 1:
        parser.error(f"--often is a chance, from 0 to 1, not {given.often:g}")
    if given.unrelaxed and given.exchange is not None:
        parser.error("--exchange is of no use with --unrelaxed, which takes other compounds' geometries")
    names = "small large most leave_out examples large_share exchange often unrelaxed".split()
    data = ", ".join(f"{name} {_text(getattr(given, name))}" for name in names)
    settings = PlausibilitySettings(
        data, given.angular, given.begin, given.epochs, given.rate, given.patience, given.seed
    )
    try:
        dataset = open_dataset(given.dataset)
        exchanges = None if given.exchange is None else Exchanges.of_model(given.exchange, given.often)
        train_plausibility(
            lambda: sources_of(given, exchanges),
            given.out,
            settings,
            {"dataset": str(dataset.path), "fingerprint": dataset.fingerprint},
            resume=given.resume,
            hardware=Hardware(given.threads),
            progress=show,
        )
    except AtomsightError as error:
        parser.error(str(error))


def _text(value: Any) -> str:
    return " ".join(path.name for path in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
