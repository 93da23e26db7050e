"""The mean of the weights of several models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atomsight.core.errors import InputError
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.models import load_model
from atomsight.training.average import average, main
from atomsight.training.masked_site.graph import masked_site_graph, weights_of
from atomsight.training.masked_site.network import MaskedSiteNetwork
from atomsight.training.model_file import constants_of, write_model
from learnable_crystals import learnable_crystals


@pytest.fixture(scope="module")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("average") / "dataset"
    build(learnable_crystals(120), out, 10)
    return open_dataset(out)


def exported(folder: Path, seed: int, temperature: float, elements: str = "H,C,O") -> Path:
    torch.manual_seed(seed)
    network = MaskedSiteNetwork(3, len(elements.split(",")))
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    metadata = {"kind": "masked-site", "k": 3, "elements": elements, "temperature": temperature}
    file = folder / f"{seed}.onnx"
    write_model(masked_site_graph(weights, 3, temperature), metadata, file)
    return file


def weights(file: Path) -> dict[str, np.ndarray]:
    return weights_of(*constants_of(file))


def test_each_weight_is_the_mean_whatever_the_temperatures(crystals: Dataset, tmp_path: Path) -> None:
    parts = [exported(tmp_path, 0, 1.3), exported(tmp_path, 1, 0.8), exported(tmp_path, 2, 1.0)]
    mean = average(parts, crystals, tmp_path / "run")
    assert mean.kind == "masked-site"
    found, each = weights(tmp_path / "run" / "model.onnx"), [weights(part) for part in parts]
    for name, array in found.items():
        np.testing.assert_allclose(array, np.mean([one[name] for one in each], axis=0), atol=1e-5)
    assert average(parts, crystals, tmp_path / "run").fingerprint == mean.fingerprint  # only opened


def test_models_may_have_shares_of_their_own(
    crystals: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [exported(tmp_path, 0, 1.3), exported(tmp_path, 1, 0.8)]
    shares = ("--shares", "3", "1")
    monkeypatch.setattr(
        "sys.argv", ["average", *map(str, (crystals.path, *parts, "--out", tmp_path / "run")), *shares]
    )
    main()
    found, (one, other) = weights(tmp_path / "run" / "model.onnx"), (weights(part) for part in parts)
    for name, array in found.items():
        np.testing.assert_allclose(array, 0.75 * one[name] + 0.25 * other[name], atol=1e-5)
    for wrong in ([1.0], [1.0, 0.0], [1.0, -1.0]):
        with pytest.raises(InputError, match="as many positive shares"):
            average(parts, crystals, tmp_path / "other", wrong)


def test_what_does_not_belong_together_is_refused(crystals: Dataset, tmp_path: Path) -> None:
    one, other = exported(tmp_path, 0, 1.0), exported(tmp_path, 1, 1.0)
    with pytest.raises(InputError, match="at least two"):
        average([one], crystals, tmp_path / "run")
    with pytest.raises(InputError, match="differ in kind"):
        average([one, exported(tmp_path, 2, 1.0, "H,C,N")], crystals, tmp_path / "run")
    with pytest.raises(InputError, match="two-stage"):
        average(["two-stage", "two-stage"], crystals, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    average([one, other], crystals, tmp_path / "run")
    with pytest.raises(InputError, match="another run"):
        average([one, one], crystals, tmp_path / "run")


def test_the_command(
    crystals: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [exported(tmp_path, 0, 1.0), exported(tmp_path, 1, 1.0)]
    monkeypatch.setattr(
        "sys.argv", ["average", *map(str, (crystals.path, *parts, "--out", tmp_path / "run"))]
    )
    main()
    assert "log_loss" in capsys.readouterr().out
    assert load_model(tmp_path / "run").k == 3
