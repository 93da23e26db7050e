"""What the plausibility networks learn from, and that their training runs, goes on and exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from perovskite import perovskite
from salts import ROCK_SALT, ZINC_BLENDE, archive_of, cubic

from atomsight.crystal import Crystal
from atomsight.errors import InputError, ModelError
from atomsight.models.plausibility.inference import PRESSED, Plausibility
from atomsight.screen import decoys
from atomsight.screen.decoys import scaled
from atomsight.training.masked_site.graph import weights_of
from workshop.plausibility import unrelaxed
from workshop.plausibility.examples import decoys_of
from workshop.plausibility.prototypes import Geometry, kin, orders, same_prototype, with_elements

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
    of_sodium_chloride = kin(geometries)[3]
    assert {number for number, _ in of_sodium_chloride.like} == {0, 1, 2, 4, 5}
    for _, others in of_sodium_chloride.unlike:
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
    like = kin(geometries)[0].like
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
    """A dataset and its archive."""
    from atomsight.dataset import build

    root = tmp_path_factory.mktemp("salts")
    archive = archive_of(SALTS, root / "salts.tar.gz")
    build(archive, root / "dataset", K, workers=1)
    return root / "dataset", archive


@pytest.mark.parametrize(
    "more",
    [["--unrelaxed"], ["--unrelaxed", "--angular", "0"], [], ["--exchange", "masked-site-isotypes"]],
)
def test_training_goes_on_where_it_stopped_and_exports(
    more: list[str],
    salts: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from atomsight.training.plausibility import training as fit

    monkeypatch.setattr(fit, "compiler_found", lambda: False)
    dataset, archive = salts

    def run(out: Path, minutes: float, *also: object) -> None:
        arguments = [dataset, "--small", archive, "--epochs", 2, "--minutes", minutes, "--out", out, *more]
        arguments += also
        monkeypatch.setattr("sys.argv", ["fit", *map(str, arguments)])
        fit.main()

    run(tmp_path / "whole", 10)
    run(tmp_path / "parts", 0)
    assert torch.load(tmp_path / "parts" / "last.pt", weights_only=True)["epoch"] == 1
    run(tmp_path / "parts", 10)
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")]
    for name, weights in states[0]["network"].items():
        torch.testing.assert_close(states[1]["network"][name], weights)
    file = tmp_path / "whole" / "plausibility.onnx"
    _check_exported(file, states[0]["network"], "0" not in more)
    run(tmp_path / "further", 10, "--from", file, "--rate", 1e-12)
    further = torch.load(tmp_path / "further" / "last.pt", weights_only=True)["network"]
    for name, weights in states[0]["network"].items():
        if name != "draws":
            torch.testing.assert_close(further[name], weights, atol=1e-6, rtol=1e-5)
    with pytest.raises(SystemExit):
        run(tmp_path / "other", 10, "--from", file, "--angular", 3 if "0" in more else 0)
    assert "another kind of network" in capsys.readouterr().err
    if "--unrelaxed" in more:
        with pytest.raises(SystemExit):
            run(tmp_path / "other", 10, "--exchange", "masked-site-isotypes")
        assert "of no use with --unrelaxed" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_exchanges_bring_elements_in_and_leave_what_else_a_step_holds(
    salts: tuple[Path, Path], tmp_path: Path
) -> None:
    from workshop.plausibility.exchange import Exchanges
    from workshop.plausibility.whole import Whole

    dataset, archive = salts
    exchanges = Exchanges.of_model("masked-site-isotypes", often=1.0)
    steps = [
        list(
            Whole.prepared(dataset, [archive], [], 0, [], 0, K, tmp_path, exchanges=drawn).batches(
                np.random.default_rng(0)
            )
        )
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
    from atomsight.training.plausibility.training import network_from

    onnx = pytest.importorskip("onnx")
    network = network_from(name).eval()
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


def test_another_model_has_no_trunk() -> None:
    from atomsight.training.plausibility.training import network_from

    with pytest.raises(ModelError, match="another kind of network"):
        network_from("two-stage")


def test_the_mean_of_networks(tmp_path: Path) -> None:
    from atomsight.models.load import model_file
    from atomsight.training.plausibility import training as fit
    from atomsight.training.plausibility.mean import mean

    files, states = [tmp_path / "a.onnx", tmp_path / "b.onnx"], []
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        network = fit.network_of(fit.ANGULAR)
        fit.export(network, file, {})
        states.append(network.state_dict())
    mean(files, tmp_path / "mean.onnx")
    halves = {name: (weights + states[1][name]) / 2 for name, weights in states[0].items()}
    _check_exported(tmp_path / "mean.onnx", {**halves, "draws": states[0]["draws"]}, True)
    with pytest.raises(InputError, match="at least two"):
        mean(files[:1], tmp_path / "one.onnx")
    with pytest.raises(ModelError, match="another kind"):
        mean([*files, PRESSED], tmp_path / "one.onnx")
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
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


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
