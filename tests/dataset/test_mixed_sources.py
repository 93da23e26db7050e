"""A dataset of files of several formats and a database: named portably, the same wherever it is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from atomsight.dataset import build, open_dataset

DATA = Path(__file__).parents[1] / "data"

SALT = """TITL rock salt
CELL 0.7 5.64 5.64 5.64 90 90 90
LATT 4
SYMM -X,-Y,Z
SYMM -X,Y,-Z
SYMM X,-Y,-Z
SYMM Z,X,Y
SYMM Z,-X,-Y
SYMM -Z,-X,Y
SYMM -Z,X,-Y
SYMM Y,Z,X
SYMM -Y,Z,-X
SYMM Y,-Z,-X
SYMM -Y,-Z,X
SYMM Y,X,-Z
SYMM -Y,-X,-Z
SYMM Y,-X,Z
SYMM -Y,X,Z
SYMM X,Z,-Y
SYMM -X,Z,Y
SYMM -X,-Z,-Y
SYMM X,-Z,Y
SYMM Z,Y,-X
SYMM Z,-Y,X
SYMM -Z,Y,X
SYMM -Z,-Y,-X
SFAC NA CL
UNIT 4 4
FVAR 1.0
NA1 1 10.0 10.0 10.0 10.04167
CL1 2 10.5 10.5 10.5 10.04167
HKLF 4
END
"""
FRAMES = """2
Lattice="2.87 0 0 0 2.87 0 0 0 2.87" Properties=species:S:1:pos:R:3
Fe 0 0 0
Fe 1.435 1.435 1.435
1
Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 name=polonium
Po 0 0 0
"""


def sources(folder: Path) -> list[Path]:
    folder.mkdir()
    (folder / "mirror/2/10/08").mkdir(parents=True)
    shutil.copy(DATA / "cod-2100840.cif", folder / "mirror/2/10/08/2100840.cif")
    (folder / "salt.res").write_text(SALT)
    (folder / "metals.extxyz").write_text(FRAMES)
    return [folder / "salt.res", folder / "metals.extxyz", Path(f"cod:{folder / 'mirror'}")]


def test_formats_and_a_mirror_of_the_cod_mix_in_one_dataset(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    one = build(sources(tmp_path / "one"), tmp_path / "a", k=6)
    two = build(sources(tmp_path / "two"), tmp_path / "b", k=6)
    assert one.index["fingerprint"] == two.index["fingerprint"]
    table = open_dataset(tmp_path / "a").crystals().to_pylist()
    assert {(row["crystal"], row["source"], row["licence"]) for row in table} == {
        ("salt", "salt.res", ""),
        ("metals/0", "metals.extxyz#0", ""),
        ("polonium", "metals.extxyz#1", ""),
        ("2100840", "cod:2100840", "CC0"),
    }
    assert open_dataset(tmp_path / "a").skipped().num_rows == 0
