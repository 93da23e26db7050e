from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.crystal import Bonds, Crystal
from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import build, open_dataset
from atomsight.geometry.bonds import perceive_bonds
from shapes import crystal, ring


def nitrogen(spacing: float = 1.10) -> Crystal:
    return replace(crystal(["N", "N"], [[0, 0, 0], [spacing, 0, 0]]), name="nitrogen")


def stated(made: Crystal, n: int, kind: int) -> Crystal:
    """The crystal with its first n bonds as a table would give them."""
    found = perceive_bonds(made)
    parts = {name: getattr(found, name)[:n] for name in vars(found)} | {"types": np.full(n, kind, np.uint8)}
    return replace(made, bonds=Bonds(**parts))


def column(tmp_path: Path, crystals: list[Crystal], source: str) -> dict[str, list]:
    build(crystals, tmp_path / source, 3, bonds=source)
    dataset = open_dataset(tmp_path / source)
    rows: dict[str, list] = {}
    for batch in dataset.batches(["crystal", "bonds"]):
        for name, bonds in zip(batch["crystal"], batch["bonds"], strict=True):
            rows.setdefault(name, []).append(bonds)
    return rows


def test_each_source_of_bonds(tmp_path: Path) -> None:
    table = stated(nitrogen(), 1, 2)
    argon = replace(crystal(["Ar"], [[0, 0, 0]], np.eye(3) * 5.3), name="argon")
    given = [table, argon]
    none = column(tmp_path, given, "none")
    assert none == {"nitrogen": [None, None], "argon": [None]}
    file = column(tmp_path, given, "file")
    assert file["argon"] == [None]
    assert file["nitrogen"][1] is None, "the table says nothing of the second site"
    assert [(bond["site"], bond["type"]) for bond in file["nitrogen"][0]] == [(1, "double")]
    perceived = column(tmp_path, given, "perceive")
    assert perceived["argon"] == [[]], "looked at, and has none"
    assert [[(bond["site"], bond["type"]) for bond in bonds] for bonds in perceived["nitrogen"]] == [
        [(1, "double")],
        [(0, "triple")],
    ]
    assert perceived["nitrogen"][0][0]["length"] == pytest.approx(1.10, abs=1e-6)


def test_bonds_lead_to_sites_shortest_first(tmp_path: Path) -> None:
    benzene = crystal(["C"] * 6 + ["H"] * 6, np.concatenate([ring(6, 1.39), ring(6, 2.48)]))
    orbits = np.repeat([0, 1], 6).astype(np.int32)
    merged = replace(benzene, orbits=orbits, labels=("C", "H"))
    bonds = column(tmp_path, [merged], "perceive")["made"]
    assert [(bond["site"], bond["type"]) for bond in bonds[0]] == [
        (1, "single"),
        (0, "aromatic"),
        (0, "aromatic"),
    ]
    assert [(bond["site"], bond["type"]) for bond in bonds[1]] == [(0, "single")]


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none, file, perceive, not 'guess'"):
        build([nitrogen()], tmp_path / "d", 3, bonds="guess")


def test_a_build_takes_the_files_own_bonds_and_remembers_so(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "data" / "cod-2100840.cif"
    build(source, tmp_path / "d", 6)
    dataset = open_dataset(tmp_path / "d")
    assert dataset.metadata["build"]["bonds"] == "file"
    (listed,) = (batch["bonds"] for batch in dataset.batches(["bonds"]))
    assert any(bonds for bonds in listed)
    with pytest.raises(DatasetError, match="bonds: file there, perceive now"):
        build(source, tmp_path / "d", 6, bonds="perceive")
