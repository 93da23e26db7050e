"""The masked-site model end to end: crystals whose geometry tells nothing, but whose partners tell all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError, ModelError
from atomsight.core.progress import Progress
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.evaluate import evaluate_model
from atomsight.models import load_model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.training import Hardware, Settings, train_model
from atomsight.training.data import SiteStream
from atomsight.training.in_memory import InMemoryCrystals
from atomsight.training.masked_site.graph import masked_site_graph
from atomsight.training.masked_site.network import MaskedSiteNetwork, harmonics
from atomsight.training.masked_site.training import MaskedSite
from learnable_crystals import learnable_crystals

IN_MEMORY = Hardware(in_memory=True)
SETTINGS = Settings(
    model="masked-site", k=2, elements="C,N,O", epochs=8, batch_size=256, learning_rate=5e-3, patience=50
)


def twins(count: int, seed: int = 0) -> Iterator[Crystal]:
    """Pairs of equal atoms, C, N or O (rarely S), whose lengths have nothing to do with the element."""
    generator = np.random.default_rng(7)
    for crystal in learnable_crystals(count, seed):
        pairs = generator.choice([6, 7, 8, 16], crystal.n_sites // 2, p=[0.32, 0.32, 0.32, 0.04])
        yield replace(crystal, numbers=np.repeat(pairs, 2).astype(np.uint8))


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("twins") / "dataset"
    build(twins(400), out, 4)
    return open_dataset(out)


@pytest.fixture(scope="module")
def trained(paired: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masked") / "run"
    train_model(paired, out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def model(trained: Path) -> MaskedSiteModel:
    loaded = load_model(trained)
    assert isinstance(loaded, MaskedSiteModel)
    return loaded


@pytest.fixture(scope="module")
def val(paired: Dataset) -> dict[str, np.ndarray]:
    return next(paired.batches((*MaskedSiteModel.columns, "directions", "element", "crystal"), split="val"))


def test_blind_it_is_at_a_loss_and_given_the_others_it_knows(model: MaskedSiteModel) -> None:
    right = {"blind": [], "given": []}
    for crystal in list(twins(430))[400:]:
        known = np.isin(crystal.site_numbers, model.elements)
        truth = np.searchsorted(model.elements, crystal.site_numbers[known])
        for name, answer in (
            ("blind", next(model.predict(crystal)).probabilities),
            ("given", model.site_likelihoods(crystal)),
        ):
            assert answer.shape == (crystal.n_sites, 3)
            np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
            right[name] += (answer[known].argmax(axis=1) == truth).tolist()
    assert np.mean(right["blind"]) < 0.5
    assert np.mean(right["given"]) > 0.98


def test_a_site_does_not_see_its_own_element(model: MaskedSiteModel) -> None:
    crystal = next(twins(1))
    other = replace(
        crystal, numbers=np.where(np.arange(crystal.n_sites) == 0, 7, crystal.numbers).astype(np.uint8)
    )
    np.testing.assert_array_equal(model.site_likelihoods(crystal)[0], model.site_likelihoods(other)[0])
    with_change = replace(
        crystal, numbers=np.where(np.arange(crystal.n_sites) == 1, 22, crystal.numbers).astype(np.uint8)
    )
    assert np.abs(model.site_likelihoods(crystal)[0] - model.site_likelihoods(with_change)[0]).max() > 0.01


def test_the_result_counts_the_named_elements_only(
    trained: Path, model: MaskedSiteModel, paired: Dataset
) -> None:
    result = json.loads((trained / "result.json").read_text())
    counts = paired.element_counts("val")
    assert 16 in counts
    assert result["val"]["sites"] == counts[6] + counts[7] + counts[8]
    evaluation = evaluate_model(model, paired, "val")
    assert evaluation.accuracy == pytest.approx(result["val"]["accuracy"])
    assert evaluation.outside_counts() == {"S": counts[16]}


def test_crystals_do_not_see_each_other(model: MaskedSiteModel, val: dict[str, np.ndarray]) -> None:
    together = model.probabilities(val)
    for name in np.unique(val["crystal"].astype(str))[:5]:
        rows = val["crystal"] == name
        alone = model.probabilities({key: values[rows] for key, values in val.items()})
        np.testing.assert_allclose(alone, together[rows], atol=1e-6)


def test_conditional_probabilities_of_many_crystals_are_those_of_each(
    model: MaskedSiteModel, val: dict[str, np.ndarray], paired: Dataset
) -> None:
    rows = np.flatnonzero(np.isin(val["crystal"], np.unique(val["crystal"].astype(str))[:3]))
    together = model.conditional_probabilities({key: values[rows] for key, values in val.items()})
    crystals = {crystal.name: crystal for crystal in twins(400)}
    for name in np.unique(val["crystal"][rows].astype(str)):
        # the table's distances are float32, those of the crystal float64
        np.testing.assert_allclose(
            together[val["crystal"][rows] == name], model.site_likelihoods(crystals[name]), atol=1e-4
        )


def test_the_order_of_the_sites_does_not_matter(model: MaskedSiteModel, val: dict[str, np.ndarray]) -> None:
    rows = np.flatnonzero(val["crystal"] == val["crystal"][0])
    order = np.random.default_rng(0).permutation(len(rows))
    place = np.argsort(order)
    moved = {
        "distances": val["distances"][rows][order],
        "neighbours": place[val["neighbours"][rows][order].astype(int)],
        "directions": val["directions"][rows][order],
        "site": val["site"][rows],
    }
    plain = model.probabilities({key: values[rows] for key, values in val.items()})
    np.testing.assert_allclose(model.probabilities(moved), plain[order], atol=1e-6)


def test_the_answer_does_not_turn_with_the_crystal(model: MaskedSiteModel) -> None:
    crystal = next(twins(1, seed=5))
    axes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turned = replace(crystal, lattice=crystal.lattice @ axes)
    plain, other = (next(model.predict(one)).probabilities for one in (crystal, turned))
    assert np.abs(model.columns_of(crystal)["directions"] - model.columns_of(turned)["directions"]).max() > 20
    # directions are rounded to a third of a degree, each in its own axes
    np.testing.assert_allclose(plain, other, atol=0.02)


def test_degrees_follow_the_addition_theorem() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(2, 50, 3))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    one, other = (harmonics(torch.from_numpy(v)).numpy() for v in vectors)
    cosine = (vectors[0] * vectors[1]).sum(axis=1)
    for degree in range(1, 5):
        part = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        legendre = np.polynomial.legendre.Legendre.basis(degree)(cosine)
        np.testing.assert_allclose((one[:, part] * other[:, part]).sum(axis=1), legendre, atol=1e-12)


def test_a_network_of_distances_alone_exports_and_asks_for_no_directions(tmp_path: Path) -> None:
    from atomsight.models.load import load_model
    from atomsight.training.model_file import write_model

    torch.manual_seed(0)
    network = MaskedSiteNetwork(4, 2, hidden=8, angular=0)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    metadata = {"kind": "masked-site", "k": 4, "elements": "C,O"}
    write_model(masked_site_graph(weights, 4, 1.0), metadata, tmp_path / "plain.onnx")
    plain = load_model(tmp_path / "plain.onnx")
    assert plain.columns == ("distances", "neighbours", "site")
    crystal = next(twins(1))
    assert "directions" not in plain.columns_of(crystal)
    assert next(plain.predict(crystal)).probabilities.shape == (crystal.n_sites, 2)


def test_held_in_memory_it_sees_the_same_crystals(paired: Dataset, tmp_path: Path) -> None:
    elements = (6, 7, 8)
    settings = replace(SETTINGS, batch_size=50)
    for split in ("train", "val"):
        stream = SiteStream(paired, settings, elements, MaskedSite.columns, split, True)
        held = InMemoryCrystals(stream, torch.device("cpu"), lambda: 3)
        assert sum(len(b["site"]) for b in held) == sum(len(b["site"]) for b in stream)
        assert all(int(b["site"][0]) == 0 for b in held)
        found, expected = (
            sorted(map(tuple, torch.cat([b["distances"][:, :2] for b in source]).tolist()))
            for source in (held, stream)
        )
        assert found == expected

    def first_of(epoch: int) -> list[int]:
        train = SiteStream(paired, settings, elements, MaskedSite.columns, "train", True)
        return next(iter(InMemoryCrystals(train, torch.device("cpu"), lambda: epoch)))["element"].tolist()

    assert first_of(1) == first_of(1)
    assert first_of(1) != first_of(2), "each epoch has an order of its own"
    model = train_model(paired, tmp_path / "run", SETTINGS, hardware=IN_MEMORY)
    assert model.kind == "masked-site"
    with pytest.raises(InputError, match="in_memory"):
        train_model(
            paired,
            tmp_path / "other",
            replace(SETTINGS, model="two-stage"),
            hardware=IN_MEMORY,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: {k: v for k, v in b.items() if k != "site"},
            "needs the columns distances, neighbours, site, directions",
        ),
        (lambda b: {k: v[1:] for k, v in b.items()}, "needs whole crystals"),
        (lambda b: {**b, "site": np.zeros_like(b["site"])}, "no sites of their crystal"),
        (lambda b: {**b, "site": np.arange(len(b["site"])) // 2}, "needs whole crystals"),
        (lambda b: {**b, "neighbours": b["neighbours"] + 1000}, "no sites of their crystal"),
        (lambda b: {**b, "distances": b["distances"] * np.nan}, "not finite"),
        (lambda b: {**b, "distances": b["distances"][:, :1]}, "k = 2 distances a site"),
        (lambda b: {**b, "directions": b["directions"].astype(float)}, "needs directions"),
    ],
)
def test_columns_that_cannot_be_are_refused(
    model: MaskedSiteModel, val: dict[str, np.ndarray], change: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        model.probabilities(change(val))


def test_no_sites_no_rows(model: MaskedSiteModel, val: dict[str, np.ndarray]) -> None:
    assert model.probabilities({name: values[:0] for name, values in val.items()}).shape == (0, 3)


def test_an_interrupted_run_ends_with_the_same_weights(
    trained: Path, paired: Dataset, tmp_path: Path
) -> None:
    class InterruptionError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.epoch == 3 and not progress.record and progress.done == 2:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train_model(paired, tmp_path / "run", SETTINGS, progress=stop)
    train_model(paired, tmp_path / "run", SETTINGS, resume=True)
    assert (tmp_path / "run" / "model.onnx").read_bytes() == (trained / "model.onnx").read_bytes()


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
def test_a_large_run_trains_in_half_precision_where_that_pays_and_exports_in_full(
    paired: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    compiled: list[torch.nn.Module] = []
    precisions = set()
    forward = MaskedSiteNetwork.forward

    def noted(network: MaskedSiteNetwork, *given: torch.Tensor) -> torch.Tensor:
        answer = forward(network, *given)
        precisions.add(answer.dtype)
        return answer

    def compile_nothing(network: torch.nn.Module, dynamic: bool) -> torch.nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr("atomsight.training.masked_site.training.WORTH_COMPILING", 1)
    monkeypatch.setattr("atomsight.training.masked_site.training.compiler_found", lambda: True)
    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(MaskedSiteNetwork, "forward", noted)
    train_model(paired, tmp_path / "run", replace(SETTINGS, epochs=1))
    assert len(compiled) == 1
    assert (torch.bfloat16 in precisions) == (capability == "AVX512")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["export_difference"] < 1e-6


def test_a_cap_is_refused(paired: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whole crystals; train it without a cap"):
        train_model(paired, tmp_path / "run", replace(SETTINGS, cap=10))
    assert not (tmp_path / "run").exists()


def test_large_crystals_drawn_less_often(paired: Dataset, tmp_path: Path) -> None:
    model = train_model(paired, tmp_path / "run", replace(SETTINGS, epochs=1, per_crystal=2))
    assert model.k == SETTINGS.k
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["per_crystal"] == 2
    with pytest.raises(InputError, match="without in_memory"):
        train_model(paired, tmp_path / "held", replace(SETTINGS, per_crystal=2), hardware=IN_MEMORY)
    with pytest.raises(InputError, match="single sites"):
        train_model(paired, tmp_path / "two", Settings(k=2, elements="C,N,O", per_crystal=2))
