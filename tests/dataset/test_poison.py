"""Files that crash or block their worker process are skipped by name; Ctrl-C ends all workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from atomsight.core.progress import Progress
from atomsight.dataset import build, builder, chunks, open_dataset
from atomsight.dataset.work import process
from atomsight.parallel import Limits, LocalWorkers
from atomsight.parallel.executors import executor_of
from processes import alive_in_session
from small_crystals import content, write_cifs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

K = 4
LIMITS = Limits(seconds=5)


def poisoned(chunk: Any, **settings: Any) -> Any:
    """As the real work, but some files end the process or block it, as a fault in a compiled library does."""
    for member in chunk.members:
        if member.name in ("s0005", "s0006", "s0021"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if member.name == "s0013":
            time.sleep(600)
    return process(chunk, **settings)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 4)
    monkeypatch.setattr(builder, "process", poisoned)


@pytest.fixture(scope="module")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifs(tmp_path_factory.mktemp("poison") / "cifs", 24)


@pytest.fixture(scope="module")
def undisturbed(cifs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "d"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_FILES", 4)
        patch.setattr(builder, "process", poisoned)
        build(cifs, out, K, executor=LocalWorkers(2, LIMITS))
    return out


def crystals(dataset: Path) -> list[tuple[str, str, int]]:
    rows = open_dataset(dataset).crystals(["crystal", "sha256", "n_sites"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_only_the_files_at_fault_are_skipped(undisturbed: Path, cifs: Path, tmp_path: Path) -> None:
    dataset = open_dataset(undisturbed)
    skipped = {
        Path(skip["source"]).stem: (skip["rule"], skip["reason"])
        for skip in dataset.skipped().to_pylist()
        if skip["rule"] in ("crashed", "timeout")
    }
    crashed = ("crashed", "it ended its worker process")
    assert skipped == {
        "s0005": crashed,
        "s0006": crashed,
        "s0013": ("timeout", "it took longer than 5 s"),
        "s0021": crashed,
    }
    for name in skipped:
        assert list(cifs.rglob(f"{name}.cif"))
    others = [path for path in sorted(cifs.rglob("*.cif")) if path.stem not in skipped]
    build(others, tmp_path / "others", K)
    assert crystals(undisturbed) == crystals(tmp_path / "others")


def test_the_same_bytes_with_more_workers_and_interruptions(
    undisturbed: Path, cifs: Path, tmp_path: Path
) -> None:
    class Stopped(BaseException):
        pass

    def stop(progress: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        build(cifs, tmp_path / "d", K, executor=LocalWorkers(3, LIMITS), progress=stop)
    assert build(cifs, tmp_path / "d", K, executor=LocalWorkers(3, LIMITS)).resumed > 0
    assert content(tmp_path / "d") == content(undisturbed)


def test_the_same_bytes_from_a_dask_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask gives a task up once it has killed some workers; then it is handled here."""
    distributed = pytest.importorskip("distributed")
    cifs = write_cifs(tmp_path / "cifs", 12)
    build(cifs, tmp_path / "here", K, executor=2)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        cluster.scheduler.allowed_failures = 1
        with executor_of(cluster.scheduler_address) as executor:
            build(cifs, tmp_path / "there", K, executor=executor)
    assert open_dataset(tmp_path / "here").metadata["skipped"]["crashed"] == 2
    assert content(tmp_path / "there") == content(tmp_path / "here")


HANGING = """
import sys, time
from pathlib import Path
from atomsight.cli.main import run
from atomsight.dataset import builder, chunks
from atomsight.dataset.work import process

def hanging(chunk, **settings):
    if chunk.index > 2:
        (Path(__file__).parent / "hanging").touch()
        time.sleep(600)
    return process(chunk, **settings)

if __name__ == "__main__":
    chunks.CHUNK_FILES = 4
    builder.process = hanging
    place = sys.argv[1]
    sys.argv = ["atomsight", "dataset", "build", place + "/cifs", "--out", place + "/d", "--workers", "2"]
    run()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_ctrl_c_ends_all_workers_and_says_what_is_kept(tmp_path: Path) -> None:
    write_cifs(tmp_path / "cifs", 24)
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while time.monotonic() < limit and not (
        (tmp_path / "hanging").exists() and len(list((tmp_path / "d" / "staging").glob("*.part"))) == 3
    ):
        time.sleep(0.05)
    assert len(alive_in_session(run.pid)) >= 3
    os.killpg(run.pid, signal.SIGINT)
    errors = run.communicate(timeout=20)[1].decode()
    assert run.returncode == 130
    limit = time.monotonic() + 1
    while alive_in_session(run.pid) and time.monotonic() < limit:
        time.sleep(0.02)
    assert alive_in_session(run.pid) == []
    assert "Traceback" not in errors
    assert "interrupted: 3 chunks with 10 crystals are kept in" in errors
