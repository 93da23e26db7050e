"""Time to train the two-stage model, beside the obvious way, in one run on the same data and threads.

    python benchmarks/training.py DATASET [-k 10] [--elements twenty] [--threads 2] [--epochs 60]

The obvious way is the recipe of a Keras tutorial written out in PyTorch: all train sites in memory, Keras's
initial weights (Glorot uniform, zero bias), batches of 64, Adam at 0.001, 60 epochs of each stage, no
schedule; stage one's outputs are computed once and kept for stage two. It is given the standardised distances
too. atomsight's time is all of `atomsight train`: reading the dataset from disk in each epoch, validation,
checkpoints, calibration and export. Both are scored on ``val``.

With fewer `--epochs` the obvious way is cut short, and its time to 60 is scaled from what was measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from atomsight.dataset import Dataset, open_dataset
from atomsight.models import load_model
from atomsight.training import Hardware, Settings, train_model
from atomsight.training.settings import chosen_elements
from atomsight.training.two_stage.network import TwoStageNetwork, weighted_cross_entropy

FULL_EPOCHS = 60


def arrays(dataset: Dataset, split: str, elements: tuple[int, ...], k: int) -> tuple[Tensor, Tensor]:
    """All distances and targets of a split."""
    column = np.full(256, -1)
    column[list(elements)] = np.arange(len(elements))
    batches = list(dataset.batches(("distances", "element"), split=split, elements=elements))
    distances = np.concatenate([batch["distances"][:, :k] for batch in batches])
    return torch.from_numpy(distances), torch.from_numpy(
        column[np.concatenate([b["element"] for b in batches])]
    )


def scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Accuracy and macro recall."""
    predicted = probabilities.argmax(axis=1)
    recalls = [(predicted[targets == c] == c).mean() for c in np.unique(targets)]
    return {"accuracy": float((predicted == targets).mean()), "macro recall": float(np.mean(recalls))}


def epochs_of_64(parameters: Any, loss_of: Any, sites: int, epochs: int) -> None:
    """The plain loop."""
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    for _ in range(epochs):
        order = torch.randperm(sites)
        for start in range(0, sites, 64):
            optimiser.zero_grad()
            loss = loss_of(order[start : start + 64])
            loss.backward()
            optimiser.step()


def obvious_way(
    train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], elements: tuple[int, ...], k: int, epochs: int
) -> dict[str, float]:
    """Train it; its scores on ``val`` and the seconds that the epochs took."""
    torch.manual_seed(0)
    network = TwoStageNetwork(k, elements)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    distances, targets = train
    network.mean.copy_(distances.mean(dim=0))
    network.scale.copy_(1 / distances.std(dim=0))
    numbers = network.chosen[targets]
    wall, cpu = time.perf_counter(), time.process_time()
    inputs = network.standardised(distances)
    epochs_of_64(
        network.stage_one.parameters(),
        lambda rows: weighted_cross_entropy(network.stage_one(inputs[rows]), numbers[rows]),
        len(inputs),
        epochs,
    )
    with torch.no_grad():
        joined = torch.cat([torch.sigmoid(network.stage_one(inputs)), inputs], dim=1)
    epochs_of_64(
        network.stage_two.parameters(),
        lambda rows: cross_entropy(network.stage_two(joined[rows]), targets[rows]),
        len(inputs),
        epochs,
    )
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    with torch.no_grad():
        answer = network.logits(val[0]).numpy()
    return {**scores(answer, val[1].numpy()), **seconds}


def atomsight_way(
    dataset: Dataset, val: tuple[Tensor, Tensor], settings: Settings, threads: int
) -> dict[str, float]:
    """`atomsight train` as a user runs it; its scores on ``val`` and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        train_model(dataset, Path(folder) / "run", settings, hardware=Hardware(threads=threads))
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answer = load_model(Path(folder) / "run").probabilities({"distances": val[0].numpy()})
    return {**scores(answer, val[1].numpy()), **seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--elements", default="twenty")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--epochs", type=int, default=FULL_EPOCHS, help="of the obvious way, each stage")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    dataset = open_dataset(options.dataset)
    elements = chosen_elements(options.elements, dataset)
    train, val = (arrays(dataset, split, elements, options.k) for split in ("train", "val"))
    print(f"{date.today()}, {platform.machine()}, {options.threads} threads, PyTorch {torch.__version__}")
    print(
        f"{len(train[0]):,} train and {len(val[0]):,} val sites, {len(elements)} elements, k = {options.k}\n"
    )

    defaults = Settings(k=options.k, elements=options.elements)
    short = Settings(k=options.k, elements=options.elements, epochs=6)
    results = {
        "atomsight train": atomsight_way(dataset, val, defaults, options.threads),
        "atomsight train --epochs 6": atomsight_way(dataset, val, short, options.threads),
        f"obvious way, {options.epochs} epochs": obvious_way(train, val, elements, options.k, options.epochs),
    }
    print("| | accuracy | macro recall | wall s | CPU s |\n|---|---|---|---|---|")
    for name, r in results.items():
        print(
            f"| {name} | {r['accuracy']:.4f} | {r['macro recall']:.4f} | {r['wall']:.1f} | {r['cpu']:.1f} |"
        )
    ours, theirs = next(iter(results.values())), list(results.values())[-1]
    scale = FULL_EPOCHS / options.epochs
    note = "" if scale == 1 else f" (scaled from {options.epochs} epochs to {FULL_EPOCHS})"
    print(
        f"\nThe obvious way takes {scale * theirs['wall'] / ours['wall']:.1f} times the wall time and "
        f"{scale * theirs['cpu'] / ours['cpu']:.1f} times the CPU time of atomsight train{note}."
    )


if __name__ == "__main__":
    main()
