"""What the plausibility networks learn from, and that their training runs, goes on and exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError, ModelError
from atomsight.core.progress import Progress
from atomsight.models.plausibility.inference import INORGANIC_UNRELAXED, Plausibility
from atomsight.training.masked_site.graph import weights_of
from perovskite import perovskite
from salts import ROCK_SALT, ZINC_BLENDE, archive_of, cubic
from workshop import decoys
from workshop.decoys import scaled
from workshop.plausibility import unrelaxed
from workshop.plausibility.examples import decoys_of
from workshop.plausibility.prototypes import Geometry, match_prototypes, orders, same_prototype, with_elements

torch = pytest.importorskip("torch")

K = 16


SALTS = [
    *(
        cubic(f"{metal} {anion}", length, ROCK_SALT)
        for metal in ("Li", "Na", "K")
        for anion, length in (("F", 4.4), ("Cl", 5.6))
    ),
    *(
        cubic(symbols, length, ZINC_BLENDE)
        for symbols, length in (("Zn S", 5.4), ("Cd S", 5.8), ("Zn Se", 5.7))
    ),
]


def test_a_prototype_is_known_by_its_geometry_alone() -> None:
    geometries = [Geometry.of(scaled(crystal, 1.3 * crystal.volume), K) for crystal in SALTS]
    of_sodium_chloride = match_prototypes(geometries)[3]
    assert {number for number, _ in of_sodium_chloride.same} == {0, 1, 2, 4, 5}
    for _, others in of_sodium_chloride.other:
        assert others.tolist() == [6, 7, 8]


def test_elements_take_the_roles_of_the_prototype() -> None:
    """In a perovskite A and B are as many, and only one of two ways to hand them out makes a perovskite."""
    first = perovskite()
    table = np.arange(128, dtype=np.uint8)
    table[[38, 22, 8]] = 37, 24, 9  # RbCrF3; chromium is the lighter, so that the order of the roles turns
    numbers = table[first.numbers]
    other = Crystal("RbCrF3", 4.3 * np.eye(3), first.fractional, numbers, first.orbits, ("Rb", "Cr", "F"))
    turned = Crystal(
        "CrRbF3", 4.3 * np.eye(3), first.fractional, numbers[[1, 0, 2, 3, 4]], first.orbits, ("Cr", "Rb", "F")
    )
    geometries = [Geometry.of(crystal, K) for crystal in (first, other, turned)]
    assert orders(geometries[0].counts) == [(0, 1, 2), (1, 0, 2)]
    like = match_prototypes(geometries)[0].same
    assert {number for number, _ in like} == {1, 2}
    for number, way in like:
        element = with_elements(geometries[number], geometries[0].elements, way)
        site_of = dict(zip(element.tolist(), geometries[number].distances[:, 0].tolist(), strict=True))
        assert site_of[22] == pytest.approx(0.5 / 0.2 ** (1 / 3), rel=1e-5)  # Ti sits where Cr sat or Rb
        assert site_of[38] == pytest.approx(0.5**0.5 / 0.2 ** (1 / 3), rel=1e-5)


def test_candidates_share_formula_and_volume() -> None:
    geometries = [Geometry.of(crystal, K) for crystal in SALTS]
    source = unrelaxed.Unrelaxed(geometries, np.full(len(SALTS), 2.7), [[] for _ in SALTS])
    seen = set()
    for seed in range(5):
        for number, crystal in enumerate(SALTS):
            for candidate in source.candidates(number, np.random.default_rng(seed)):
                assert sorted(set(candidate.element.tolist())) == sorted(set(crystal.numbers.tolist()))
                near = candidate.geometry.distances[:, 0].min()
                rock_salt = abs(near - 0.5 * 2) < 0.01  # nearest neighbours in units of an atom's edge
                assert candidate.real == (rock_salt == (number < 6))
                seen.add(candidate.real)
        batch = next(source.batches(np.random.default_rng(seed)))
        assert len(batch["real"]) == len(batch["group"]) == int(batch["structure"][-1]) + 1
        assert (batch["distances"].diff(dim=1) >= 0).all()
        row = batch["structure"][batch["neighbours"]]
        assert (row == batch["structure"][:, None]).all()
    assert seen == {True, False}


@pytest.fixture(scope="module")
def salts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset of binary salts with a val split, and its archive."""
    from atomsight.dataset import build

    root = tmp_path_factory.mktemp("salts")
    crystals = [
        *(
            cubic(f"{metal} {anion}", 4.4 + 0.3 * place, ROCK_SALT)
            for place, metal in enumerate(("Li", "Na", "K", "Rb"))
            for anion in ("F", "Cl", "Br", "I")
        ),
        *(
            cubic(f"{metal} {anion}", 5.4 + 0.3 * place, ZINC_BLENDE)
            for place, metal in enumerate(("Zn", "Cd", "Hg"))
            for anion in ("S", "Se", "Te")
        ),
    ]
    archive = archive_of(crystals, root / "salts.tar.gz")
    build(archive, root / "dataset", K)
    return root / "dataset", archive


