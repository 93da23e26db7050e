"""Damage is found, named and mended; a full disk leaves a folder that goes on."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atomsight.cli.main import app
from atomsight.core.errors import DatasetError
from atomsight.dataset import build, chunks, open_dataset
from atomsight.dataset.merge import merge
from atomsight.dataset.repair import repair
from small_crystals import cif_text, content, write_cifs

K = 4


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 6)
    monkeypatch.setattr("atomsight.dataset.shards.ROW_GROUP_ROWS", 40)
    monkeypatch.setattr("atomsight.dataset.shards.SHARD_BYTES", 80 * (9 * K + 40))


@pytest.fixture(scope="module")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifs(tmp_path_factory.mktemp("reliability") / "cifs", 40)


@pytest.fixture
def dataset(cifs: Path, tmp_path: Path) -> Path:
    build(cifs, tmp_path / "d", K)
    return tmp_path / "d"


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def edit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE = {"truncated": truncate, "edited": edit, "missing": Path.unlink}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_named_and_mended(how: str, dataset: Path, cifs: Path) -> None:
    whole = content(dataset)
    shards = open_dataset(dataset).shards("train")
    assert len(shards) > 2
    for shard in (shards[1], shards[-1]):
        DAMAGE[how](shard)
    result = CliRunner().invoke(app, ["dataset", "info", str(dataset), "--verify"])
    assert shards[1].name in str(result.exception)
    assert shards[-1].name in str(result.exception)
    assert "dataset repair" in str(result.exception)
    assert repair(dataset, cifs) == [f"sites/{shards[1].name}", f"sites/{shards[-1].name}"]
    assert content(dataset) == whole
    assert repair(dataset, cifs) == []


def test_a_merged_dataset_is_mended(dataset: Path, cifs: Path, tmp_path: Path) -> None:
    """Ids that were made longer, files that lie elsewhere now."""
    other = tmp_path / "other"
    other.mkdir()
    for index in range(12):
        (other / f"s{index:04d}.cif").write_text(cif_text(700 + index))
    build(other, tmp_path / "e", K)
    merge([dataset, tmp_path / "e"], tmp_path / "m")
    whole = content(tmp_path / "m")
    for shard in open_dataset(tmp_path / "m").shards():
        shard.unlink()
    moved = shutil.copytree(other, tmp_path / "moved")
    result = CliRunner().invoke(
        app, ["dataset", "repair", str(tmp_path / "m"), str(moved), str(cifs), "--workers", "1", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert '"mended": "sites/train-00000.parquet"' in result.output
    assert content(tmp_path / "m") == whole


def test_what_cannot_be_mended(dataset: Path, cifs: Path, tmp_path: Path) -> None:
    shard = open_dataset(dataset).shards()[0]
    edit(shard)
    with pytest.raises(DatasetError, match="is not among the given files"):
        repair(dataset, write_cifs(tmp_path / "others", 3, first=900))
    table = dataset / "crystals.parquet"
    data = table.read_bytes()
    edit(table)
    with pytest.raises(DatasetError, match=r"crystals\.parquet is damaged"):
        repair(dataset, cifs)
    table.write_bytes(data)
    assert repair(dataset, cifs)


FILE_SIZE_LIMIT = """
import resource, sys
from atomsight.dataset import build, chunks
from atomsight.core.errors import DatasetError
chunks.CHUNK_FILES = 6
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    build(sys.argv[1], sys.argv[2], 4)
except DatasetError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [3000, 9000])
def test_files_that_may_not_grow(cifs: Path, tmp_path: Path, limit: int) -> None:
    """The kernel cuts a write short: in the staging area with the lower limit, in the shards with the
    higher."""
    build(cifs, tmp_path / "whole", K)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", FILE_SIZE_LIMIT, str(cifs), str(tmp_path / "d"), str(limit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "cannot write" in run.stderr or "cannot be written" in run.stderr
    assert "same command" in run.stderr
    with pytest.raises(DatasetError, match="unfinished"):
        open_dataset(tmp_path / "d")
    build(cifs, tmp_path / "d", K)
    assert content(tmp_path / "d") == content(tmp_path / "whole")


def test_no_space_left(cifs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("atomsight.dataset.shards.pq.write_table", full)
        with pytest.raises(DatasetError, match="No space left on device; the same command goes on"):
            build(cifs, tmp_path / "d", K)
    summary = build(cifs, tmp_path / "d", K)
    assert summary.resumed == summary.crystals == 40
