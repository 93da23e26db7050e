"""A dataset whose names try to break out of a page, a run with random weights, and the page about both."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atomsight.dataset import build, open_dataset
from atomsight.report import Report, write_report
from atomsight.training.model_file import write_model
from atomsight.training.two_stage.graph import two_stage_graph
from hostile_crystals import HOSTILE, hostile_crystals
from two_stage_weights import two_stage_weights


def write_run(folder: Path, dataset: Path, k: int = 4) -> Path:
    """A finished run folder with a network of random weights that knows H, C and O."""
    rng = np.random.default_rng(0)
    sizes = [k, 64, 64, 64, 118]
    layers = [
        (rng.normal(size=(b, a)).astype(np.float32), np.zeros(b, np.float32)) for a, b in pairwise(sizes)
    ]
    last = (rng.normal(size=(3, 118 + k)).astype(np.float32), np.zeros(3, np.float32))
    folder.mkdir()
    weights = two_stage_weights(np.full(k, 2, np.float32), np.ones(k, np.float32), layers, last)
    graph = two_stage_graph(weights, 1.0)
    fingerprint = open_dataset(dataset).fingerprint
    metadata = {"kind": "two-stage", "k": k, "elements": "H,C,O", "data": {"fingerprint": fingerprint}}
    write_model(graph, metadata, folder / "model.onnx")
    settings = {"model": "two-stage", "k": k, "elements": HOSTILE, "chosen": ["H", "C", "O"]}
    record = {"dataset": str(dataset), "fingerprint": fingerprint}
    (folder / "settings.json").write_text(json.dumps({**settings, **record}))
    epochs = [
        {"stage": stage, "epoch": n, "train_loss": 1 / n, "val_loss": 1.1 / n, "val_accuracy": 0.5}
        for stage in ("stage-one", "stage-two")
        for n in (1, 2)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (folder / "result.json").write_text(json.dumps({"seconds": 3.0, "val": {"accuracy": 0.5}}))
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset ``data`` and the run ``run``."""
    folder = tmp_path_factory.mktemp("report")
    build(hostile_crystals(), folder / "data", 6)
    write_run(folder / "run", folder / "data")
    return folder


@pytest.fixture(scope="session")
def made(place: Path) -> Report:
    """The page about both."""
    out = place / "page.html"
    return write_report([place / "run", place / "data"], out, title=HOSTILE, most_sites=40, threads=1)
