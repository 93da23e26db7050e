"""Builds stopped at any moment, in any way, and started again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atomsight.core.errors import DatasetError
from atomsight.core.progress import Progress
from atomsight.dataset import build, chunks, open_dataset
from atomsight.dataset._files import locked
from atomsight.io.policy import QualityPolicy
from processes import alive_in_session
from small_crystals import cif_text, content, write_cifs

K = 5


@pytest.fixture(scope="module")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifs(tmp_path_factory.mktemp("here") / "cifs", 24)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 4)


@pytest.fixture(scope="module")
def undisturbed(cifs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference") / "dataset"
    build(cifs, out, K)
    return content(out)


class Stopped(BaseException):
    """As a signal would, passes every handler of ordinary errors."""


def test_stopped_at_every_step(cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """One build into one folder, stopped after its first step, then after its second, and so on until it is
    done."""
    out = tmp_path / "d"
    allowed = 0
    resumed = []
    while True:
        allowed += 1
        steps = 0

        def step(progress: Progress, allowed: int = allowed) -> None:
            nonlocal steps
            steps += 1
            if steps > allowed:
                raise Stopped

        try:
            summary = build(cifs, out, K, progress=step)
        except Stopped:
            with pytest.raises(DatasetError, match="unfinished build"):
                open_dataset(out)
            continue
        resumed.append(summary.resumed)
        break
    assert allowed > 10
    assert resumed[0] == summary.crystals
    assert content(out) == undisturbed


@pytest.mark.parametrize("moment", range(0, 40, 3))
def test_stopped_at_a_write(
    cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of writing to disk, the temporary file left behind."""
    real = os.fsync
    calls = 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > moment:
            raise Stopped
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        try:
            build(cifs, tmp_path / "d", K)
        except Stopped:
            pass
        else:
            assert calls <= moment
    build(cifs, tmp_path / "d", K)
    assert content(tmp_path / "d") == undisturbed


SLOW_BUILD = """
import sys, time
from atomsight.dataset import build, chunks, work
from pathlib import Path
chunks.CHUNK_FILES = 4
if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), executor=int(sys.argv[4]),
          progress=lambda progress: time.sleep(0.02))
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed(cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """kill -9 at random moments, with worker processes, until a run gets through; no worker outlives its
    parent."""
    script = tmp_path / "slow_build.py"
    script.write_text(SLOW_BUILD)
    out = tmp_path / "d"
    moments = random.Random(0)
    command = [sys.executable, str(script), str(cifs), str(out), str(K)]
    kills = 0
    for attempt in range(60):
        process = subprocess.Popen(
            [*command, str(1 + attempt % 2)], stderr=subprocess.PIPE, start_new_session=True
        )
        started = time.monotonic()
        patience = moments.uniform(0, 0.4)
        while process.poll() is None:
            begun = (out / "build.json").exists() and time.monotonic() - started > 0.3
            if kills < 5 and begun:
                time.sleep(patience)
                process.kill()
                kills += process.wait() == -9
            time.sleep(0.01)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        if process.returncode == 0:
            break
        assert process.returncode == -9, errors
    assert kills >= 1
    assert content(out) == undisturbed


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    cifs = write_cifs(tmp_path / "many", 600)
    script = tmp_path / "slow_build.py"
    script.write_text(SLOW_BUILD)
    command = [sys.executable, str(script), str(cifs), str(tmp_path / "d"), str(K), "2"]
    process = subprocess.Popen(command, start_new_session=True)

    limit = time.monotonic() + 60
    while not list((tmp_path / "d" / "staging").glob("*.part")) and time.monotonic() < limit:
        time.sleep(0.02)
    assert len(alive_in_session(process.pid)) >= 3
    process.kill()
    process.wait()
    limit = time.monotonic() + 1
    while alive_in_session(process.pid) and time.monotonic() < limit:
        time.sleep(0.02)
    assert alive_in_session(process.pid) == []


def test_two_builds_into_one_folder(cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "d"
    out.mkdir()
    with locked(out), pytest.raises(DatasetError, match=rf"is being built by process {os.getpid()} on "):
        build(cifs, out, K)
    # The lock of a dead process is a file that nobody holds.
    (out / "build.lock").write_text("process 1 on elsewhere\n")
    build(cifs, out, K)
    assert content(out) == undisturbed


def test_other_settings_are_refused(cifs: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"

    def stop(progress: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build(cifs, out, K, progress=stop)
    before = content(out)
    with pytest.raises(DatasetError, match=r"other settings .k: 5 there, 6 now"):
        build(cifs, out, 6)
    with pytest.raises(DatasetError, match="policy"):
        build(cifs, out, K, policy=QualityPolicy(min_distance=0.7))
    with pytest.raises(DatasetError, match="sources"):
        build(sorted(cifs.glob("*.cif")), out, K)
    with pytest.raises(DatasetError, match="one_per_refcode"):
        build(cifs, out, K, one_per_refcode=True)
    assert content(out) == before
    build(cifs, out, K)
    with pytest.raises(DatasetError, match=r"other settings .k: 5 there, 6 now"):
        build(cifs, out, 6)


def test_a_finished_build_is_left_as_it_is(cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    build(cifs, tmp_path / "d", K)
    modified = {p: p.stat().st_mtime_ns for p in (tmp_path / "d").rglob("*") if p.is_file()}
    summary = build(cifs, tmp_path / "d", K)
    assert summary.complete_before
    assert summary.crystals == 24
    assert {p: p.stat().st_mtime_ns for p in modified} == modified


def test_files_changed_between_two_runs_are_read_again(tmp_path: Path) -> None:
    cifs = write_cifs(tmp_path / "cifs", 24)
    steps = 0

    def stop(progress: Progress) -> None:
        nonlocal steps
        steps += 1
        if progress.stage == "writing":
            raise Stopped

    with pytest.raises(Stopped):
        build(cifs, tmp_path / "d", K, progress=stop)
    (cifs / "s0001.cif").write_text(cif_text(1001))
    for index in range(14, 24):
        next(cifs.rglob(f"s{index:04d}.cif")).unlink()
    summary = build(cifs, tmp_path / "d", K)
    assert 0 < summary.resumed < summary.crystals
    build(cifs, tmp_path / "fresh", K)
    assert content(tmp_path / "d") == content(tmp_path / "fresh")


def test_a_part_damaged_on_disk_is_made_again(
    cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == "writing":
            raise Stopped

    with pytest.raises(Stopped):
        build(cifs, tmp_path / "d", K, progress=stop)
    parts = sorted((tmp_path / "d" / "staging").glob("*.part"))
    whole = parts[1].read_bytes()
    parts[1].write_bytes(whole[:-7] + b"damaged")
    parts[2].write_bytes(b"")
    build(cifs, tmp_path / "d", K)
    assert content(tmp_path / "d") == undisturbed
