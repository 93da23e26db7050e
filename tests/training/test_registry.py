"""Architectures are found by their folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atomsight.core.errors import InputError, ModelError
from atomsight.dataset import Dataset
from atomsight.models.registry import model_class
from atomsight.training import Settings, train_model
from atomsight.training.registry import architecture_class, architectures


def test_each_folder_is_an_architecture() -> None:
    assert architectures() == ("masked-site", "plausibility", "two-stage")
    for name in architectures():
        kind = architecture_class(name)
        if kind.names_elements:
            assert model_class(name, "here").__name__ == f"{kind.__name__}Model"


@pytest.mark.parametrize("name", ["", "plausibility", "three-stage", "isotypes", "../two-stage", "os.path"])
def test_a_file_of_another_architecture_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="here is a model of kind"):
        model_class(name, "here")


def test_settings_and_names_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from atomsight.training import Settings; Settings()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plausibility_is_not_trained_on_a_dataset_alone(learnable: Dataset, tmp_path: Path) -> None:
    settings = Settings(model="plausibility", k=4, elements="H,C,O")
    with pytest.raises(InputError, match=r"python -m workshop\.plausibility\.train"):
        train_model(learnable, tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()
