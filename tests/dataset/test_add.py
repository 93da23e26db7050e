"""A dataset grows by what is new; it is whole at every moment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atomsight.core.errors import DatasetError
from atomsight.core.progress import Progress
from atomsight.dataset import add as add_module
from atomsight.dataset import build, chunks, open_dataset
from atomsight.dataset.add import add
from atomsight.dataset.repair import repair
from small_crystals import cif_text, content, write_cifs

K = 4


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 6)


class Stopped(BaseException):
    """As a signal would, passes every handler of ordinary errors."""


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Path, dict[str, bytes]]:
    """A dataset of folder a, folder b, and the content of a build of both."""
    a, b = write_cifs(tmp_path / "a", 20), write_cifs(tmp_path / "b", 20, broken=1, first=50)
    build(a, tmp_path / "d", K)
    build([a, b], tmp_path / "whole", K)
    return tmp_path / "d", b, content(tmp_path / "whole")


def test_the_same_bytes_as_one_build(grown: tuple[Path, Path, dict[str, bytes]]) -> None:
    dataset, b, whole = grown
    summary = add(dataset, b)
    assert (summary.added, summary.changed, summary.replaced, summary.known) == (20, 0, 0, 0)
    assert content(dataset) == whole
    assert not dataset.with_name("d.adding").exists()


def test_only_new_files_are_read(grown: tuple[Path, Path, dict[str, bytes]]) -> None:
    dataset, b, whole = grown
    add(dataset, b)
    again = add(dataset, [b])
    assert (again.added, again.known) == (0, 20)
    assert content(dataset) == whole  # nothing new, nothing written
    (b / "late.cif").write_text(cif_text(999))
    (b / "late-broken.cif").write_text("data_x\n_nothing 1\n")
    summary = add(dataset, b)
    assert (summary.added, summary.known) == (1, 20)
    opened = open_dataset(dataset)
    assert opened.n_crystals == 41
    skipped = opened.skipped().column("source").to_pylist()
    assert sorted(skipped) == ["a/broken0.cif", "a/broken1.cif", "b/broken0.cif", "b/late-broken.cif"]
    assert opened.damaged() == []


def test_an_entry_that_changed(tmp_path: Path) -> None:
    cifs = write_cifs(tmp_path / "cifs", 6, broken=0)
    build(cifs, tmp_path / "d", K)
    shutil.copytree(tmp_path / "d", tmp_path / "e")
    (cifs / "s0001.cif").write_text(cif_text(500))
    kept = add(tmp_path / "d", cifs)
    assert (kept.added, kept.changed, kept.replaced, kept.known) == (1, 1, 0, 5)
    assert "cifs/s0001" in open_dataset(tmp_path / "d").crystals().column("crystal").to_pylist()
    replaced = add(tmp_path / "e", cifs, replace=True)
    assert (replaced.added, replaced.changed, replaced.replaced, replaced.known) == (1, 1, 1, 5)
    ids = open_dataset(tmp_path / "e").crystals().column("crystal").to_pylist()
    assert sorted(ids) == [f"s{i:04d}" for i in range(6)]
    assert open_dataset(tmp_path / "e").n_sites() == build(cifs, tmp_path / "f", K).sites


def test_one_per_refcode(tmp_path: Path) -> None:
    for folder, name in (("p", "ABAVIJ_clean"), ("q", "ABAVIJ_freeONLY")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.cif").write_text(cif_text(len(name)))
    build(tmp_path / "p", tmp_path / "d", K, one_per_refcode=True)
    assert add(tmp_path / "d", tmp_path / "q").added == 0
    assert open_dataset(tmp_path / "d").skipped().column("rule").to_pylist() == ["superseded"]


@pytest.mark.parametrize("at_once", [True, False])
def test_stopped_at_every_step(
    grown: tuple[Path, Path, dict[str, bytes]], at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each stop the folder opens and holds the old dataset or the new."""
    if not at_once:
        monkeypatch.setattr(add_module, "_exchange_at_once", lambda one, other: False)
    dataset, b, whole = grown
    old = content(dataset)
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    for allowed in range(0, 200, 3):
        calls = 0

        def counted(name: str, allowed: int = allowed) -> object:
            def call(*arguments: object) -> None:
                nonlocal calls
                calls += 1
                if calls > allowed:
                    raise Stopped
                real[name](*arguments)

            return call

        try:
            with monkeypatch.context() as patch:
                for name in real:
                    patch.setattr(os, name, counted(name))
                add(dataset, b)
        except Stopped:
            if at_once:
                assert content(dataset) in (old, whole)
            continue
        break
    assert allowed > 6
    assert content(dataset) == whole
    assert not dataset.with_name("d.adding").exists() or add(dataset, b).added == 0


