"""A dataset whose names try to break out of a page, a run with random weights, and the page about both."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atomsight.crystal import Crystal
from atomsight.dataset import build_from, open_dataset
from atomsight.models.export import write_model
from atomsight.models.two_stage.graph import two_stage_graph
from atomsight.report import Report, write_report

HOSTILE = "</script><script>window.broken=1</script>"
"""As a label of a site, a name of a crystal and a title."""

IMAGE = '"><img src=x onerror="window.broken=1">'


def hostile_crystals(count: int = 80) -> list[Crystal]:
    rng = np.random.default_rng(5)
    made = []
    for i in range(count):
        n = int(rng.integers(3, 7))
        numbers = rng.choice([1, 6, 8, 30], n, p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
        made.append(
            Crystal(
                name=f"crystal-{i}{HOSTILE if i % 2 else IMAGE}",
                lattice=np.diag(rng.uniform(5, 8, 3)),
                fractional=rng.random((n, 3)),
                numbers=numbers,
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"X{j}{HOSTILE}" for j in range(n)),
                source=f"odd $names$ <b>.tar::{i}{IMAGE}.cif",
                flags=frozenset({"has_hydrogen"} if 1 in numbers else ()),
            )
        )
    return made


def write_run(folder: Path, dataset: Path, k: int = 4) -> Path:
    """A finished run folder with a network of random weights that knows H, C and O."""
    rng = np.random.default_rng(0)
    sizes = [k, 64, 64, 64, 118]
    layers = [
        (rng.normal(size=(b, a)).astype(np.float32), np.zeros(b, np.float32)) for a, b in pairwise(sizes)
    ]
    last = (rng.normal(size=(3, 118 + k)).astype(np.float32), np.zeros(3, np.float32))
    folder.mkdir()
    graph = two_stage_graph(np.full(k, 2, np.float32), np.ones(k, np.float32), layers, last, 1.0)
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
    build_from(hostile_crystals(), folder / "data", 6)
    write_run(folder / "run", folder / "data")
    return folder


@pytest.fixture(scope="session")
def made(place: Path) -> Report:
    """The page about both."""
    out = place / "page.html"
    return write_report([place / "run", place / "data"], out, title=HOSTILE, most_sites=40, threads=1)
