"""Shipped files are verified: a replaced network, table or calibration is an error."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from atomsight.core.errors import ModelError
from atomsight.models import artefacts
from atomsight.models.artefacts import Artefact, fingerprint_of
from workshop.write_artefacts import shipped


def test_the_manifest_is_true() -> None:
    """If it is not, run: python -m workshop.write_artefacts"""
    listed = artefacts.artefacts()
    assert listed == {one.name: one for one in shipped()}
    for one in listed.values():
        found = fingerprint_of(artefacts.ROOT / one.path)  # verifies what it was fitted with too
        assert found == hashlib.sha256((artefacts.ROOT / one.path).read_bytes()).hexdigest()
    assert set(listed["rank"].calibrated_with) == {
        "masked-site",
        "general",
        "inorganic-relaxed",
        "inorganic-unrelaxed",
    }
    assert set(listed["check"].calibrated_with) == {"masked-site-angles-2", "general"}


def test_the_manifest_lists_every_shipped_file() -> None:
    listed = {artefacts.ROOT / one.path for one in artefacts.artefacts().values()}
    ends = (".onnx", ".npz", ".json", ".gz")
    found = {path for path in artefacts.ROOT.rglob("*") if path.name.endswith(ends)}
    assert found - listed == {artefacts.manifest_file()}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships a network, and a calibration that was fitted with it."""
    folder = tmp_path / "models" / "pretrained"
    folder.mkdir(parents=True)
    monkeypatch.setattr(artefacts, "ROOT", tmp_path)
    (tmp_path / "network").write_text("weights")
    (tmp_path / "limits").write_text("numbers")
    write_manifest(tmp_path)
    return tmp_path


def write_manifest(root: Path, fitted_with: str = "weights") -> None:
    expected = {"network": hashlib.sha256(fitted_with.encode()).hexdigest()}
    found = [
        Artefact(name, name, hashlib.sha256((root / name).read_bytes()).hexdigest(), 1, *more)
        for name, more in {"network": (), "limits": (expected, "python -m fit")}.items()
    ]
    held = {"format_version": artefacts.VERSION, "artefacts": [asdict(one) for one in found]}
    artefacts.manifest_file().write_text(json.dumps(held))


def test_what_is_as_released_has_the_hash_of_its_bytes(package: Path, tmp_path: Path) -> None:
    assert fingerprint_of(package / "network") == hashlib.sha256(b"weights").hexdigest()
    assert fingerprint_of(package / "limits") == hashlib.sha256(b"numbers").hexdigest()


def test_a_replaced_file_is_refused_until_what_rests_on_it_is_fitted_again(package: Path) -> None:
    (package / "network").write_text("other weights")
    for name in ("network", "limits"):
        with pytest.raises(ModelError, match=r"network is not the file that was released.*write_artefacts"):
            fingerprint_of(package / name)
    write_manifest(package)
    fingerprint_of(package / "network")
    with pytest.raises(ModelError, match=r"limits was fitted with another network.*python -m fit"):
        fingerprint_of(package / "limits")
    write_manifest(package, "other weights")
    fingerprint_of(package / "limits")


def test_what_is_missing_or_unknown_is_told(package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (package / "network").unlink()
    with pytest.raises(ModelError, match="network cannot be read"):
        fingerprint_of(package / "limits")
    (package / "new").write_text("new")
    with pytest.raises(ModelError, match=r"new is not in the manifest.*write_artefacts"):
        fingerprint_of(package / "new")
    artefacts.manifest_file().write_text('{"format_version": 99, "artefacts": []}')
    with pytest.raises(ModelError, match="format 99"):
        fingerprint_of(package / "new")
    own = tmp_path_factory.mktemp("own") / "model.onnx"  # a user's file needs no manifest
    own.write_text("own")
    assert fingerprint_of(own) == hashlib.sha256(b"own").hexdigest()


def test_another_format_is_refused(package: Path) -> None:
    manifest = artefacts.manifest_file()
    record = json.loads(manifest.read_text())
    record["artefacts"][0]["format_version"] = 7
    manifest.write_text(json.dumps(record))
    fingerprint_of(package / "network", 7)
    with pytest.raises(ModelError, match="network is of format 7, this version of atomsight reads 1"):
        fingerprint_of(package / "network")


def test_rank_refuses_another_network(tmp_path: Path) -> None:
    copy = tmp_path / "atomsight"
    shutil.copytree(artefacts.ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    plausibility = copy / "models" / "pretrained" / "plausibility"
    shutil.copy(plausibility / "general.onnx", plausibility / "inorganic-relaxed.onnx")
    code = (
        "import sys; from atomsight.cli import main; "
        "sys.argv = ['atomsight', 'rank', 'x.cif', '--relaxed']; main.run()"
    )
    (tmp_path / "x.cif").write_text("data_x\n")
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    told = " ".join(found.stderr.split())
    assert found.returncode
    assert "inorganic-relaxed.onnx" in told
    assert "python -m workshop.write_artefacts" in told
