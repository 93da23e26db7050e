from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atomsight.core.errors import DatasetError, InputError, MissingExtraError
from atomsight.core.progress import Progress
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.models import load_model
from atomsight.training import Settings, train_model
from atomsight.training.two_stage.training import TwoStage
from learnable_crystals import QUICK, learnable_crystals


class InterruptionError(Exception):
    pass


def stopping_at(stage: str, epoch: int, event: str) -> Any:
    """A receiver of the progress that ends the run, as a crash would."""

    def stop(progress: Progress) -> None:
        now = "epoch" if progress.record else "step"
        if (progress.stage, progress.epoch, now) == (stage, epoch, event):
            raise InterruptionError

    return stop


def without_times(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_a_run_learns_and_says_so(run: Path, learnable: Dataset) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["val"]["accuracy"] > 0.99
    assert result["val"]["macro_recall"] > 0.98
    assert result["export_difference"] < 1e-5

    records = without_times(run)
    stages = [(r["stage"], r["epoch"]) for r in records]
    assert stages == [(s, e) for s in ("stage-one", "stage-two") for e in range(1, result["epochs"][s] + 1)]
    for stage in ("stage-one", "stage-two"):
        losses = [r["train_loss"] for r in records if r["stage"] == stage]
        assert losses[-1] < 0.5 * losses[0]

    kept = json.loads((run / "settings.json").read_text())
    assert {name: kept[name] for name in QUICK.as_dict()} == QUICK.as_dict()
    assert kept["chosen"] == ["H", "C", "O"]
    assert kept["fingerprint"] == learnable.fingerprint


def test_the_scores_in_the_result_are_those_of_the_exported_model(run: Path, learnable: Dataset) -> None:
    model = load_model(run)
    assert (model.kind, model.k, model.elements) == ("two-stage", 4, (1, 6, 8))
    (batch,) = learnable.batches(("distances", "element"), split="val", elements=model.elements)
    predicted = np.array(model.elements)[model.probabilities(batch).argmax(axis=1)]
    assert model.metadata["val"]["accuracy"] == pytest.approx((predicted == batch["element"]).mean())
    assert model.metadata["val"]["sites"] == len(predicted)
    assert model.metadata["data"]["fingerprint"] == learnable.fingerprint
    assert model.metadata["data"]["licences"] == ["CC0"]
    counts = learnable.element_counts("train")
    assert model.metadata["data"]["train_sites"] == counts[1] + counts[6] + counts[8]


@pytest.mark.parametrize(
    ("stage", "epoch", "event"),
    [
        ("stage-one", 1, "step"),
        ("stage-one", 3, "step"),
        ("stage-one", 4, "epoch"),
        ("stage-two", 1, "step"),
        ("stage-two", 2, "epoch"),
    ],
)
def test_an_interrupted_run_ends_with_the_same_weights(
    stage: str, epoch: int, event: str, run: Path, learnable: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InterruptionError):
        train_model(learnable, tmp_path / "run", QUICK, progress=stopping_at(stage, epoch, event))
    assert not (tmp_path / "run" / "model.onnx").exists()
    train_model(learnable, tmp_path / "run", QUICK, resume=True)
    assert (tmp_path / "run" / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    assert without_times(tmp_path / "run") == without_times(run)


def test_a_killed_run_goes_on(learnable: Dataset, run: Path, tmp_path: Path) -> None:
    code = f"""
import os, signal, torch
torch.set_num_threads(1)
from atomsight.dataset import open_dataset
from atomsight.training import Settings, train_model
def stop(progress):
    if progress.epoch == 2 and progress.record:
        os.kill(os.getpid(), signal.SIGKILL)
dataset = open_dataset({str(learnable.path)!r})
settings = Settings(**{QUICK.as_dict()!r})
train_model(dataset, {str(tmp_path / "run")!r}, settings, progress=stop)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert len(without_times(tmp_path / "run")) == 2
    train_model(learnable, tmp_path / "run", QUICK, resume=True)
    assert (tmp_path / "run" / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()


def test_a_folder_with_a_run_is_not_overwritten(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    before = (run / "model.onnx").read_bytes()
    with pytest.raises(InputError, match="holds a run; go on with it by --resume"):
        train_model(learnable, run, QUICK)
    assert (run / "model.onnx").read_bytes() == before
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="holds other files"):
        train_model(learnable, tmp_path, QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_finished_run_is_only_opened(run: Path, learnable: Dataset) -> None:
    model = train_model(learnable, run, QUICK, resume=True, progress=stopping_at("stage-one", 1, "step"))
    assert model.k == 4


def test_resume_refuses_other_settings_and_other_data(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    other = Settings(**{**QUICK.as_dict(), "epochs": 9, "seed": 1})
    with pytest.raises(InputError, match="epochs was 4, is 9; seed was 0, is 1"):
        train_model(learnable, run, other, resume=True)
    build(learnable_crystals(150, seed=5), tmp_path / "dataset", 6)
    with pytest.raises(InputError, match="the dataset was another"):
        train_model(open_dataset(tmp_path / "dataset"), run, QUICK, resume=True)


def test_a_moved_dataset_is_the_same(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    shutil.copytree(learnable.path, tmp_path / "moved")
    train_model(open_dataset(tmp_path / "moved"), run, QUICK, resume=True)


def test_seeds_give_different_weights(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    settings = Settings(**{**QUICK.as_dict(), "seed": 1})
    other = train_model(learnable, tmp_path / "run", settings)
    (batch,) = learnable.batches(("distances",), split="val")
    assert not np.array_equal(other.probabilities(batch), load_model(run).probabilities(batch))


def test_a_stage_stops_early_and_keeps_its_best_weights(learnable: Dataset, tmp_path: Path) -> None:
    settings = Settings(k=2, elements="H,C,O", epochs=30, batch_size=256, patience=2)
    train_model(learnable, tmp_path / "run", settings)
    scores = [r["val_accuracy"] for r in without_times(tmp_path / "run") if r["stage"] == "stage-one"]
    assert 3 <= len(scores) < 30
    assert max(scores) == scores[-3] > max(scores[:-3])
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "stage-one.ckpt", weights_only=True)
    assert checkpoint["callbacks"]["keeper"]["best_epoch"] == len(scores) - 3


def test_a_val_split_without_sites_is_refused(tmp_path: Path) -> None:
    crystals = list(learnable_crystals(3))
    for crystal in crystals:
        object.__setattr__(crystal, "name", "ABCDEF" + crystal.name[-2:])
    build(crystals, tmp_path / "dataset", 4)
    dataset = open_dataset(tmp_path / "dataset")
    with pytest.raises(DatasetError, match=r"split of .* holds"):
        train_model(dataset, tmp_path / "run", Settings(k=4, elements="all"))
    assert not (tmp_path / "run").exists()


def test_without_torch_the_extra_is_named(
    learnable: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'atomsight\[train\]'"):
        train_model(learnable, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("sites", "batch"), [(10, 256), (64 * 1000, 1000), (10**7, 4096)])
def test_batches_are_in_proportion_to_the_dataset(sites: int, batch: int) -> None:
    assert TwoStage(3, (1, 6)).batch_size(sites) == batch


def test_the_batch_size_that_was_chosen_is_recorded(learnable: Dataset, tmp_path: Path) -> None:
    settings = Settings(k=2, elements="H,C", epochs=1)
    model = train_model(learnable, tmp_path / "run", settings)
    assert model.metadata["settings"]["batch_size"] == 256
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["batch_size"] is None
