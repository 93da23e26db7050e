from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.crystal import Crystal
from atomsight.dataset import build

FILES = {
    *("summary.json", "differences.csv", "nearest_by_pair.csv", "lengths.csv"),
    *("differences.png", "differences.svg", "nearest_by_pair.png", "nearest_by_pair.svg"),
    *("lengths_C-H.png", "lengths_C-H.svg", "lengths_C-O.png", "lengths_C-O.svg"),
}


def formaldehyde(name: str, stretch: float = 0.0) -> Crystal:
    """H2C=O in a box; `stretch` pushes the hydrogens out."""
    x, y = -0.55 - stretch, 0.94 + stretch
    positions = np.array([[0, 0, 0], [1.21, 0, 0], [x, y, 0], [x, -y, 0]])
    return Crystal(
        name=name,
        lattice=np.eye(3) * 9.0,
        fractional=positions / 9.0 + 0.4,
        numbers=np.array([6, 8, 1, 1], np.uint8),
        orbits=np.arange(4, dtype=np.int32),
        labels=("C1", "O1", "H1", "H2"),
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bonds") / "dataset"
    build([formaldehyde("a"), formaldehyde("b", 0.01)], out, 3, bonds="perceive")
    return out


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["atomsight", "bonds", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.run()
    return int(stopped.value.code or 0)


def test_tables_and_figures(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, dataset, "--out", tmp_path / "out", "--json") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    summary, *pairs = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["sites"], summary["bonds"], summary["bonds_from"]) == (8, 12, "perceive")
    assert summary["nearest_neighbours_bonded"] == 1.0
    assert summary["bonds_by_type"] == {"single": 8, "double": 4}
    assert {pair["pair"]: pair["bonded"] for pair in pairs} == {"H-C": 4, "C-H": 2, "O-C": 2}
    with (tmp_path / "out" / "lengths.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    double = [row for row in rows if row["pair"] == "O-C" and row["type"] == "double"]
    assert [(row["length_from"], row["bonds"]) for row in double] in ([("1.210", "2")], [("1.205", "2")])


def test_a_readable_table(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, dataset, "--elements", "C,O") == 0
    shown = capsys.readouterr().out
    assert "100.00 % are bonds" in shown
    assert "O-C" in shown
    assert "H-C" not in shown


def test_shares_of_types_are_read_at_a_glance(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, dataset, "--elements", "H") == 0
    assert "single 100 %" in capsys.readouterr().out
    assert run(monkeypatch, dataset) == 0
    assert "single 67 %, double 33 %" in capsys.readouterr().out


def test_a_dataset_without_bonds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build([formaldehyde("a")], tmp_path / "d", 3, bonds="none")
    assert run(monkeypatch, tmp_path / "d") == 1
    assert "--bonds perceive" in capsys.readouterr().err


def test_wrong_usage(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert run(monkeypatch, dataset, "--out", tmp_path / "file") == 2
    assert run(monkeypatch, dataset, "--elements", "Qq") == 2
    assert run(monkeypatch, dataset, "--elements", "U") == 2
    assert run(monkeypatch, dataset, "--threshold", "-1") == 2
