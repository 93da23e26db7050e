from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.crystal import Crystal
from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.dataset import build, open_dataset
from atomsight.dataset.split import split_of
from atomsight.training.model_file import write_model
from atomsight.training.two_stage.graph import two_stage_graph
from two_stage_weights import two_stage_weights

FILES = {
    *(
        "summary.json",
        "per_element.csv",
        "confusion.csv",
        "confused_pairs.csv",
        "crystals.csv",
        "mistakes.csv",
    ),
    *("confusion.png", "confusion.svg", "recall.png", "reliability.png", "reliability.svg"),
}


def random_crystals(seed: int, count: int = 60) -> list[Crystal]:
    rng = np.random.default_rng(seed)
    crystals = []
    for i in range(count):
        n = int(rng.integers(3, 8))
        crystals.append(
            Crystal(
                name=f"crystal{seed}-{i}",
                lattice=np.diag(rng.uniform(5, 8, 3)),
                fractional=rng.random((n, 3)),
                numbers=rng.choice([1, 6, 8, 3], n, p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8),
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"X{j}" for j in range(n)),
            )
        )
    return crystals


def moved_to_test(dataset: Path) -> list[Crystal]:
    """Two crystals of one family: one has a formula that is in train in the dataset, the other one brings the
    group into test, because its formula is the first in the alphabet and so names the group."""
    held = open_dataset(dataset).crystals(["crystal", "split"]).to_pydict()
    learnt = next(c for c in random_crystals(1) if held["split"][held["crystal"].index(c.name)] == "train")
    symbol = next(s for s in SYMBOLS[1:] if s < learnt.formula and split_of(s) == "test")
    cell, origin = np.diag([4.0, 4.0, 4.0]), np.zeros((1, 3))
    number = np.array([NUMBERS[symbol]], dtype=np.uint8)
    first = Crystal("ABCDEF", cell, origin, number, np.zeros(1, np.int32), ("X0",))
    return [replace(learnt, name="ABCDEF01"), first]


def write_run(folder: Path, k: int, elements: str, fingerprint: str, dataset: Path) -> Path:
    """A run folder with a network of random weights."""
    rng = np.random.default_rng(0)
    sizes = [k, 64, 64, 64, 118]
    layers = [
        (rng.normal(size=(b, a)).astype(np.float32), np.zeros(b, np.float32)) for a, b in pairwise(sizes)
    ]
    n = len(elements.split(","))
    last = (rng.normal(size=(n, 118 + k)).astype(np.float32), np.zeros(n, np.float32))
    folder.mkdir()
    weights = two_stage_weights(np.full(k, 2, np.float32), np.ones(k, np.float32), layers, last)
    graph = two_stage_graph(weights, 1.0)
    metadata = {"kind": "two-stage", "k": k, "elements": elements, "data": {"fingerprint": fingerprint}}
    write_model(graph, metadata, folder / "model.onnx")
    (folder / "settings.json").write_text(json.dumps({"dataset": str(dataset)}))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two datasets, ``data`` and ``other``, and a run ``run`` on the first."""
    folder = tmp_path_factory.mktemp("evaluate")
    build(random_crystals(1), folder / "data", k=6)
    build([*random_crystals(2), *moved_to_test(folder / "data")], folder / "other", k=6)
    fingerprint = open_dataset(folder / "data").fingerprint
    write_run(folder / "run", 4, "H,C,O", fingerprint, folder / "data")
    write_run(folder / "wide", 7, "H,C,O", fingerprint, folder / "data")
    write_run(folder / "metals", 4, "Fe,U", fingerprint, folder / "data")
    return folder


Run = Callable[..., SimpleNamespace]


@pytest.fixture
def atomsight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``atomsight evaluate`` in this process, in the folder ``place``, as the command line would."""
    monkeypatch.chdir(place)

    def run_command(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["atomsight", "evaluate", *arguments])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return SimpleNamespace(status=end.value.code or 0, out=printed.out, err=" ".join(printed.err.split()))

    return run_command


def test_everything_is_written_and_agrees(place: Path, atomsight: Run) -> None:
    result = atomsight("run", "data", "--out", "out", "--json")
    assert result.status == 0, result.err
    folder = place / "out"
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.stat().st_size for path in folder.iterdir())

    record = json.loads(result.out)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary.items() <= record.items()
    dataset = open_dataset(place / "data")
    assert summary["sites"] == dataset.n_sites("test")
    assert summary["crystals_seen_in_training"] == 0
    assert summary["sites_of_unknown_elements"] == {"Li": dataset.element_counts("test")[3]}
    assert "of elements that the model does not know" in result.err

    mistakes = list(csv.DictReader((folder / "mistakes.csv").open()))
    assert len(mistakes) == summary["mistakes"] > 0
    probabilities = [float(row["probability"]) for row in mistakes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert [m["label"] for m in record["worst_mistakes"]] == [row["label"] for row in mistakes[:10]]
    elements = {row["element"]: row for row in record["per_element"]}
    right = sum(row["correct"] for row in elements.values())
    assert summary["accuracy"] == pytest.approx(right / summary["sites_evaluated"])


def test_tables_are_shown_and_nothing_is_written_without_out(place: Path, atomsight: Run) -> None:
    before = sorted(place.rglob("*"))
    result = atomsight("run/model.onnx", "data", "--split", "val", "--model-name", "my net")
    assert result.status == 0, result.err
    for text in ("my net", "macro recall", "Most confused", "Most confident mistakes", "crystal1-"):
        assert text in result.out
    assert sorted(place.rglob("*")) == before


def test_seen_crystals_are_warned_of(atomsight: Run) -> None:
    result = atomsight("run", "other", "--json")
    assert json.loads(result.out)["crystals_seen_in_training"] > 0
    assert "share a formula or a family" in result.err
    alone = atomsight("run/model.onnx", "other", "--json")
    assert json.loads(alone.out)["crystals_seen_in_training"] is None
    assert "--trained-on" in alone.err
    named = atomsight("run/model.onnx", "other", "--json", "--trained-on", "data")
    assert json.loads(named.out)["crystals_seen_in_training"] > 0
    train = atomsight("run", "data", "--split", "train", "--json")
    assert "no measure" in train.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("wide", "data"), 1, "needs k = 7 neighbours a site, the dataset data holds k = 6"),
        (("metals", "data"), 1, "knows none of the elements"),
        (("run", "data", "--split", "tset"), 2, "'tset' is no split; use one of train, val, test"),
        (("run", "nowhere"), 1, "nowhere does not exist"),
        (("run", "run"), 1, "run is not a dataset"),
        (("runn", "data"), 1, "no model 'runn'"),
        (("run", "data", "--out", "run/model.onnx"), 2, "--out run/model.onnx is a file"),
        (("run", "data", "--trained-on", "nowhere"), 1, "nowhere does not exist"),
        (
            ("run", "data", "--trained-on", "other"),
            2,
            "other is not the dataset that the model was trained on",
        ),
    ],
)
def test_errors_say_what_and_how_to_mend_it(
    atomsight: Run, arguments: tuple[str, ...], status: int, message: str
) -> None:
    result = atomsight(*arguments)
    assert result.status == status
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_an_empty_split_is_told(place: Path, atomsight: Run) -> None:
    build(random_crystals(1, count=60)[:1], place / "single", k=6)
    split = open_dataset(place / "single").crystals(["split"]).to_pydict()["split"][0]
    empty = "val" if split == "test" else "test"
    result = atomsight("run", "single", "--split", empty)
    assert result.status == 1
    assert f"the split '{empty}' of single holds no site; the dataset holds {split} (1 crystal)" in result.err
