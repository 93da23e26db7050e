"""The public interface: its names, one call of each verb, tables of results, conversions and files."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import atomsight
from atomsight import Crystal
from atomsight.cli.main import app
from atomsight.core.errors import InputError, MissingExtraError, ModelError, SkippedWarning
from atomsight.core.progress import Progress
from atomsight.core.results import Results

EXAMPLES = Path(__file__).parents[1] / "examples"
DATA = Path(__file__).parent / "data"
PARACETAMOL = EXAMPLES / "paracetamol.cif"
ARCHIVE = EXAMPLES / "crystals.tar.xz"
HALITE = DATA / "halite.cif"

NAMES = (
    "Crystal Dataset Model amd build check earth_movers_distance evaluate load_model nearest_neighbours "
    "open_dataset pdd predict rank read train write"
).split()
VERBS = ("predict", "check", "rank")


@pytest.fixture(scope="module")
def paracetamol() -> Crystal:
    return next(atomsight.read(PARACETAMOL))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> atomsight.Dataset:
    out = tmp_path_factory.mktemp("api") / "d"
    atomsight.build(ARCHIVE, out, k=24)
    return atomsight.open_dataset(out)


def printed(*arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of a command."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_public_names() -> None:
    import atomsight.check.check
    import atomsight.rank.rank  # the import sets the subpackage on the package

    assert dir(atomsight) == NAMES == atomsight.__all__
    assert atomsight.__version__
    for name in NAMES:
        assert callable(getattr(atomsight, name)), name
    with pytest.raises(AttributeError, match="solve"):
        atomsight.solve  # noqa: B018


def test_signatures_share_their_names() -> None:
    shared = {
        "executor": "Executor | int | None",
        "on_skip": "OnSkip | None",
        "progress": "OnProgress | None",
    }
    expected = {
        "build": set(shared),
        "check": set(shared),
        "predict": set(shared),
        "rank": set(shared),
        "read": {"on_skip", "progress"},
        "evaluate": {"progress"},
        "train": {"progress"},
    }
    for verb, names in expected.items():
        parameters = inspect.signature(getattr(atomsight, verb)).parameters
        assert names == set(shared) & set(parameters), verb
        assert not {"workers", "watch", "on_progress"} & set(parameters)
        for name in names:
            assert parameters[name].annotation == shared[name], (verb, name)
            assert parameters[name].default is None
            assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_every_verb_has_a_complete_docstring() -> None:
    for name in (*VERBS, "build", "evaluate", "load_model", "open_dataset", "read", "train", "write"):
        for section in ("Args:", "Returns:", "Raises:", "Example:"):
            assert section in getattr(atomsight, name).__doc__, f"{name}: {section}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_paths_and_crystals(verb: str, paracetamol: Crystal) -> None:
    call = getattr(atomsight, verb)
    expected = printed(verb, str(PARACETAMOL))
    assert [record.as_dict() for record in call(PARACETAMOL)] == expected
    assert [record.as_dict() for record in call(str(PARACETAMOL))] == expected
    assert [record.as_dict() for record in call(paracetamol)] == expected
    assert next(call([[paracetamol], PARACETAMOL])).as_dict()["crystal"] == "7105573"


@pytest.mark.parametrize("verb", VERBS)
def test_results_become_tables(verb: str) -> None:
    call = getattr(atomsight, verb)
    results = call([PARACETAMOL, HALITE])
    assert isinstance(results, Results)
    first = next(results)
    record = first.as_dict()
    table = first.to_arrow()
    sites = record.pop("sites", [{}])
    assert table.num_rows == len(sites)
    for row, site in zip(table.to_pylist(maps_as_pydicts="strict"), sites, strict=True):
        assert {name: value for name, value in row.items() if value is not None} == {
            name: value for name, value in {**record, **site}.items() if value is not None
        }
    rest = results.to_arrow()
    assert rest.schema == table.schema
    assert set(rest["crystal"].to_pylist()) == {"9008678" if verb != "rank" else rest["crystal"][0].as_py()}
    assert results.to_arrow().num_rows == 0
    frame = first.to_pandas()
    assert list(frame.columns) == table.column_names
    assert len(frame) == len(sites)


def test_pandas_is_optional(monkeypatch: pytest.MonkeyPatch, paracetamol: Crystal) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"a DataFrame needs the package 'pandas'"):
        next(atomsight.predict(paracetamol)).to_pandas()


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_warn_once_and_keep_the_rest(verb: str, tmp_path: Path, paracetamol: Crystal) -> None:
    (tmp_path / "broken.cif").write_text("data_x\n")
    sources = [tmp_path / "broken.cif", tmp_path / "broken.cif", paracetamol]
    call = getattr(atomsight, verb)
    steps: list[Progress] = []
    with pytest.warns(
        SkippedWarning, match=r"2 structures were skipped; the first is .*broken\.cif"
    ) as caught:
        assert len(list(call(sources, progress=steps.append))) == 1
    assert len(caught) == 1
    assert (steps[-1].done, steps[-1].skipped) == (1, 2)
    skips: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(call(sources, on_skip=lambda source, reason: skips.append(source)))) == 1
    assert len(skips) == 2


def test_what_a_model_cannot_handle_is_skipped_among_others(paracetamol: Crystal) -> None:
    unknown = replace(paracetamol, numbers=np.full_like(paracetamol.numbers, 118))
    with pytest.warns(SkippedWarning, match="1 structure was skipped"):
        assert len(list(atomsight.check([unknown, paracetamol]))) == 1
    with pytest.raises(ModelError, match="none of its elements"):
        list(atomsight.check(unknown))


def test_worker_processes_give_the_same(paracetamol: Crystal) -> None:
    alone = [record.as_dict() for record in atomsight.predict([paracetamol, HALITE], threads=1)]
    apart = [record.as_dict() for record in atomsight.predict([paracetamol, HALITE], executor=1)]
    assert apart == alone


def test_build_takes_paths_and_crystals(tmp_path: Path, paracetamol: Crystal) -> None:
    of_paths = atomsight.build([PARACETAMOL, HALITE], tmp_path / "paths", k=8)
    steps: list[Progress] = []
    of_crystals = atomsight.build([paracetamol, HALITE], tmp_path / "crystals", k=8, progress=steps.append)
    of_stream = atomsight.build(atomsight.read([PARACETAMOL, HALITE]), tmp_path / "stream", k=8)
    assert of_paths.sites == of_crystals.sites == of_stream.sites == 22
    assert [step.done for step in steps] == [1, 2]
    first, second = (
        atomsight.open_dataset(tmp_path / name).crystals().column("formula").to_pylist()
        for name in ("paths", "crystals")
    )
    assert first == second
    (record,) = printed(
        "dataset", "build", str(PARACETAMOL), str(HALITE), "-k", "8", "--out", str(tmp_path / "c")
    )
    del record["seconds"]
    assert {**of_paths.as_dict(), "dataset": record["dataset"]} == record
    with pytest.raises(InputError, match="leave out executor"):
        atomsight.build([paracetamol], tmp_path / "no", executor=2)
    with pytest.raises(InputError, match="built from paths or crystals, not int"):
        atomsight.build(5, tmp_path / "no")


def test_build_reports_what_it_skips(tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("data_x\n")
    skips: list[tuple[str, str]] = []
    summary = atomsight.build(
        [HALITE, tmp_path / "broken.cif"], tmp_path / "d", k=4, on_skip=lambda *skip: skips.append(skip)
    )
    assert summary.skipped == {"no_sites": 1}
    assert [(Path(source).name, reason.rule) for source, reason in skips] == [("broken.cif", "no_sites")]


def test_evaluate_gives_what_the_command_prints(dataset: atomsight.Dataset, tmp_path: Path) -> None:
    result = atomsight.evaluate("two-stage", dataset, split="all", threads=1)
    (record,) = printed("evaluate", "two-stage", str(dataset.path), "--split", "all", "--threads", "1")
    assert json.loads(json.dumps(result.as_dict())) == record
    table = result.to_arrow()
    assert table.to_pylist() == record["per_element"]
    assert list(result.to_pandas()["element"]) == table.column("element").to_pylist()
    assert sum(1 for _ in result.mistakes) == record["mistakes"]
    written = atomsight.evaluate(atomsight.load_model("two-stage"), dataset.path, split="all", out=tmp_path)
    assert written.as_dict()["out"] == str(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["sites"] == record["sites"]


@pytest.mark.train
def test_train_takes_a_folder_and_settings_by_name(dataset: atomsight.Dataset, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    steps: list[Progress] = []
    model = atomsight.train(
        dataset.path, tmp_path / "run", k=3, elements="H,C,O", epochs=1, cap=50, progress=steps.append
    )
    assert isinstance(model, atomsight.Model)
    assert model.k == 3
    ends = [step for step in steps if step.record]
    assert [(step.stage, step.epoch, step.epochs) for step in ends] == [
        ("stage-one", 1, 1),
        ("stage-two", 1, 1),
    ]
    assert all(step.done == step.total for step in ends)
    with pytest.raises(TypeError, match="neighbours"):
        atomsight.train(dataset, tmp_path / "other", neighbours=3)


def test_a_crystal_says_what_it_is(paracetamol: Crystal) -> None:
    assert repr(paracetamol) == "<Crystal 7105573: C8H9NO2, 80 atoms on 20 sites, P 1 21/n 1>"
    assert repr(replace(paracetamol, space_group=None)).endswith("80 atoms on 20 sites>")


def same(one: Crystal, other: Crystal, *, labels: bool = True, order: bool = True) -> None:
    """Assert that two crystals have the same cell, atoms, sites and, except where told, labels."""
    np.testing.assert_allclose(other.lattice @ other.lattice.T, one.lattice @ one.lattice.T, rtol=1e-8)
    assert other.formula == one.formula
    assert other.counts == one.counts
    assert other.n_sites == one.n_sites
    if order:
        assert np.array_equal(other.numbers, one.numbers)
        apart = other.fractional - one.fractional
        np.testing.assert_allclose(apart - np.round(apart), 0, atol=1e-9)
        assert np.array_equal(other.orbits, one.orbits)
    if labels:
        assert tuple(other.labels) == tuple(one.labels)


@pytest.mark.parametrize("path", [PARACETAMOL, HALITE, DATA / "cod-2100840.cif", ARCHIVE])
def test_conversions_keep_the_crystal(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("ase")
    pytest.importorskip("pymatgen")
    crystal = next(atomsight.read(path))
    whole = next(atomsight.read(_written(crystal, tmp_path / "whole.cif")))
    same(crystal, whole)
    same(whole, Crystal.from_ase(whole.to_ase()), labels=False)
    same(whole, Crystal.from_pymatgen(whole.to_pymatgen()), labels=path is PARACETAMOL)
    assert Crystal.from_ase(crystal.to_ase()).name == crystal.name
    assert Crystal.from_pymatgen(crystal.to_pymatgen()).name == crystal.name
    same(whole, next(atomsight.read(_written(crystal, tmp_path / "one.xyz"))), labels=False)
    same(whole, next(atomsight.read(_written(crystal, tmp_path / "POSCAR"))), labels=False, order=False)


def _written(crystal: Crystal, path: Path) -> Path:
    assert atomsight.write(crystal, path) == 1
    return path


def test_files_of_several_crystals(paracetamol: Crystal, tmp_path: Path) -> None:
    strange = replace(paracetamol, name='odd "name"\nand more')
    for name in ("many.cif", "many.extxyz"):
        assert atomsight.write([paracetamol, HALITE, strange], tmp_path / name) == 3
        again = list(atomsight.read(tmp_path / name))
        assert [crystal.formula for crystal in again] == ["C8H9NO2", "ClNa", "C8H9NO2"], name
    with pytest.raises(InputError, match="a POSCAR holds one crystal"):
        atomsight.write([paracetamol, HALITE], tmp_path / "two.vasp")
    assert not (tmp_path / "two.vasp").exists()
    with pytest.raises(InputError, match="there is no crystal"):
        atomsight.write([], tmp_path / "none.cif")
    for name in ("crystal.pdb", "crystal.cif.gz", "crystal.res"):
        with pytest.raises(InputError, match="must end in"):
            atomsight.write(paracetamol, tmp_path / name)


def test_labels_of_a_written_cif_occur_once(paracetamol: Crystal, tmp_path: Path) -> None:
    import gemmi

    clash = replace(paracetamol, labels=("X1", "X1_2", *paracetamol.labels[2:]))
    labels = list(gemmi.cif.read_string(clash.to_cif())[0].find_loop("_atom_site_label"))
    assert len(labels) == len(set(labels)) == 80
    assert {"X1", "'X1_2'"} <= set(labels)
    same(clash, next(atomsight.read(_written(clash, tmp_path / "clash.cif"))))


def test_an_object_that_is_no_crystal_is_refused() -> None:
    build = pytest.importorskip("ase.build")
    with pytest.raises(atomsight.core.errors.UnreadableError, match="not a crystal"):
        Crystal.from_ase(build.molecule("H2O"))
