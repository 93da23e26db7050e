"""The verb ``dataset``: summaries, JSON lines, messages and exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from atomsight.cli import main
from atomsight.dataset import corpora

ROCK_SALT = """data_salt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
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


@pytest.fixture
def atomsight(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run the command line in this process: exit status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atomsight", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        try:
            main.run()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        sys.stdout.flush()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def cifs(tmp_path: Path) -> Path:
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "salt.cif").write_text(ROCK_SALT)
    (folder / "broken.cif").write_text("data_broken\nloop_\n_a\n_b\n1 2 3\n")
    return folder


def test_build_info_and_verify(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    status, out, err = atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "-k", 6)
    assert status == 0
    assert "built" in err
    assert "syntax" in out
    assert out.split("all")[1].split()[:2] == ["1", "2"]

    status, out, _ = atomsight("dataset", "info", tmp_path / "d", "--json", "--verify")
    record = json.loads(out)
    assert status == 0
    assert record["k"] == 6
    assert (record["crystals"], record["sites"]) == (1, 2)
    assert record["skipped"] == {"syntax": 1}
    assert {symbol: counts["sites"] for symbol, counts in record["elements"].items()} == {"Na": 1, "Cl": 1}
    assert sum(counts["sites"] for counts in record["splits"].values()) == 2
    assert record["verified"]

    status, out, _ = atomsight("dataset", "info", tmp_path / "d", "--verify")
    assert status == 0
    assert "k = 6" in out
    assert "Na" in out
    assert "match their checksums" in out

    status, _, err = atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "-k", 6)
    assert status == 0
    assert "already complete" in " ".join(err.split())


def test_build_json(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    status, out, _ = atomsight(
        "dataset", "build", cifs, "--out", tmp_path / "d", "--json", "--licence", "CC0"
    )
    skipped, summary = map(json.loads, out.splitlines())
    assert status == 0
    assert skipped["source"] == "cifs/broken.cif"
    assert skipped["rule"] == "syntax"
    assert skipped["skipped"]
    assert (summary["crystals"], summary["sites"], summary["k"]) == (1, 2, 24)
    _, out, _ = atomsight("dataset", "info", tmp_path / "d", "--json")
    assert json.loads(out)["licences"] == {"CC0": 1}


def test_policy(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    status, _, err = atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "--policy", "max_atoms=4")
    assert status == 1
    assert "no crystal could be read" in err
    status, _, err = atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "--policy", "max_atom=4")
    assert status == 2
    assert "'max_atom' is no rule of the policy" in err
    status, _, err = atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "--policy", "max_atoms=few")
    assert status == 2
    assert "takes a value such as 20000, not 'few'" in err
    status, _, err = atomsight(
        "dataset", "build", cifs, "--out", tmp_path / "d", "--policy", "resolve_disorder=no"
    )
    assert status == 2
    assert "not 'no'" in err


