"""ASE, pymatgen, extended XYZ and POSCAR give the crystal that the CIF gives."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atomsight
from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.io import DEFAULT, Member, crystals_of, iter_members
from atomsight.io.formats import format_of, stem
from atomsight.io.policy import SkipError
from atomsight.io.poscar import parse

ROOT = Path(__file__).parents[2]
CIFS = [ROOT / "examples/ibuprofen.cif", ROOT / "tests/data/halite.cif", ROOT / "tests/data/cod-2100840.cif"]


def same(one: Crystal, known: Crystal, tolerance: float = 1e-6) -> None:
    """The same atoms at the same distances, and as many of each orbit."""
    assert one.counts == known.counts
    mine, theirs = (atomsight.nearest_neighbours(c.lattice, c.fractional, 8)[0] for c in (one, known))
    np.testing.assert_allclose(np.sort(mine, 0), np.sort(theirs, 0), atol=tolerance)
    assert sorted(one.multiplicities) == sorted(known.multiplicities)


def as_atoms(crystal: Crystal) -> Any:
    ase = pytest.importorskip("ase")
    return ase.Atoms(
        crystal.numbers, scaled_positions=crystal.fractional, cell=crystal.lattice, pbc=True,
        info={"name": f"ase {crystal.name}"},
    )  # fmt: skip


@pytest.fixture(scope="module", params=CIFS, ids=lambda path: path.stem)
def known(request: pytest.FixtureRequest) -> Crystal:
    return next(atomsight.read(request.param))


def test_objects_of_ase_and_pymatgen(known: Crystal) -> None:
    core = pytest.importorskip("pymatgen.core")
    atoms = as_atoms(known)
    turned = as_atoms(known)
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned.info = {}
    structure = core.Structure(core.Lattice(known.lattice), known.numbers.tolist(), known.fractional)
    crystals = list(atomsight.read([atoms, [turned, structure], known]))
    for crystal in crystals:
        same(crystal, known)
    assert [crystal.name for crystal in crystals] == [f"ase {known.name}", "object-1", "object-2", known.name]
    assert crystals[0].labels[0] == f"{atoms[0].symbol}1"
    assert next(atomsight.read(iter([atoms]))).name == f"ase {known.name}"


@pytest.mark.parametrize("name", ["x.extxyz", "POSCAR", "x.vasp", "x.traj", "x.db"])
def test_files_written_by_ase(known: Crystal, name: str, tmp_path: Path) -> None:
    atoms = as_atoms(known)
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    if name.endswith(".db"):
        from ase.db import connect

        connect(path).write(atoms)
    else:
        options = {"format": "vasp"} if "xyz" not in name and "traj" not in name else {}
        __import__("ase.io").io.write(path, atoms, **options)
    skips: list[str] = []
    (crystal,) = atomsight.read(tmp_path, on_skip=lambda s, r: skips.append(r))
    same(crystal, known, 1e-5)
    assert skips == []
    expected = {"POSCAR": "folder", "x.vasp": "x", "x.db": "x/1"}
    assert crystal.name == expected.get(name, f"ase {known.name}")


def test_frames_stream_from_files_gz_and_archives(tmp_path: Path) -> None:
    halite = next(atomsight.read(CIFS[1]))
    atoms = as_atoms(halite)
    atoms.info = {}
    from ase.io import write

    write(tmp_path / "many.extxyz", [atoms * (1, 1, i) for i in (1, 2, 3)])
    text = (tmp_path / "many.extxyz").read_bytes()
    (tmp_path / "packed.xyz.gz").write_bytes(gzip.compress(text))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("deep/many.extxyz")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    for path, name in (("many.extxyz", "many"), ("packed.xyz.gz", "packed"), ("x.tar", "many")):
        crystals = list(atomsight.read(tmp_path / path))
        assert [crystal.name for crystal in crystals] == [f"{name}/{i}" for i in range(3)]
        assert [crystal.n_atoms for crystal in crystals] == [8, 16, 24]
    cut = tmp_path / "cut.extxyz"
    cut.write_bytes(b"\n".join(text.split(b"\n")[:-4]))
    rules: list[tuple[str, str]] = []
    assert len(list(iter_members(cut, lambda s, r: rules.append((s, r.rule))))) == 2  # type: ignore[attr-defined]
    assert rules == [(str(cut), "syntax")]


def test_what_is_no_crystal_is_turned_away(tmp_path: Path) -> None:
    ase = pytest.importorskip("ase")
    core = pytest.importorskip("pymatgen.core")
    slab = ase.Atoms("Na", cell=[4, 4, 4], pbc=[True, True, False])
    dummy = ase.Atoms("X", cell=[4, 4, 4], pbc=True)
    mixed = core.Structure(core.Lattice.cubic(3.6), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    unnamed = core.Structure(core.Lattice.cubic(3.6), [core.DummySpecies("X")], [[0, 0, 0]])
    rules: list[tuple[str, str]] = []
    objects = [ase.Atoms("H2O"), slab, dummy, mixed, unnamed]
    assert list(atomsight.read(objects, on_skip=lambda s, r: rules.append((s, r.rule)))) == []  # type: ignore[attr-defined]
    assert [rule for _, rule in rules] == [
        "no_cell", "no_cell", "unknown_element", "mixed_occupancy", "unknown_element",
    ]  # fmt: skip
    assert rules[1][0] == "object #1"
    with pytest.raises(InputError, match="Atoms"):
        list(atomsight.read([3.5]))
    (tmp_path / "water.xyz").write_text("3\nwater\nO 0 0 0\nH 1 0 0\nH 0 1 0\n")
    rules.clear()
    assert list(atomsight.read(tmp_path, on_skip=lambda s, r: rules.append((s, r.rule)))) == []  # type: ignore[attr-defined]
    assert [rule for _, rule in rules] == ["no_cell"]


def test_databases_and_trajectories_of_others_are_reported_and_left_alone(tmp_path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE notes (text)")
    connection.commit()
    connection.close()
    (tmp_path / "rubbish.db").write_bytes(b"no database")
    (tmp_path / "rubbish.traj").write_bytes(b"no trajectory")
    before = (tmp_path / "other.db").read_bytes()
    rules: list[str] = []
    assert list(atomsight.read(tmp_path, on_skip=lambda s, r: rules.append(r.rule))) == []  # type: ignore[attr-defined]
    assert rules[:3] == ["damaged"] * 3
    assert (tmp_path / "other.db").read_bytes() == before


def test_without_ase_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase.io.extxyz", None)
    reasons: list[Any] = []
    member = Member("x", "x.extxyz", b"1\n\nNa 0 0 0\n", "extxyz")
    assert crystals_of(member, DEFAULT, lambda s, r: reasons.append(r)) == []
    assert reasons[0].rule == "missing_extra"
    assert "atomsight[interop]" in reasons[0]


POSCAR = "Na Cl\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"


def test_poscar_scales_potentials_and_selective_dynamics() -> None:
    plain = parse(POSCAR.encode())
    variants = [
        POSCAR.replace("\n1.0\n", f"\n-{5.64**3}\n"),
        POSCAR.replace("\n1.0\n", "\n2\n").replace("5.64", "2.82"),
        POSCAR.replace("\n1.0\n", "\n2 1 1\n").replace("5.64 0 0", "2.82 0 0"),
        POSCAR.replace("Na Cl\n1 1", "Na_pv/6a2f Cl\n1 1 ! counts"),
        POSCAR.replace("Na Cl\n1 1", "1 1"),
        POSCAR.replace("Direct", "Selective dynamics\nDirect").replace(".5\n", ".5 T F T Cl\n"),
        POSCAR.replace("Direct", "Cartesian").replace(".5 .5 .5", "2.82 2.82 2.82"),
    ]
    for text in variants:
        structure = parse(text.encode())
        np.testing.assert_allclose(structure.lattice, plain.lattice, atol=1e-9)
        np.testing.assert_allclose(structure.table.fractional, plain.table.fractional, atol=1e-9)
        assert structure.table.numbers.tolist() == [11, 17]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "syntax"),
        (POSCAR[:40], "syntax"),
        (POSCAR.replace("\n1.0\n", "\n0\n"), "syntax"),
        (POSCAR.replace("1 1\nDirect", "1 9\nDirect"), "syntax"),
        (POSCAR.replace("Na Cl\n1 1", "1 1").replace("Na Cl", "my cell of salt"), "unknown_element"),
        (POSCAR.replace("Na Cl\n1 1", "Na Qq\n1 1"), "unknown_element"),
        (POSCAR.replace("0 5.64 0", "5.64 0 0"), "bad_cell"),
        (POSCAR.replace(".5 .5 .5", ".5 what"), "syntax"),
    ],
)
def test_a_poscar_that_cannot_be_read_says_why(text: str, rule: str) -> None:
    with pytest.raises(SkipError) as caught:
        parse(text.encode())
    assert caught.value.reason.rule == rule


def test_formats_by_name() -> None:
    names = {
        "a.CIF": "cif", "b.cif.gz": "cif", "c.RES": "shelx", "POSCAR": "poscar", "x/CONTCAR.gz": "poscar",
        "POSCAR_1": "poscar", "poscar.relaxed": "poscar", "POSCARS": None, "a.xyz.gz": "extxyz",
        "a.db": "ase", "a.db.gz": None, "a.txt": None, "cif": None,
    }  # fmt: skip
    assert {name: format_of(name) for name in names} == names
    assert [stem(n) for n in ("a/b.cif.gz", "mp-1/POSCAR", "POSCAR", "x.res", "POSCAR_1", ".cif")] == [
        "b", "mp-1", "POSCAR", "x", "POSCAR_1", ".cif",
    ]  # fmt: skip


def test_predict_reads_them_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "salt.vasp"
    path.write_text(POSCAR)
    command = [sys.executable, "-m", "atomsight.cli.main", "predict", str(path), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout.splitlines()[0])
    assert (record["crystal"], record["formula"]) == ("salt", "ClNa")
