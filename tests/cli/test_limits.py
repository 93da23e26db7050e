"""Readers that crash, hang or take all memory, through the command line: the file is skipped and named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and signals of Linux"),
]

STAND_IN = """
import os, signal, time
from types import SimpleNamespace as Made

def csd_version(): return "6.00"

class Entry:
    has_3d_structure = True
    def __init__(self, refcode): self.identifier = refcode
    @property
    def crystal(self):
        if self.identifier == "CRASHA": os.kill(os.getpid(), signal.SIGSEGV)
        if self.identifier == "SLEEPA": time.sleep(600)
        if self.identifier == "MEMORY": bytearray(64 * 2**30)
        atoms = [
            Made(label=s, atomic_symbol=s[:-1], occupancy=1.0, fractional_coordinates=xyz)
            for s, xyz in (("Na1", (0, 0, 0)), ("Cl1", (0.5, 0, 0)))
        ]
        return Made(
            cell_lengths=(5.64, 5.64, 5.64), cell_angles=(90.0, 90.0, 90.0), spacegroup_symbol="F m -3 m",
            symmetry_operators=["x,y,z"], asymmetric_unit_molecule=Made(atoms=atoms), molecule=Made(bonds=[]),
        )

class EntryReader:
    def __init__(self, name): pass
    def __len__(self): return 5
    def entry(self, refcode): return Entry(refcode)
"""

ASKED = "csd:GOODAA,CRASHA,SLEEPA,MEMORY,GOODBB"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the package ``ccdc`` is a stand-in, whose entries do what their names say."""
    folder = tmp_path_factory.mktemp("stand-in")
    (folder / "ccdc").mkdir()
    (folder / "ccdc" / "__init__.py").touch()
    (folder / "ccdc" / "io.py").write_text(STAND_IN)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


def run(environment: dict[str, str], *arguments: str | Path) -> list[dict]:
    command = [sys.executable, "-m", "atomsight", *map(str, arguments)]
    options = ["--workers", "2", "--max-seconds", "5", "--max-memory", "4", "--json"]
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def skips(records: list[dict]) -> dict[str, str]:
    """What was skipped; the last record of a build is its summary."""
    return {r["source"]: r["skipped"] for r in records if isinstance(r.get("skipped"), str)}


EXPECTED = {
    "csd:CRASHA": "it ended its worker process",
    "csd:SLEEPA": "it took longer than 5 s",
    "csd:MEMORY": "reading it takes more memory than there is",
}


def test_predict(environment: dict[str, str]) -> None:
    records = run(environment, "predict", "--model", "two-stage", ASKED)
    assert [record["source"] for record in records if "sites" in record] == ["csd:GOODAA", "csd:GOODBB"]
    assert skips(records) == EXPECTED


def test_a_dataset_is_built_and_grows(environment: dict[str, str], tmp_path: Path) -> None:
    records = run(
        environment, "dataset", "build", "csd:GOODAA,CRASHA,MEMORY", "--out", tmp_path / "d", "-k", "4"
    )
    assert records[-1]["skipped"] == {"crashed": 1, "memory": 1}
    records = run(environment, "dataset", "add", tmp_path / "d", ASKED)
    assert records[-1]["crystals"] == 2
    assert skips(records) == EXPECTED
