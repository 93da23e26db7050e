from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atomsight.core.errors import DatasetError, InputError, ModelError
from atomsight.core.progress import Progress
from atomsight.dataset import Dataset
from atomsight.models import load_model
from atomsight.training import Settings, train_model
from atomsight.training.grow import grow_model
from atomsight.training.masked_site.training import MaskedSite
from atomsight.training.two_stage.training import TwoStage
from learnable_crystals import QUICK


class InterruptionError(Exception):
    pass


@pytest.mark.parametrize("k", [5, 6])
def test_before_training_it_predicts_as_the_old_one(
    k: int, run: Path, learnable: Dataset, tmp_path: Path
) -> None:
    """The weights as they are at the first step, run through the network themselves."""
    seen: list[Mapping[str, Any]] = []

    def stop(progress: Progress) -> None:
        seen.append(progress.record)
        raise InterruptionError

    with pytest.raises(InterruptionError):
        grow_model(run, learnable, k, tmp_path / "grown", progress=stop)
    assert seen[0]["event"] == "grown"
    assert seen[0]["difference"] <= 1e-6
    assert seen[0]["parameters"] - seen[0]["parameters_before"] == (k - 4) * (64 + 3)


@pytest.mark.parametrize("seed", range(3))
def test_neutral_whatever_the_new_distances(seed: int) -> None:
    torch.manual_seed(seed)
    old, new = TwoStage(7, (1, 6, 8, 29)), TwoStage(12, (1, 6, 8, 29))
    with torch.no_grad():
        for parameter in old.network.parameters():
            parameter.normal_()
    old.network.mean.uniform_(0, 4)
    new.network.mean.uniform_(0, 4)
    new.adopt(old.network.state_dict())
    distances = torch.rand(500, 12) * 5
    with torch.no_grad():
        before = torch.softmax(old.logits({"distances": distances[:, :7]}), dim=1)
        after = torch.softmax(new.logits({"distances": distances}), dim=1)
    assert torch.allclose(before, after, atol=1e-6, rtol=0)
    old_scores = old.network.scores(distances[:, :7])
    assert torch.allclose(old_scores, new.network.scores(distances), atol=1e-4, rtol=1e-5)


def test_the_new_inputs_learn(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    grown = grow_model(run, learnable, 6, tmp_path / "grown", epochs=2)
    assert (grown.k, grown.elements) == (6, (1, 6, 8))
    state = torch.load(tmp_path / "grown" / "checkpoints" / "stage-two.ckpt", weights_only=True)
    weights = state["callbacks"]["keeper"]["best_weights"]
    assert weights["stage_one.0.weight"][:, 4:].abs().max() > 0
    assert weights["stage_two.weight"][:, 118 + 4 :].abs().max() > 0
    assert json.loads((tmp_path / "grown" / "result.json").read_text())["val"]["accuracy"] > 0.99
    kept = json.loads((tmp_path / "grown" / "settings.json").read_text())
    assert (kept["k"], kept["elements"], kept["grown_from"]["k"]) == (6, "H,C,O", 4)


def test_a_grown_run_grows_again_and_is_taken_up_again(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.record and (progress.stage, progress.epoch) == ("stage-one", 1):
            raise InterruptionError

    grow_model(run, learnable, 5, tmp_path / "five", epochs=2)
    whole = grow_model(tmp_path / "five", learnable, 6, tmp_path / "six", epochs=2)
    with pytest.raises(InterruptionError):
        grow_model(tmp_path / "five", learnable, 6, tmp_path / "stopped", epochs=2, progress=stop)
    with pytest.raises(InputError, match="began from"):
        grow_model(run, learnable, 6, tmp_path / "stopped", epochs=2, resume=True)
    taken_up = grow_model(tmp_path / "five", learnable, 6, tmp_path / "stopped", epochs=2, resume=True)
    (batch,) = learnable.batches(("distances",), split="val")
    assert np.array_equal(whole.probabilities(batch), taken_up.probabilities(batch))


def test_what_cannot_grow(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="has k = 4; give a larger k"):
        grow_model(run, learnable, 4, out)
    with pytest.raises(DatasetError, match="holds k = 6"):
        grow_model(run, learnable, 7, out)
    with pytest.raises(ModelError, match="no run folder"):
        grow_model(tmp_path, learnable, 5, out)
    with pytest.raises(InputError, match="began anew"):
        grow_model(run, learnable, 5, run)
    assert not out.exists()
    assert load_model(run).k == 4


def test_a_run_that_has_not_ended_or_lost_its_weights(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    short = Settings(**{**QUICK.as_dict(), "epochs": 1})
    train_model(learnable, tmp_path / "run", short)
    model = tmp_path / "run" / "model.onnx"
    data = model.read_bytes()
    model.unlink()
    with pytest.raises(ModelError, match="has not ended"):
        grow_model(tmp_path / "run", learnable, 5, tmp_path / "out")
    model.write_bytes(data)
    checkpoint = tmp_path / "run" / "checkpoints" / "stage-two.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ModelError, match="is damaged"):
        grow_model(tmp_path / "run", learnable, 5, tmp_path / "out")
    checkpoint.unlink()
    with pytest.raises(ModelError, match="is missing"):
        grow_model(tmp_path / "run", learnable, 5, tmp_path / "out")


def test_a_masked_site_model_says_why_it_cannot() -> None:
    with pytest.raises(InputError, match="fade towards the k-th neighbour"):
        MaskedSite(6, (1, 6)).adopt(MaskedSite(5, (1, 6)).network.state_dict())
