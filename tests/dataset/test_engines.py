"""The same shards whichever engine does the work, a killed worker or not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from atomsight.core.errors import EngineError, InputError, MissingExtraError
from atomsight.core.progress import Progress
from atomsight.dataset import build, chunks
from atomsight.dataset.add import add
from atomsight.parallel.executors import default_workers, engine_failed, executor_of, in_flight
from small_crystals import content, write_cifs

K = 4


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 3)


@pytest.fixture(scope="module")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifs(tmp_path_factory.mktemp("engines") / "cifs", 60)


@pytest.fixture(scope="module")
def reference(cifs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference") / "d"
    build(cifs, out, K)
    return content(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """A scheduler and two worker processes on loopback, each with a nanny that starts it again."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as local:
        yield local


def test_dask(cluster: object, cifs: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    with executor_of(cluster.scheduler_address) as executor:
        assert executor is not None
        assert in_flight(executor) == 5
        summary = build(cifs, tmp_path / "d", K, executor=executor)
    assert summary.crystals == 60
    assert content(tmp_path / "d") == reference


def test_a_dask_worker_is_killed(
    cluster: object, cifs: Path, reference: dict[str, bytes], tmp_path: Path
) -> None:
    """In the middle of a build, tasks under way on it: nothing is lost and nothing counted twice."""
    pids = [worker.pid for worker in cluster.workers.values()]
    counts: list[int] = []

    def kill(progress: Progress) -> None:
        counts.append(progress.sites)
        if len(counts) == 6 and pids:
            os.kill(pids.pop(), signal.SIGKILL)

    with executor_of(cluster.scheduler_address) as executor:
        summary = build(cifs, tmp_path / "d", K, executor=executor, progress=kill)
    assert len(pids) == 1
    assert summary.crystals == 60
    assert max(counts) == summary.sites
    assert content(tmp_path / "d") == reference


def test_added_on_a_cluster(cluster: object, cifs: Path, tmp_path: Path) -> None:
    more = write_cifs(tmp_path / "more", 9, first=500)
    build(cifs, tmp_path / "d", K)
    with executor_of(cluster.scheduler_address) as executor:
        assert add(tmp_path / "d", more, executor=executor).added == 9
    build([cifs, more], tmp_path / "whole", K)
    assert content(tmp_path / "d") == content(tmp_path / "whole")


MPI = """
import sys
from atomsight.dataset import build, chunks
from atomsight.parallel.executors import executor_of
chunks.CHUNK_FILES = 3
if __name__ == "__main__":
    with executor_of("mpi") as executor:
        build(sys.argv[1], sys.argv[2], int(sys.argv[3]), executor=executor)
"""


def test_mpi(cifs: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    script = tmp_path / "mpi_build.py"
    script.write_text(MPI)
    command = [mpiexec, "-n", "2", sys.executable, "-m", "mpi4py.futures", str(script)]
    subprocess.run([*command, str(cifs), str(tmp_path / "d"), str(K)], check=True, timeout=120)
    assert content(tmp_path / "d") == reference


def test_a_batch_system_by_its_documented_interface(
    cluster: object, cifs: Path, reference: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in of dask-jobqueue: ``SLURMCluster()``, ``scale(jobs=)``, and a client on it."""
    asked = []

    class SLURMCluster:
        scheduler_address = cluster.scheduler_address

        def __enter__(self) -> SLURMCluster:
            return self

        def __exit__(self, *error: object) -> None:
            asked.append("closed")

        def scale(self, jobs: int) -> None:
            asked.append(jobs)

    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=SLURMCluster))
    real = pytest.importorskip("distributed").Client
    monkeypatch.setattr(
        "distributed.Client", lambda to, **rest: real(getattr(to, "scheduler_address", to), **rest)
    )
    with executor_of("slurm", 7) as executor:
        build(cifs, tmp_path / "d", K, executor=executor)
    assert asked == [7, "closed"]
    assert content(tmp_path / "d") == reference


def test_an_unconfigured_batch_system() -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match=r"jobqueue\.yaml under jobqueue: slurm"), executor_of("slurm"):
        pass


def test_names_that_are_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for workers, expected in (
        (1, None),
        (3, 3),
        (None, default_workers() if default_workers() > 1 else None),
    ):
        with executor_of(None, workers) as executor:
            assert executor == expected
    with pytest.raises(InputError, match=r"no cluster 'slrum'; use tcp://HOST:PORT"), executor_of("slrum"):
        pass
    for name, module in (("tcp://127.0.0.1:1", "distributed"), ("slurm", "dask_jobqueue")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtraError, match="cluster"), executor_of(name):
                pass


def test_a_worker_that_dies_for_good(cifs: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    """An engine that gives up ends the build with what was being read; the next run goes on."""

    class CommClosedError(Exception):
        __module__ = "distributed.comm.core"

    class Failing(Executor):
        done = 0

        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            future: Future = Future()
            self.done += 1
            if self.done > 5:
                future.set_exception(CommClosedError())
            else:
                future.set_result(fn(*args, **kwargs))
            return future

    with pytest.raises(EngineError, match=r"a worker died.*cifs/s.*same command"):
        build(cifs, tmp_path / "d", K, executor=Failing())
    assert build(cifs, tmp_path / "d", K).resumed > 0
    assert content(tmp_path / "d") == reference


def test_an_error_of_ours_is_not_taken_for_a_dead_worker() -> None:
    assert not engine_failed(ValueError())
    assert not engine_failed(MemoryError())
    assert engine_failed(ConnectionResetError())


def test_bytes_in_flight_are_bounded(cifs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomsight.parallel.scheduler.MOST_IN_FLIGHT", 8000)
    sizes: dict[Future, int] = {}
    most = 0

    class Watched(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal most
            future = super().submit(lambda: (time.sleep(0.005), fn(*args, **kwargs))[1])
            sizes[future] = args[0].size()
            most = max(most, sum(size for f, size in sizes.items() if not f.done()))
            return future

    with Watched(64) as executor:
        build(cifs, tmp_path / "d", K, executor=executor)
    assert 2000 < most <= 8000
