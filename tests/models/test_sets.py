from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atomsight
from atomsight.core.errors import InputError, ModelError
from atomsight.dataset import Dataset
from atomsight.models import bundled_models, load_model
from atomsight.models.conformal import ENOUGH, SetRule, fit_sets, sets_file
from atomsight.training.model_file import add_metadata
from workshop.sets import calibrate_file

IBUPROFEN = Path(__file__).parents[2] / "examples" / "ibuprofen.cif"


def drawn(seed: int, n: int, elements: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right about themselves, and truths drawn from them."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.array([4.0, 2, 1, 0.5, 0.2, 0.02])[:elements], n)
    truth = (p.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1).clip(max=elements - 1)
    return p, truth


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([0.8, 0.9, 0.99]))
def test_the_promise_is_kept_for_each_first_choice(seed: int, coverage: float) -> None:
    rule = fit_sets(*drawn(seed, 20_000), coverage)
    p, truth = drawn(seed + 1, 20_000)
    members = rule.members(p)
    first = p.argmax(axis=1)
    held = members[np.arange(len(p)), truth]
    assert members[np.arange(len(p)), first].all()
    for column in range(p.shape[1]):
        n = np.count_nonzero(first == column)
        if n >= 400:
            assert held[first == column].mean() > coverage - 5 * np.sqrt(coverage * (1 - coverage) / n) * 1.5
    assert held.mean() > coverage - 0.015


def test_sets_are_no_larger_than_they_must_be() -> None:
    p, truth = drawn(0, 50_000)
    members = fit_sets(p, truth, 0.9).members(p)
    assert 0.895 < members[np.arange(len(p)), truth].mean() < 0.95
    sure = np.tile([0.98, 0.02], (1000, 1))
    assert fit_sets(sure, np.zeros(1000, dtype=int)).members(sure).sum() == 1000


def test_too_few_sites_promise_nothing_but_everything() -> None:
    p, truth = drawn(1, 50)
    assert fit_sets(p, truth, 0.99).members(p).all()


def test_rare_first_choices_share_a_threshold() -> None:
    p, truth = drawn(2, 5000)
    rule = fit_sets(p, truth)
    count = np.bincount(p.argmax(axis=1), minlength=6)
    rare = count < ENOUGH
    assert rare.sum() >= 2
    assert len(set(rule.thresholds[rare].tolist())) == 1


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, float("nan")])
def test_a_promise_that_cannot_be_is_refused(coverage: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_sets(*drawn(0, 200), coverage)


def test_a_rule_survives_json() -> None:
    rule = fit_sets(*drawn(0, 2000))
    elements = (1, 6, 7, 8, 9, 17)
    back = SetRule.from_dict(json.loads(json.dumps(rule.as_dict(elements))), elements, "here")
    assert (back.coverage, back.sites) == (rule.coverage, rule.sites)
    assert back.thresholds.tolist() == rule.thresholds.tolist()
    with pytest.raises(ModelError, match="here are damaged"):
        SetRule.from_dict(rule.as_dict(elements), (1, 2, 3), "here")


def test_training_fits_sets_to_val(run: Path, learnable: Dataset) -> None:
    model = load_model(run)
    assert model.set_rule is not None
    (batch,) = learnable.batches((*model.columns, "element"), split="val", elements=model.elements)
    truth = np.searchsorted(model.elements, batch["element"])
    members = model.set_rule.members(model.probabilities(batch))
    assert model.set_rule.sites == len(truth)
    assert members[np.arange(len(truth)), truth].mean() >= 0.99


def test_a_model_without_sets_gets_them_beside_its_file(
    run: Path, learnable: Dataset, tmp_path: Path
) -> None:
    shutil.copy(run / "model.onnx", tmp_path / "old.onnx")
    add_metadata(tmp_path / "old.onnx", tmp_path / "old.onnx", {"sets": "null"})
    old = load_model(tmp_path / "old.onnx")
    prediction = next(old.predict(next(atomsight.read(IBUPROFEN))))
    with pytest.raises(ModelError, match=r"workshop\.sets"):
        prediction.sets()
    rule = calibrate_file(old, tmp_path / "old.onnx", learnable)
    again = load_model(tmp_path / "old.onnx")
    trained = load_model(run).set_rule
    assert again.set_rule is not None
    assert trained is not None
    np.testing.assert_allclose(rule.thresholds, trained.thresholds, rtol=1e-4, atol=1e-9)
    assert again.set_rule.thresholds.tolist() == rule.thresholds.tolist()

    other = json.loads(sets_file(tmp_path / "old.onnx").read_text()) | {"model": "another"}
    sets_file(tmp_path / "old.onnx").write_text(json.dumps(other))
    assert load_model(tmp_path / "old.onnx").set_rule is None
    sets_file(tmp_path / "old.onnx").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path / "old.onnx")


def test_only_its_own_dataset_can_calibrate_a_model(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    shutil.copy(run / "model.onnx", tmp_path / "m.onnx")
    other = Dataset(learnable.path, {**learnable.metadata, "fingerprint": "other"})
    with pytest.raises(InputError, match="trained on the dataset"):
        calibrate_file(load_model(run), tmp_path / "m.onnx", other)


@pytest.mark.parametrize("name", bundled_models())
def test_bundled_models_have_sets_of_their_own(name: str) -> None:
    model = load_model(name)
    assert model.set_rule is not None, f"run: python -m workshop.sets {name} DATASET"
    blind = next(model.predict(crystal := next(atomsight.read(IBUPROFEN))))
    for site, members in enumerate(blind.sets()):
        assert members[0] == next(iter(blind.ranked(site)))
        assert list(members) == [s for s in blind.ranked(site) if s in members]
    exact = next(model.predict(crystal, composition=True))
    for wide, narrow, number in zip(blind.sets(), exact.sets(), exact.predicted, strict=True):
        assert set(narrow) <= {"C", "H", "O"}
        assert set(narrow) - {atomsight.core.elements.SYMBOLS[number]} <= set(wide)
        assert atomsight.core.elements.SYMBOLS[number] in narrow