def test_errors(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, expected, message in (
        (["build", tmp_path / "nowhere", "--out", tmp_path / "d"], 2, "does not exist"),
        (["build", tmp_path / "empty", "--out", tmp_path / "d"], 1, "no CIF in this folder"),
        (
            ["build", cifs / "broken.cif", "--out", tmp_path / "d"],
            1,
            "no crystal could be read from broken.cif",
        ),
        (["build", cifs, "--out", cifs], 2, "holds no dataset"),
        (["build", cifs], 2, "--out"),
        (["build", cifs, "--out", tmp_path / "d", "-k", 0], 2, "-k"),
        (["info", tmp_path / "nowhere"], 1, "does not exist"),
        (["info", cifs], 1, "is not a dataset"),
        (["get", "core-mofs"], 2, "known are core-mof"),
        (["get", "core-mof"], 2, "--out DIR"),
        (["get", "qmof"], 2, "by hand"),
    ):
        status, _, err = atomsight("dataset", *arguments)
        assert (status, message in err) == (expected, True), err
        assert "Traceback" not in err


def test_verify_names_the_damaged_file(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    atomsight("dataset", "build", cifs, "--out", tmp_path / "d", "-k", 6)
    shard = next((tmp_path / "d" / "sites").iterdir())
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    status, _, err = atomsight("dataset", "info", tmp_path / "d", "--verify")
    assert status == 1
    assert shard.name in err


def test_split_like(atomsight: Any, cifs: Path, tmp_path: Path) -> None:
    held, every = tmp_path / "held", tmp_path / "every"
    atomsight("dataset", "build", cifs, "--out", held, "-k", 6)
    (cifs / "again.cif").write_text(ROCK_SALT)  # the same formula as what is held
    (cifs / "other.cif").write_text(ROCK_SALT.replace("Na", "K"))
    atomsight("dataset", "build", cifs, "--out", every, "-k", 6)
    status, out, _ = atomsight("dataset", "split-like", held, every, "--out", tmp_path / "more", "--json")
    record = json.loads(out)
    assert status == 0
    assert record["crystals"] + record["left_out"] == 3
    status, _, err = atomsight("dataset", "split-like", held, every, "--out", tmp_path / "more")
    assert status == 0
    assert f"{record['left_out']} crystals of" in err
    status, _, err = atomsight("dataset", "split-like", every, held, "--out", tmp_path / "less")
    assert status == 2
    assert "lacks 2 crystals" in err


def test_get_lists_what_it_knows(atomsight: Any) -> None:
    status, out, _ = atomsight("dataset", "get", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [record["corpus"] for record in records] == [known.name for known in corpora.KNOWN]
    assert all(record["licence"] and record["citation"] and record["get"] for record in records)
    _, out, _ = atomsight("dataset", "get")
    assert "core-mof" in out
    assert "CC BY 4.0" in out


def fake_pip(content: dict[str, bytes] | None, error: str = "") -> Any:
    """Stands in for ``pip download``: writes a wheel with this content, or fails with this error."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[-1] == "CoRE-MOF==2019.1"
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", error)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "core_mof-2019.1-py3-none-any.whl", "w") as wheel:
            for name, data in content.items():
                wheel.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_get_core_mof(atomsight: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = ("2014.tar.xz", "2019-ASR.tar.xz", "2019-FSR.tar.xz")
    content = {f"CoRE_MOF/data/{name}": name.encode() for name in archives} | {"CoRE_MOF/__init__.py": b""}
    monkeypatch.setattr(subprocess, "run", fake_pip(content))
    status, out, err = atomsight("dataset", "get", "core-mof", "--out", tmp_path / "core")
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "core").iterdir()) == [*archives, "corpus.json"]
    assert (tmp_path / "core" / "2014.tar.xz").read_bytes() == b"2014.tar.xz"
    assert out.index("2019-FSR") < out.index("2019-ASR") < out.index("2014.tar")
    assert "atomsight dataset build" in err
    assert corpora.licence_beside(tmp_path / "core" / "2014.tar.xz") == "CC BY 4.0"
    assert corpora.licence_beside(tmp_path / "core" / "mine.cif") == ""
    # A second call needs no network.
    monkeypatch.setattr(subprocess, "run", fake_pip(None))
    assert atomsight("dataset", "get", "core-mof", "--out", tmp_path / "core")[0] == 0


def test_get_without_network(atomsight: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "WARNING: Retrying\nERROR: No matching distribution found for CoRE-MOF==2019.1\n"
    monkeypatch.setattr(subprocess, "run", fake_pip(None, refusal))
    status, _, err = atomsight("dataset", "get", "core-mof", "--out", tmp_path / "core")
    assert status == 1
    assert "No matching distribution found" in err
    assert "Check the network" in err
    monkeypatch.setattr(subprocess, "run", fake_pip({"CoRE_MOF/data/2014.tar.xz": b""}))
    status, _, err = atomsight("dataset", "get", "core-mof", "--out", tmp_path / "core")
    assert status == 1
    assert "does not hold 2019-FSR.tar.xz" in err


@pytest.mark.parametrize("verb", ["build", "info", "get"])
def test_help_has_an_example(atomsight: Any, verb: str) -> None:
    status, out, _ = atomsight("dataset", verb, "--help")
    assert status == 0
    assert f"Example: atomsight dataset {verb}" in out
