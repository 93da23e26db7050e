"""Growing a two-stage model to a larger k, beside training anew: to equal validation loss.

    python benchmarks/grow.py DATASET --work DIR [--from 9] [--to 10] [--elements top20] [--seeds 2]

Trains at the smaller k once per seed, then, at the larger k, anew and grown, each with several numbers of
epochs (a stage). All runs are ordinary run folders in ``--work``; those that are there are not done again, so
the script can be stopped and started. Seconds are those of all epochs, reading and validation included. The
loss is the log loss on ``val`` of the calibrated model.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atomsight.dataset import open_dataset
from atomsight.training import Hardware, Settings, train_model
from atomsight.training.grow import EPOCHS, LEARNING_RATE, grow_model
from atomsight.training.run_folder import RunFolder

ANEW = (2, 4, 8, 12, None)
"""Epochs of each stage; None is what `atomsight train` does by itself."""

GROWN = (1, 2, EPOCHS, 8)
"""Epochs of each stage, at the learning rate of `atomsight grow`."""


def outcome(folder: Path) -> dict[str, float]:
    """What a finished run cost and reached."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    epochs = RunFolder(folder).epochs()
    return {
        "epochs": len(epochs),
        "seconds": sum(record["seconds"] for record in epochs),
        "loss": result["val"]["log_loss"],
        "accuracy": result["val"]["accuracy"],
        "macro": result["val"]["macro_recall"],
    }


def line(name: str, outcomes: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Mean over the seeds, printed as a row."""
    rows = list(outcomes)
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    print(
        f"| {name} | {mean['epochs']:.0f} | {mean['seconds']:.1f} | {mean['loss']:.4f} | "
        f"{100 * mean['accuracy']:.2f} | {100 * mean['macro']:.2f} |",
        flush=True,
    )
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--from", dest="small", type=int, default=9)
    parser.add_argument("--to", dest="large", type=int, default=10)
    parser.add_argument("--elements", default="top20")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = open_dataset(options.dataset)
    seeds = range(options.seeds)

    def trained(k: int, epochs: int | None, seed: int) -> Path:
        folder = options.work / f"k{k}-epochs{epochs or 'all'}-seed{seed}"
        settings = Settings(k=k, elements=options.elements, epochs=epochs, seed=seed)
        train_model(dataset, folder, settings, resume=True, hardware=Hardware(threads=1))
        return folder

    def grown(epochs: int, seed: int) -> Path:
        folder = options.work / f"grown-epochs{epochs}-rate{LEARNING_RATE}-seed{seed}"
        parent = options.work / f"k{options.small}-epochsall-seed{seed}"
        grow_model(
            parent,
            dataset,
            options.large,
            folder,
            epochs=epochs,
            resume=folder.exists(),
            hardware=Hardware(threads=1),
        )
        return folder

    print(f"{date.today()}, {platform.machine()}, one thread, PyTorch {torch.__version__}; val, per cent\n")
    print("| | epochs | seconds | log loss | accuracy | macro recall |\n|---|---|---|---|---|---|")
    line(f"k = {options.small}, anew", [outcome(trained(options.small, None, seed)) for seed in seeds])
    anew = {
        epochs: line(
            f"k = {options.large}, anew, " + (f"{epochs} + {epochs} epochs" if epochs else "usual epochs"),
            [outcome(trained(options.large, epochs, seed)) for seed in seeds],
        )
        for epochs in ANEW
    }
    grew = {
        epochs: line(
            f"k = {options.large}, grown, {epochs} + {epochs} epochs",
            [outcome(grown(epochs, seed)) for seed in seeds],
        )
        for epochs in GROWN
    }
    differences = [
        json.loads(file.read_text())["difference"] for file in options.work.glob("grown-*/grown.json")
    ]
    print(f"\nLargest difference in probability before training: {max(differences):.1e}.")
    print("\nTo equal validation loss (the fewest epochs tried that reach it):\n")
    print("| grown | epochs | anew | epochs |\n|---|---|---|---|")
    for epochs, mean in grew.items():
        reached = [other["epochs"] for other in anew.values() if other["loss"] <= mean["loss"]]
        needed = f"{min(reached):.0f}" if reached else "not in any number tried"
        print(f"| {epochs} + {epochs} | {mean['epochs']:.0f} | log loss {mean['loss']:.4f} | {needed} |")


if __name__ == "__main__":
    main()
