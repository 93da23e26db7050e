"""Format versions, and the export of a run folder from its checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from atomsight.core.errors import InputError, ModelError
from atomsight.dataset import Dataset, build
from atomsight.models import load_model
from atomsight.models.plausibility.inference import INORGANIC_UNRELAXED, Plausibility
from atomsight.training import export, train_model
from atomsight.training.calibrate import checked_difference
from atomsight.training.export import TOLERANCE, export_run
from atomsight.training.model_file import add_metadata
from atomsight.training.run_folder import RunFolder
from learnable_crystals import QUICK, learnable_crystals

pytestmark = pytest.mark.train


@pytest.fixture
def earlier(run: Path, tmp_path: Path) -> Path:
    """A run folder as it was written before checkpoints and models had a format, without its model."""
    folder = tmp_path / "earlier"
    shutil.copytree(run, folder)
    for file in (folder / "checkpoints").iterdir():
        rewrite(file, "format", None)
    (folder / "model.onnx").unlink()
    return folder


def rewrite(checkpoint: Path, key: str, value: object) -> None:
    """Change what a checkpoint says, or remove it with None."""
    held = torch.load(checkpoint, weights_only=True)
    keeper = held["callbacks"]["keeper"]
    keeper.pop(key)
    if value is not None:
        keeper[key] = value
    torch.save(held, checkpoint)


def test_a_run_of_an_earlier_version_is_exported(run: Path, earlier: Path) -> None:
    (earlier / "result.json").unlink()
    model = export_run(earlier)
    assert (earlier / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    kept = json.loads((run / "result.json").read_text())
    again = json.loads((earlier / "result.json").read_text())
    assert {**again, "seconds": 0} == {**kept, "seconds": 0}
    assert model.metadata["format"] == 1


def test_a_run_of_an_earlier_version_goes_on(run: Path, earlier: Path, learnable: Dataset) -> None:
    train_model(learnable, earlier, QUICK, resume=True)
    assert (earlier / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()


def test_the_command_exports_with_a_dataset_that_was_moved(
    earlier: Path,
    learnable: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(learnable.path, tmp_path / "moved")
    settings = earlier / "settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "dataset": "gone"}))
    monkeypatch.setattr("sys.argv", ["export", str(earlier)])
    with pytest.raises(SystemExit):
        export.main()
    monkeypatch.setattr("sys.argv", ["export", str(earlier), "--dataset", str(tmp_path / "moved")])
    export.main()
    assert "macro_recall" in capsys.readouterr().out
    assert load_model(earlier).k == QUICK.k


def test_what_cannot_be_exported_is_told(earlier: Path, tmp_path: Path) -> None:
    build(learnable_crystals(150, seed=5), tmp_path / "dataset", 6)
    with pytest.raises(InputError, match="was trained on the dataset of fingerprint"):
        export_run(earlier, tmp_path / "dataset")
    with pytest.raises(ModelError, match="no run folder"):
        export_run(tmp_path)
    RunFolder(earlier).checkpoint("stage-two").unlink()
    with pytest.raises(InputError, match=r"stage-two\.ckpt yet"):
        export_run(earlier)


def test_a_checkpoint_of_another_format_is_refused(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "model.onnx").unlink()
    rewrite(tmp_path / "run" / "checkpoints" / "stage-two.ckpt", "format", 99)
    for action in (
        lambda: export_run(tmp_path / "run"),
        lambda: train_model(learnable, tmp_path / "run", QUICK, resume=True),
    ):
        with pytest.raises(ModelError, match="is a checkpoint of format 99"):
            action()


def test_a_model_of_another_format_is_refused(run: Path, tmp_path: Path) -> None:
    add_metadata(run / "model.onnx", tmp_path / "other.onnx", {"format": 99})
    with pytest.raises(ModelError, match=r"of format 99; .* reads format 1"):
        load_model(tmp_path / "other.onnx")
    add_metadata(INORGANIC_UNRELAXED, tmp_path / "pressed.onnx", {"format": 99})
    with pytest.raises(ModelError, match="of format 99"):
        Plausibility(tmp_path / "pressed.onnx")


def test_an_export_that_differs_is_refused() -> None:
    text, same = "the exported model differs from the trained one", np.array([[0.5, 0.5]])
    assert checked_difference(same, same, TOLERANCE, text) == 0
    for wrong in (0.5001, np.nan):
        with pytest.raises(ModelError, match="differs from the trained one"):
            checked_difference(same, np.array([[wrong, 0.5]]), TOLERANCE, text)