def test_stopped_between_two_renames(
    grown: tuple[Path, Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where folders cannot be exchanged at once, the next call puts the old one back."""
    dataset, b, whole = grown
    real = os.replace

    def stop_before_the_second(source: Path, target: Path) -> None:
        if Path(source).name == "whole":
            raise Stopped
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(add_module, "_exchange_at_once", lambda one, other: False)
        patch.setattr(os, "replace", stop_before_the_second)
        with pytest.raises(Stopped):
            add(dataset, b)
    assert not dataset.exists()
    add(dataset, b)
    assert content(dataset) == whole


KILLED = """
import sys, time
from atomsight.dataset import chunks
from atomsight.dataset.add import add
chunks.CHUNK_FILES = 6
add(sys.argv[1], sys.argv[2], progress=lambda progress: time.sleep(0.05))
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed(grown: tuple[Path, Path, dict[str, bytes]]) -> None:
    dataset, b, whole = grown
    old = content(dataset)
    command = [sys.executable, "-c", KILLED, str(dataset), str(b)]
    for patience in (0.0, 0.12, 0.24):
        process = subprocess.Popen(command)
        while process.poll() is None and not dataset.with_name("d.adding").exists():
            time.sleep(0.01)
        time.sleep(patience)
        process.kill()
        process.wait()
        assert content(dataset) in (old, whole)
    subprocess.run(command, check=True)
    assert content(dataset) == whole


def test_refusals(grown: tuple[Path, Path, dict[str, bytes]], tmp_path: Path, small_chunks: None) -> None:
    dataset, b, whole = grown

    def stop(progress: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        add(dataset, b, progress=stop)
    with pytest.raises(DatasetError, match="sources"):
        add(dataset, write_cifs(tmp_path / "c", 2))
    shard = open_dataset(dataset).shards()[0]
    data = shard.read_bytes()
    shard.write_bytes(data[:40] + b"\0" + data[41:])
    with pytest.raises(DatasetError, match=shard.name):
        add(dataset, b)
    shard.write_bytes(data)
    add(dataset, b)
    assert content(dataset) == whole


def test_crystals_from_memory_have_no_policy(tmp_path: Path) -> None:
    from small_crystals import random_crystals

    build(random_crystals(5), tmp_path / "d", K)
    with pytest.raises(DatasetError, match="in memory"):
        add(tmp_path / "d", write_cifs(tmp_path / "c", 2))


def test_disk_full(grown: tuple[Path, Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, b, whole = grown
    old = content(dataset)

    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("atomsight.dataset.shards.pq.write_table", full)
        with pytest.raises(DatasetError, match="No space left on device; the dataset is as it was"):
            add(dataset, b)
    assert content(dataset) == old
    assert add(dataset, b).resumed == 20
    assert content(dataset) == whole


def test_structures_of_other_formats_are_known_again(tmp_path: Path) -> None:
    """Several in one file, under names of their own, and mended too."""
    pytest.importorskip("ase")
    folder = write_cifs(tmp_path / "mixed", 3, broken=0)
    cell = '2\nLattice="{0} 0 0 0 {0} 0 0 0 {0}" Properties=species:S:1:pos:R:3\nFe 0 0 0\nFe 1.4 1.4 1.4'
    frames = [cell.format(length) for length in (2.8, 2.9)]
    (folder / "frames.extxyz").write_text("\n".join(frames) + "\n")
    build(folder, tmp_path / "d", K)
    whole = content(tmp_path / "d")
    assert open_dataset(tmp_path / "d").n_crystals == 5
    summary = add(tmp_path / "d", folder)
    assert (summary.added, summary.known) == (0, 5)
    for shard in open_dataset(tmp_path / "d").shards():
        shard.unlink()
    assert repair(tmp_path / "d", folder)
    assert content(tmp_path / "d") == whole
