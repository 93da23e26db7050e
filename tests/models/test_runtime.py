from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.errors import ModelError
from atomsight.dataset import Dataset
from atomsight.models import Model, load_model
from atomsight.training.model_file import add_metadata, write_model
from atomsight.training.two_stage.graph import two_stage_graph
from learnable_crystals import PAIR_LENGTH, learnable_crystals
from two_stage_weights import two_stage_weights


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return load_model(run, threads=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.train
def test_the_graph_computes_the_two_stages(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    k, widths, n, temperature = 3, [3, 5, 4, 6], 2, 1.7
    layers = [
        (generator.normal(size=(b, a)).astype(np.float32), generator.normal(size=b).astype(np.float32))
        for a, b in pairwise(widths)
    ]
    last = (generator.normal(size=(n, 6 + k)).astype(np.float32), generator.normal(size=n).astype(np.float32))
    mean, scale = (generator.random(k).astype(np.float32) + 0.5 for _ in range(2))
    graph = two_stage_graph(two_stage_weights(mean, scale, layers, last), temperature)
    write_model(graph, {"kind": "two-stage", "k": k, "elements": "H,C"}, tmp_path / "hand.onnx")

    distances = generator.random((50, k)) * 4
    standard = signal = (distances - mean) * scale
    for weight, bias in layers:
        signal = sigmoid(signal @ weight.T + bias)
    logits = np.concatenate([signal, standard], axis=1) @ last[0].T + last[1]
    expected = np.exp(logits / temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    answer = load_model(tmp_path / "hand.onnx").probabilities({"distances": distances})
    np.testing.assert_allclose(answer, expected, atol=2e-6)


def test_probabilities_keep_their_contract(model: Model, learnable: Dataset) -> None:
    (batch,) = learnable.batches(("distances", "element"), split="test")
    answer = model.probabilities(batch)
    assert answer.shape == (len(batch["element"]), 3)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    assert answer.min() >= 0
    narrow = model.probabilities({"distances": batch["distances"][:, :4].astype(np.float64)})
    np.testing.assert_array_equal(narrow, answer)
    assert model.probabilities({"distances": np.empty((0, 4))}).shape == (0, 3)


def test_many_sites_are_answered_in_calls_of_bounded_size(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    distances = np.sort(np.random.default_rng(0).random((100, 4)) * 5, axis=1)
    whole = model.probabilities({"distances": distances})
    monkeypatch.setattr("atomsight.models.two_stage.inference.SITES_PER_CALL", 7)
    np.testing.assert_allclose(model.probabilities({"distances": distances}), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs the columns distances, got none"),
        ({"distances": np.ones((2, 3))}, r"needs k = 4 distances a site, got shape \(2, 3\)"),
        ({"distances": np.ones(4)}, r"got shape \(4,\)"),
        ({"distances": np.full((1, 4), np.nan)}, "not finite"),
    ],
)
def test_columns_that_cannot_be_used(columns: dict, message: str, model: Model) -> None:
    with pytest.raises(ModelError, match=message):
        model.probabilities(columns)


def test_predictions_are_in_order_and_the_same_one_by_one(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    crystals = list(learnable_crystals(30, seed=9))
    together = list(model.predict(iter(crystals)))
    assert [p.crystal.name for p in together] == [c.name for c in crystals]
    monkeypatch.setattr("atomsight.models.base.SITES_PER_RUN", 1)
    for crystal, whole in zip(crystals, together, strict=True):
        (alone,) = model.predict(crystal)
        np.testing.assert_allclose(alone.probabilities, whole.probabilities, atol=1e-6)
        assert whole.probabilities.shape == (crystal.n_sites, 3)


def test_the_pairs_are_told_apart(model: Model) -> None:
    for prediction in model.predict(learnable_crystals(20, seed=3)):
        known = np.isin(prediction.crystal.site_numbers, model.elements)
        assert prediction.agrees[known].all()
        assert not prediction.agrees[~known].any()
        ranked = prediction.ranked(0)
        assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
        assert set(ranked) == {"H", "C", "O"}
        assert all(p >= 0.5 for p in prediction.ranked(0, 0.5).values())


def test_the_crystals_own_elements_are_not_looked_at(model: Model) -> None:
    from dataclasses import replace

    crystal = next(learnable_crystals(1, seed=4))
    relabelled = replace(crystal, numbers=np.full_like(crystal.numbers, 92))
    (a,), (b,) = model.predict(crystal), model.predict(relabelled)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)


def test_the_formula_decides_between_near_equals(model: Model) -> None:
    """A pair halfway between C and O in length goes to whichever the formula still needs."""
    from dataclasses import replace

    crystal = next(c for c in learnable_crystals(50, seed=6) if set(c.numbers.tolist()) == {1, 6})
    pair = crystal.numbers == 6
    centre = np.array([0.5, 0.5, 0.5])
    length = (PAIR_LENGTH[6] + PAIR_LENGTH[8]) / 2 / 18
    fractional = crystal.fractional.copy()
    first = np.flatnonzero(pair)[:2]
    other = crystal.fractional[first].mean(axis=0)
    fractional[first] = other + np.array([[-0.5], [0.5]]) * np.array([length, 0, 0])
    for element in (6, 8):
        numbers = crystal.numbers.copy()
        numbers[first] = element
        (p,) = model.predict(replace(crystal, numbers=numbers, fractional=fractional), composition=True)
        assert p.agrees.all(), centre
        np.testing.assert_allclose(p.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_formula_beyond_the_model_is_skipped_with_its_reason(model: Model) -> None:
    crystals = list(learnable_crystals(40, seed=8))
    with_zinc = [c.source for c in crystals if 30 in c.numbers]
    assert 0 < len(with_zinc) < len(crystals)
    skipped = []
    done = list(
        model.predict(crystals, composition=True, on_skip=lambda s, r: skipped.append((s, r.rule, str(r))))
    )
    assert [s for s, _, _ in skipped] == with_zinc
    assert skipped[0][1:] == ("unknown_to_model", "the model quick does not know Zn")
    assert len(done) == len(crystals) - len(with_zinc)
    with pytest.raises(ModelError, match="does not know Zn"):
        list(model.predict(crystals, composition=True))


def test_models_are_found_by_folder_and_by_file(run: Path) -> None:
    assert load_model(run).name == "quick"
    assert load_model(str(run / "model.onnx")).name == "model"
    assert repr(load_model(run)) == "<two-stage model quick: k = 4, 3 elements>"


def test_models_that_cannot_be_opened(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'tow-stage': .*bundled"):
        load_model("tow-stage")
    with pytest.raises(ModelError, match="is no run folder"):
        load_model(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(ModelError, match="has not ended; go on with"):
        load_model(tmp_path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((run / "model.onnx").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"broken\.onnx is not a model that ONNX Runtime can open"):
        load_model(broken)
    add_metadata(run / "model.onnx", tmp_path / "future.onnx", {"kind": "crystal-ball"})
    with pytest.raises(ModelError, match="kind 'crystal-ball', which this version"):
        load_model(tmp_path / "future.onnx")
    add_metadata(run / "model.onnx", tmp_path / "bare.onnx", {"elements": "Qq"})
    with pytest.raises(ModelError, match="lacks its metadata"):
        load_model(tmp_path / "bare.onnx")


def test_metadata_can_be_added(run: Path, tmp_path: Path) -> None:
    add_metadata(run / "model.onnx", tmp_path / "more.onnx", {"test": {"accuracy": 0.5}, "licence": "MIT"})
    model = load_model(tmp_path / "more.onnx")
    assert model.metadata["test"] == {"accuracy": 0.5}
    assert model.metadata["licence"] == "MIT"
    assert model.metadata["settings"]["k"] == 4
