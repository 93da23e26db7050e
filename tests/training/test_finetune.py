"""Training that goes on from a trained model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from atomsight.cli import main
from atomsight.core.errors import DatasetError, InputError, ModelError
from atomsight.core.progress import Progress
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.models import load_model
from atomsight.training import Settings, train_model
from atomsight.training.data import SiteStream
from atomsight.training.finetune import train_further
from atomsight.training.masked_site.graph import masked_site_graph, weights_of
from atomsight.training.masked_site.network import MaskedSiteNetwork
from atomsight.training.masked_site.training import NOT_WEIGHTS, ROWS_MULTIPLE, MaskedSite, padded
from atomsight.training.model_file import write_model
from learnable_crystals import learnable_crystals

SHORT = Settings(model="masked-site", k=3, elements="H,C,O", epochs=1, batch_size=128)


@pytest.fixture(scope="module")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("further") / "dataset"
    build(learnable_crystals(200), out, 10)
    return open_dataset(out)


@pytest.fixture(scope="module")
def begun(crystals: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("begun") / "run"
    elements = ",".join(("H", "C", "O", "Xe"))  # one that the dataset lacks
    torch.manual_seed(0)
    network = MaskedSiteNetwork(3, 4)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    out.mkdir()
    metadata = {"kind": "masked-site", "k": 3, "elements": elements, "temperature": 1.3}
    write_model(masked_site_graph(weights, 3, 1.3), metadata, out / "model.onnx")
    return out / "model.onnx"


@pytest.mark.parametrize("angular", [0, 24])
def test_weights_come_back_out_of_the_graph(angular: int) -> None:
    torch.manual_seed(1)
    network = MaskedSiteNetwork(4, 5, hidden=16, angular=min(angular, 16))
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    import onnx

    graph = masked_site_graph(weights, 4, 0.7)
    found = weights_of({one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}, 0.7)
    assert set(found) == set(weights) - set(NOT_WEIGHTS)
    for name, array in found.items():
        np.testing.assert_allclose(array, weights[name], rtol=1e-6)


def test_it_begins_as_the_model_answers_and_keeps_its_elements(
    crystals: Dataset, begun: Path, tmp_path: Path
) -> None:
    """`train_further` itself compares; a learning rate of nearly nothing leaves the answers as they are."""
    still = Settings(model="two-stage", k=1, epochs=1, learning_rate=1e-12)
    trained = train_further(begun, crystals, tmp_path / "run", still)
    old = load_model(begun)
    assert (trained.kind, trained.k, trained.elements) == (old.kind, 3, old.elements)
    held = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert held["further_from"] == {"model": "model", "fingerprint": old.fingerprint}
    crystal = next(learnable_crystals(1, seed=9))
    first, then = (next(model.predict(crystal)).probabilities for model in (old, trained))
    temperature = json.loads((tmp_path / "run" / "result.json").read_text())["temperature"]
    raised = np.maximum(first.astype(float), 1e-30) ** (1.3 / temperature)
    np.testing.assert_allclose(raised / raised.sum(axis=1, keepdims=True), then, atol=1e-3)


def test_it_is_taken_up_again_only_as_it_began(crystals: Dataset, begun: Path, tmp_path: Path) -> None:
    class InterruptionError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.record and progress.epoch == 1:
            raise InterruptionError

    settings = Settings(epochs=2, batch_size=128)
    with pytest.raises(InterruptionError):
        train_further(begun, crystals, tmp_path / "run", settings, progress=stop)
    with pytest.raises(InputError, match="began from model"):
        train_further("masked-site-angles-2", crystals, tmp_path / "run", settings, resume=True)
    record = tmp_path / "run" / "settings.json"
    held = json.loads(record.read_text())
    held["further_from"]["fingerprint"] = "0"  # an earlier version had another fingerprint of the same model
    record.write_text(json.dumps(held))
    resumed = train_further(begun, crystals, tmp_path / "run", settings, resume=True)
    whole = train_further(begun, crystals, tmp_path / "other", settings)
    assert resumed.fingerprint == whole.fingerprint


def test_what_cannot_be_trained_further_is_refused(crystals: Dataset, begun: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grow"):
        train_further("two-stage", crystals, tmp_path / "a", Settings())
    with pytest.raises(DatasetError, match="k = 16"):
        train_further("masked-site-angles-2", crystals, tmp_path / "b", Settings())
    with pytest.raises(ModelError, match="nowhere"):
        train_further("nowhere", crystals, tmp_path / "c", Settings())
    with pytest.raises(DatasetError, match="Xe"):
        train_model(crystals, tmp_path / "d", Settings(model="masked-site", k=3, elements="H,C,Xe"))


def test_the_command(crystals: Dataset, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = str(tmp_path / "run")
    command = ["train", str(crystals.path), "--from", str(begun), "--epochs", "1", "--out", run, "--json"]
    monkeypatch.setattr(sys, "argv", ["atomsight", *command])
    with pytest.raises(SystemExit) as end:
        main.run()
    assert not end.value.code
    assert load_model(run).elements == (1, 6, 8, 54)


def test_batches_are_filled_with_what_counts_nowhere() -> None:
    batch = {
        "site": torch.tensor([0, 1, 0]),
        "target": torch.tensor([1, 2, 0]),
        "distances": torch.rand(3, 5),
        "directions": torch.ones(3, 15, dtype=torch.int8),
    }
    more = padded(batch)
    assert {name: rows.shape[0] for name, rows in more.items()} == dict.fromkeys(batch, ROWS_MULTIPLE)
    assert all(torch.equal(more[name][:3], rows) for name, rows in batch.items())
    assert (more["target"][3:] == -1).all()
    assert padded(more) is more


def test_filling_changes_no_answer(crystals: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    architecture = MaskedSite(3, (1, 6, 8))
    architecture.network.eval()
    stream = SiteStream(crystals, SHORT, (1, 6, 8), MaskedSite.columns, "val", True)
    batch = next(iter(stream))
    assert len(batch["site"]) % ROWS_MULTIPLE
    loss, logits = architecture._loss(batch)
    monkeypatch.setattr("atomsight.training.masked_site.training.padded", lambda given: given)
    bare_loss, bare = architecture._loss(batch)
    torch.testing.assert_close(logits, bare)
    torch.testing.assert_close(loss, bare_loss)


def test_options_that_the_model_decides_are_refused(
    begun: Path, crystals: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", str(crystals.path), "--from", str(begun), "-k", "4", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["atomsight", *command])
    with pytest.raises(SystemExit) as end:
        main.run()
    assert end.value.code
    assert not (tmp_path / "run").exists()
