from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.elements import SYMBOLS
from atomsight.training.model_file import write_model
from atomsight.training.two_stage.graph import two_stage_graph
from two_stage_weights import two_stage_weights

K, ELEMENTS = 4, (1, 6, 7, 8, 11)
"""Halite's chlorine is left out, so that one element of the tests' crystals is unknown to the model."""


def cif(name: str, atoms: str, cell: float = 5.0) -> str:
    return f"""data_{name}
_cell_length_a {cell}
_cell_length_b {cell}
_cell_length_c {cell}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P -1'
loop_
_space_group_symop_operation_xyz
x,y,z
-x,-y,-z
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""


@pytest.fixture
def cifs(tmp_path: Path) -> Path:
    """Two readable crystals, one with an element that the model does not know, and a broken file."""
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_text(
        cif("a", "O1 O 0 0 0\nH1 H 0.2 0.1 0.15\nC1 C 0.4 0.35 0.6\nH2 H 0.1 0.55 0.75")
    )
    (folder / "b.cif").write_text(cif("b", "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5"))
    (folder / "c.cif").write_text("data_broken\nloop_\n_a\n_b\n1 2 3\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    shapes = [(8, K), (5, 8), (len(ELEMENTS), 5 + K)]
    layers = [
        (rng.normal(size=s).astype(np.float32), rng.normal(size=s[0]).astype(np.float32)) for s in shapes
    ]
    mean, scale = np.full(K, 2, dtype=np.float32), np.full(K, 1, dtype=np.float32)
    path = tmp_path_factory.mktemp("model") / "random.onnx"
    metadata = {"kind": "two-stage", "k": K, "elements": ",".join(SYMBOLS[z] for z in ELEMENTS)}
    weights = two_stage_weights(mean, scale, layers[:2], layers[2])
    write_model(two_stage_graph(weights, 1.0), metadata, path)
    return path


@pytest.fixture
def atomsight(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line; gives exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atomsight", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main.run()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


def records_of(out: str) -> tuple[list[dict], list[dict]]:
    lines = [json.loads(line) for line in out.splitlines()]
    return [r for r in lines if "skipped" not in r], [r for r in lines if "skipped" in r]


def test_json(cifs: Path, model: Path, atomsight: Any) -> None:
    status, out, _ = atomsight("predict", cifs, "--model", model, "--json")
    assert status == 0
    predictions, skipped = records_of(out)
    assert [p["crystal"] for p in predictions] == ["a", "b"]
    assert [Path(s["source"]).name.split("#")[0] for s in skipped] == ["c.cif"]
    first = predictions[0]
    assert first["source"].startswith(str(cifs / "a.cif"))
    assert first["formula"] == "C2H4O"
    assert [s["label"] for s in first["sites"]] == ["O1", "H1", "C1", "H2"]
    assert [s["multiplicity"] for s in first["sites"]] == [1, 2, 2, 2]
    assert [s["element"] for s in first["sites"]] == ["O", "H", "C", "H"]
    for site in first["sites"]:
        p = list(site["probabilities"].values())
        assert p == sorted(p, reverse=True)
        assert min(p) >= 0.001
        assert sum(p) == pytest.approx(1, abs=0.006)
        assert site["predicted"] == next(iter(site["probabilities"]))


def test_json_is_what_the_model_says(cifs: Path, model: Path, atomsight: Any) -> None:
    from atomsight.geometry.neighbours import site_neighbours
    from atomsight.io import read
    from atomsight.models import load_model

    predictions, _ = records_of(atomsight("predict", cifs / "a.cif", "--model", model, "--json")[1])
    (crystal,) = read(cifs / "a.cif")
    expected = load_model(model).probabilities({"distances": site_neighbours(crystal, K)[0]})
    for site, row in zip(predictions[0]["sites"], expected, strict=True):
        for symbol, p in site["probabilities"].items():
            assert p == pytest.approx(row[[SYMBOLS[z] for z in ELEMENTS].index(symbol)], abs=6e-5)


def test_composition_gives_the_formula_and_skips_what_the_model_does_not_know(
    cifs: Path, model: Path, atomsight: Any
) -> None:
    status, out, _ = atomsight("predict", cifs, "--model", model, "--composition", "--json")
    assert status == 0
    predictions, skipped = records_of(out)
    (first,) = predictions
    counts = Counter()
    for site in first["sites"]:
        counts[site["predicted"]] += site["multiplicity"]
        assert set(site["probabilities"]) <= {"C", "H", "O"}
    assert counts == {"C": 2, "H": 4, "O": 1}
    assert any("does not know Cl" in s["skipped"] for s in skipped)


def test_sets_and_a_formula_from_elsewhere(atomsight: Any) -> None:
    ibuprofen = Path(__file__).parents[2] / "examples" / "ibuprofen.cif"
    status, out, _ = atomsight("predict", ibuprofen, "--formula", "C13O2", "--json")
    assert status == 0
    (record,) = records_of(out)[0]
    assert (record["formula_units"], record["extra_hydrogens"], record["missing_atoms"]) == (4, 72, {})
    for site in record["sites"]:
        assert site["element"] == site["predicted"]
        assert site["predicted"] in site["set"]
        assert set(site["set"]) <= {"C", "H", "O"}
    _, out, _ = atomsight("predict", ibuprofen, "--formula", "C14H18O2")
    assert "4 formula units in the cell; no site for 4 C" in out
    assert out.splitlines()[1].split() == [
        "site",
        "copies",
        "element",
        "predicted",
        "set",
        "most",
        "probable",
    ]
    status, out, err = atomsight("predict", ibuprofen, "--formula", "C900")
    assert status == 1
    assert "does not fit 33 sites" in " ".join(err.split())
    status, _, err = atomsight("predict", ibuprofen, "--formula", "C2(OH)4")
    assert status
    assert "is not understood" in err


def test_the_table_marks_agreement(cifs: Path, model: Path, atomsight: Any) -> None:
    predictions, _ = records_of(atomsight("predict", cifs, "--model", model, "--json")[1])
    status, out, err = atomsight("predict", cifs, "--model", model, "--top", 2)
    assert status == 0
    rows = {
        line.split()[0]: line for line in out.splitlines() if line.split() and line.split()[0][-1].isdigit()
    }
    agreeing = 0
    for site in predictions[0]["sites"]:
        agrees = site["element"] == site["predicted"]
        agreeing += agrees
        row = rows[site["label"]]
        assert ("✓" in row, "✗" in row) == (agrees, not agrees)
        best = list(site["probabilities"].items())[:2]
        assert row.split()[-4::2] == [symbol for symbol, _ in best]
    assert f"sites agreeing {agreeing}/4" in out
    assert "?" in rows["Cl1"]
    assert "the model does not know Cl" in out
    assert "skipped" in err
    assert "2 crystals:" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("missing.cif",), 2, "missing.cif"),
        (("--model", "no-such-model"), 1, "no model 'no-such-model'"),
    ],
)
def test_what_cannot_be(
    arguments: tuple, status: int, message: str, cifs: Path, model: Path, atomsight: Any
) -> None:
    complete = {"--model": model} if "--model" not in arguments else {}
    answer, _, err = atomsight(
        "predict", *(() if "missing.cif" in arguments else (cifs,)), *arguments, *sum(complete.items(), ())
    )
    assert answer == status, err
    assert message in err


def test_nothing_readable_is_a_failure(cifs: Path, model: Path, atomsight: Any) -> None:
    status, out, _ = atomsight("predict", cifs / "c.cif", "--model", model, "--json")
    assert status == 1
    assert len(records_of(out)[1]) == 1


def test_bundled_models_are_listed(atomsight: Any) -> None:
    from atomsight.models import bundled_models

    status, out, _ = atomsight("models", "--json")
    names = [json.loads(line)["model"] for line in out.splitlines()]
    assert names == list(bundled_models())
    assert status == (0 if names else 1)