def command(monkeypatch: pytest.MonkeyPatch, salts: tuple[Path, Path], out: Path, *more: object) -> None:
    """Run the training command for two epochs."""
    from workshop.plausibility import train

    arguments = [salts[0], "--small", salts[1], "--epochs", 2, "--threads", 1, "--out", out, *more]
    monkeypatch.setattr("sys.argv", ["train", *map(str, arguments)])
    monkeypatch.setattr("atomsight.training.plausibility.training.compiler_found", lambda: False)
    train.main()


@pytest.mark.train
@pytest.mark.parametrize(
    "more",
    [["--unrelaxed", "--angular", "0"], ["--exchange", "masked-site-isotypes"]],
)
def test_an_interrupted_training_ends_with_the_same_weights(
    more: list[str], salts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workshop.plausibility import train

    def stop(progress: Progress) -> None:
        if progress.record:
            raise KeyboardInterrupt

    whole, parts, further = (tmp_path / name for name in ("whole", "parts", "further"))
    command(monkeypatch, salts, whole, *more)
    with monkeypatch.context() as patch:
        patch.setattr(train, "show", stop)
        with pytest.raises(KeyboardInterrupt):
            command(patch, salts, parts, *more)
    assert not (parts / "model.onnx").exists()
    command(monkeypatch, salts, parts, *more, "--resume")
    weights = torch.load(whole / "checkpoints" / "plausibility.ckpt", weights_only=True)
    kept = weights["callbacks"]["keeper"]
    assert (parts / "model.onnx").read_bytes() == (whole / "model.onnx").read_bytes()
    epochs = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert 0 <= epochs[-1]["val_accuracy"] <= 1
    _check_exported(whole / "model.onnx", kept["best_weights"], "0" not in more)

    command(monkeypatch, salts, further, *more, "--from", whole, "--rate", 1e-12)
    after = torch.load(further / "checkpoints" / "plausibility.ckpt", weights_only=True)
    for name, values in after["callbacks"]["keeper"]["best_weights"].items():
        if name != "draws":
            torch.testing.assert_close(values, kept["best_weights"][name], atol=1e-6, rtol=1e-5)


def test_what_cannot_be_trained_leaves_no_folder(
    salts: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for more, message in (
        (["--from", INORGANIC_UNRELAXED, "--angular", 3], "another kind of network"),
        (["--from", "two-stage"], "another kind of network"),
        (["--unrelaxed", "--exchange", "masked-site-isotypes"], "of no use with --unrelaxed"),
        (["--exchange", "masked-site-isotypes", "--often", 2], "a chance, from 0 to 1"),
    ):
        with pytest.raises(SystemExit):
            command(monkeypatch, salts, tmp_path / "run", *more)
        assert message in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "run").exists()


def test_the_loss_names_the_real_crystal_among_its_decoys() -> None:
    from atomsight.training.plausibility.training import contrast

    group = torch.tensor([0, 0, 0, 1, 1, 2])
    real = torch.tensor([True, True, False, True, False, True])
    loss, scores = contrast(torch.tensor([2.0, 1.0, -1.0, -3.0, 4.0, 0.0]), group, real, 1.0)
    assert scores.tolist() == [[2.0, -1.0], [-3.0, 4.0], [0.0, -np.inf]]
    named = np.mean([np.mean(np.log1p(np.exp([-3.0, -2.0]))), np.log1p(np.exp(7.0)), 0.0])
    alone = np.mean(np.log1p(np.exp([-2.0, -1.0, -1.0, 3.0, 4.0, 0.0])))
    assert float(loss) == pytest.approx(named + 0.5 * alone, rel=1e-5)


def test_structures_are_pooled_as_at_inference() -> None:
    from atomsight.models.plausibility.inference import crystal_logits
    from atomsight.training.plausibility.training import pooled

    generator = np.random.default_rng(0)
    logits, weight = generator.normal(size=5).astype(np.float32), np.array([0.5, 0.5, 0.2, 0.3, 0.5])
    found = pooled(
        torch.from_numpy(logits), torch.from_numpy(weight).float(), torch.tensor([0, 0, 1, 1, 1]), 2
    )
    np.testing.assert_allclose(found.numpy(), crystal_logits(logits, weight, [2, 3]), rtol=1e-5)


def test_exchanges_bring_elements_in_and_leave_what_else_a_step_holds(
    salts: tuple[Path, Path], tmp_path: Path
) -> None:
    from workshop.plausibility.exchange import Exchanges
    from workshop.plausibility.whole import Choice, Whole, examples_of_splits

    dataset, archive = salts
    exchanges = Exchanges.of_model("masked-site-isotypes", often=1.0)
    made = [examples_of_splits(dataset, [archive], [], tmp_path, Choice(0, [], 0, K)) for _ in range(2)]
    assert all(np.array_equal(made[0][split].distances, made[1][split].distances) for split in made[0])
    steps = [
        list(Whole(made[0]["train"], exchanges=drawn).batches(np.random.default_rng(0)))
        for drawn in (None, exchanges)
    ]
    held = [set(torch.cat([step["element"] for step in some]).tolist()) for some in steps]
    assert held[1] - held[0]
    for plain, exchanged in zip(*steps, strict=True):
        for name in ("structure", "group", "real", "weight"):
            assert torch.equal(plain[name], exchanged[name])


@pytest.mark.parametrize(("name", "channels"), [("masked-site-angles-2", 24), ("masked-site", 0)])
def test_a_network_begins_with_the_trunk_of_one_that_names_elements(name: str, channels: int) -> None:
    from atomsight.models.load import load_model, model_file
    from atomsight.models.masked_site.inference import MaskedSiteModel
    from atomsight.training.plausibility.train import PlausibilitySettings, network_from

    onnx = pytest.importorskip("onnx")
    network = network_from(PlausibilitySettings(begin=name)).network.eval()
    assert network.angular == channels
    assert network.out.weight.shape[0] == 1
    crystal = perovskite()
    model = load_model(name)
    assert isinstance(model, MaskedSiteModel)
    columns = model.columns_of(crystal)
    held = {one.name: one for one in onnx.load(model_file(name)).graph.initializer}
    with torch.no_grad():
        # with the last layer of the model, the answers are the model's
        network.out = torch.nn.Linear(network.out.in_features, len(model.elements))
        weights = weights_of({k: onnx.numpy_helper.to_array(v) for k, v in held.items()}, 1.0)
        network.out.weight.copy_(torch.from_numpy(weights["out.weight"].copy()))
        network.out.bias.copy_(torch.from_numpy(weights["out.bias"].copy()))
        ways = None
        if channels:
            ways = torch.from_numpy(np.array(columns["directions"])).reshape(3, -1, 3).float()[:, : model.k]
            ways = ways / ways.norm(dim=-1, keepdim=True)
        rows = torch.from_numpy(columns["neighbours"].astype(np.int64))[:, : model.k]
        lengths = torch.from_numpy(columns["distances"])[:, : model.k].float()
        answer = network(lengths, rows, torch.zeros(3, dtype=torch.long), ways).softmax(dim=1)
    np.testing.assert_allclose(answer.numpy(), model.probabilities(columns), rtol=0.02, atol=1e-3)


def test_the_mean_of_networks(tmp_path: Path) -> None:
    from atomsight.models.load import model_file
    from atomsight.training.plausibility.train import export
    from atomsight.training.plausibility.training import Plausibility as Trained
    from workshop.plausibility.mean import mean

    files, states = [tmp_path / "a.onnx", tmp_path / "b.onnx"], []
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        architecture = Trained()
        export(architecture, file, {})
        states.append(architecture.network.state_dict())
    mean(files, tmp_path / "mean.onnx")
    halves = {name: (weights + states[1][name]) / 2 for name, weights in states[0].items()}
    _check_exported(tmp_path / "mean.onnx", {**halves, "draws": states[0]["draws"]}, True)
    with pytest.raises(InputError, match="at least two"):
        mean(files[:1], tmp_path / "one.onnx")
    with pytest.raises(ModelError, match="another kind"):
        mean([*files, INORGANIC_UNRELAXED], tmp_path / "one.onnx")
    with pytest.raises(ModelError, match="another kind"):  # its last layer would be drawn at random
        mean([model_file("masked-site")] * 2, tmp_path / "one.onnx")


def _check_exported(path: Path, weights: dict[str, torch.Tensor], turned: bool) -> None:
    from atomsight.training.masked_site.network import MaskedSiteNetwork
    from atomsight.training.plausibility import training as fit

    network = MaskedSiteNetwork(K, 1, fit.HIDDEN, angular=fit.ANGULAR if turned else 0)
    network.layers = network.layers[: fit.LAYERS]
    network.load_state_dict(weights)
    exported = Plausibility(path, threads=1)
    assert exported.sees_directions == turned
    geometry = Geometry.of(SALTS[0], K)
    element = geometry.elements[geometry.role]
    given = (geometry.distances * 2.3, geometry.neighbours, element)
    found = exported.site_logits(*given, np.zeros(1, np.int64), geometry.directions)
    ways = torch.from_numpy(geometry.directions.astype(np.float32))
    ways = ways / ways.norm(dim=-1, keepdim=True)
    network.eval()
    with torch.no_grad():
        expected = network(*(torch.from_numpy(one) for one in given), ways)[:, 0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)  # directions are rounded


def test_what_makes_the_crystal_again_is_no_decoy() -> None:
    generator = np.random.default_rng(0)
    salt, crystal = SALTS[1], perovskite()
    assert same_prototype(decoys.with_elements(salt, salt.numbers[::-1].copy()), salt)
    assert same_prototype(decoys.decorated(SALTS[4], salt, generator, 20.0), salt)
    assert not same_prototype(decoys.decorated(SALTS[7], salt, generator, 20.0), salt)
    assert same_prototype(crystal, crystal)
    for decoy in decoys_of(crystal, {}, np.full(128, 12.0), generator):
        assert not same_prototype(decoy, crystal)
    turned = crystal.numbers.copy()
    turned[[0, 1]] = turned[[1, 0]]
    assert not same_prototype(decoys.with_elements(crystal, turned), crystal)


def test_another_crystal_of_the_formula_is_no_template(monkeypatch: pytest.MonkeyPatch) -> None:
    salt, form, other = SALTS[1], cubic("Li Cl", 5.1, ZINC_BLENDE), SALTS[8]
    used: list[Crystal] = []

    def note(template: Crystal, *others: object) -> None:
        used.append(template)

    monkeypatch.setattr(decoys, "decorated", note)
    bank = {decoys.stoichiometry(salt): [salt, form, other]}
    for seed in range(5):
        decoys_of(salt, bank, np.full(128, 12.0), np.random.default_rng(seed))
    assert any(template is other for template in used)
    assert not any(template is form for template in used)
