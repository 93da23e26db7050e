"""The verb ``neighbours``: rock salt, whose distances anyone can work out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROCK_SALT = """data_salt
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na1 Na 0 0 0
Cl1 Cl 0.5 0.5 0.5
"""


def atomsight(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atomsight.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_json_and_skips(tmp_path: Path) -> None:
    (tmp_path / "salt.cif").write_text(ROCK_SALT)
    (tmp_path / "broken.cif").write_text("data_broken\nloop_\n_a\n_b\n1 2 3\n")
    result = atomsight("neighbours", tmp_path, "-k", "8", "--json")
    assert result.returncode == 0, result.stderr
    skipped, salt = map(json.loads, result.stdout.splitlines())
    assert skipped["source"].endswith("broken.cif")
    assert skipped["skipped"]
    assert (salt["crystal"], salt["formula"]) == ("salt", "ClNa")
    assert salt["source"].endswith("salt.cif")
    labels = [(s["site"], s["label"], s["element"], s["multiplicity"]) for s in salt["sites"]]
    assert labels == [(0, "Na1", "Na", 4), (1, "Cl1", "Cl", 4)]
    for site in salt["sites"]:
        assert site["distances"] == pytest.approx([2.0] * 6 + [8**0.5] * 2, abs=1e-6)


def test_table(tmp_path: Path) -> None:
    (tmp_path / "salt.cif").write_text(ROCK_SALT)
    result = atomsight("neighbours", tmp_path / "salt.cif", "-k", "2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "salt  ClNa  2 sites, 8 atoms in the cell"
    assert lines[1].split() == ["Na1", "Na", "×4", "2.0000", "2.0000"]


def test_nothing_handled_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "empty.cif").write_text("")
    assert atomsight("neighbours", tmp_path / "empty.cif").returncode == 1
    missing = atomsight("neighbours", tmp_path / "nowhere.cif")
    assert missing.returncode == 2
    assert "nowhere.cif" in missing.stderr
    assert "Traceback" not in missing.stderr
