"""predict, check and rank: the same answers in the same order whoever does the work."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import atomsight
from atomsight.cli.main import app
from atomsight.core.errors import EngineError, InputError, ModelError
from atomsight.io import Member
from atomsight.models.predict import PredictJob, predict
from atomsight.parallel import scheduler
from atomsight.parallel.executors import executor_of
from atomsight.parallel.jobs import Skipped, sources_of, spread
from atomsight.parallel.pool import Limits, LocalWorkers
from atomsight.rank.rank import RankJob, score

ROOT = Path(__file__).parents[2]
VERBS = ("predict", "check", "rank")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PredictJob, "files", 3)
    monkeypatch.setattr(RankJob, "files", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Real crystals under several names, and files that are none between them."""
    place = tmp_path / "crystals"
    place.mkdir()
    for name, text in (
        ("ibuprofen", (ROOT / "examples" / "ibuprofen.cif").read_text()),
        ("halite", (ROOT / "tests" / "data" / "halite.cif").read_text()),
        ("broken", "data_x\n"),
    ):
        for copy in range(3):
            (place / f"{copy}-{name}.cif").write_text(text)
    return place


def answers(verb: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, [verb, str(folder), "--json", "--threads", "1", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("verb", VERBS)
def test_two_processes_answer_as_one(verb: str, folder: Path) -> None:
    alone = answers(verb, folder)
    assert sum("crystal" in record for record in alone) == 6
    assert sum("skipped" in record for record in alone) == 3
    assert answers(verb, folder, "--workers", "2") == alone


def test_a_dask_cluster_answers_as_one_process(folder: Path) -> None:
    """Two worker processes and a scheduler on loopback; a worker is killed in the middle of the last run."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        alone = {verb: answers(verb, folder) for verb in VERBS}
        for verb in VERBS:
            assert answers(verb, folder, "--cluster", cluster.scheduler_address) == alone[verb]
        with executor_of(cluster.scheduler_address) as executor:
            found = []
            for one in atomsight.check(folder, on_skip=lambda source, reason: None, executor=executor):
                if not found:
                    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
                found.append(one.as_dict())
    assert found == [r for r in alone["check"] if "crystal" in r]


def test_survivors_are_copied_whoever_judges(folder: Path, tmp_path: Path) -> None:
    answers("rank", folder, "--keep-dir", str(tmp_path / "one"))
    answers("rank", folder, "--keep-dir", str(tmp_path / "two"), "--workers", "2")
    one, two = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two
    assert one["2-halite.cif"] == (folder / "2-halite.cif").read_bytes()


def test_python_functions_take_crystals_and_any_executor(folder: Path) -> None:
    crystals = list(atomsight.read(folder))
    with ThreadPoolExecutor(2) as executor:
        alone = [p.probabilities.tobytes() for p in predict(crystals, threads=1)]
        assert [p.probabilities.tobytes() for p in predict(crystals, executor=executor)] == alone
        assert list(atomsight.rank(crystals, executor=executor)) == list(atomsight.rank(crystals, threads=1))
        (one,) = atomsight.check(crystals[0], executor=executor)
    assert one.crystal.name == crystals[0].name


def test_what_cannot_travel_is_refused(folder: Path) -> None:
    model = atomsight.load_model(threads=1)
    with pytest.raises(InputError, match="names or paths"):
        atomsight.check([], model, executor=2)
    with pytest.raises(InputError, match="no other can be given"):
        score([], model=model, executor=2)
    with pytest.raises(InputError, match="name or path"):
        predict([], model, executor=2)
    with pytest.raises(InputError, match="at least 1 worker process is needed"):
        predict([], executor=0)
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        list(predict(folder, "nowhere", executor=2))


@dataclass(frozen=True)
class NameJob:
    """Names the crystals that it gets; ends its own process at one of them, once or always."""

    deadly: str = ""
    mark: Path | None = None

    files = 2

    def open(self) -> Any:
        def work(crystals: Iterator[Any], on_skip: Any) -> Iterator[str]:
            for crystal in crystals:
                name = Path(crystal.source).stem
                if name == self.deadly and (self.mark is None or not self.mark.exists()):
                    if self.mark is not None:
                        self.mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield name

        return work


@dataclass(frozen=True)
class PoisonJob:
    """Names the crystals that it gets; crashes or hangs at one of them."""

    deadly: str
    how: str
    files: int

    def open(self) -> Any:
        list(atomsight.read(ROOT / "tests" / "data" / "halite.cif"))  # the first crystal takes long

        def work(crystals: Iterator[Any], on_skip: Any) -> Iterator[str]:
            for crystal in crystals:
                name = Path(crystal.source).stem
                if name == self.deadly:
                    if self.how == "sleep":
                        time.sleep(600)
                    if self.how == "memory":
                        raise MemoryError
                    os.kill(os.getpid(), signal.SIGSEGV)
                yield name

        return work


@dataclass(frozen=True)
class DeadJob:
    """Ends its process when it is opened."""

    files = 1

    def open(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_nothing(folder: Path, tmp_path: Path) -> None:
    job = NameJob("1-halite", tmp_path / "killed")
    skips: list[str] = []
    found = list(spread(sources_of(folder), job, lambda source, reason: skips.append(source), executor=2))
    assert job.mark is not None
    assert job.mark.exists()
    assert found == [f"{i}-{name}" for i in range(3) for name in ("halite", "ibuprofen")]
    assert [Path(source).stem for source in skips] == [f"{i}-broken" for i in range(3)]


@pytest.mark.parametrize("how", ["segfault", "sleep", "memory"])
@pytest.mark.parametrize("files", [1, 5])
def test_a_file_that_ends_or_blocks_its_process_is_skipped(folder: Path, how: str, files: int) -> None:
    skips: dict[str, str] = {}
    found = list(
        spread(
            sources_of(folder),
            PoisonJob("1-ibuprofen", how, files),
            lambda source, reason: skips.update({Path(source).stem: reason}),
            executor=LocalWorkers(2, Limits(seconds=3)),
        )
    )
    names = [f"{i}-{name}" for i in range(3) for name in ("halite", "ibuprofen")]
    assert found == [name for name in names if name != "1-ibuprofen"]
    assert list(skips) == ["0-broken", "1-broken", "1-ibuprofen", "2-broken"]
    reason = {
        "segfault": ("crashed", "it ended its worker process"),
        "sleep": ("timeout", "it took longer than 3 s"),
        "memory": ("memory", "reading it takes more memory than there is"),
    }[how]
    assert (skips["1-ibuprofen"].rule, str(skips["1-ibuprofen"])) == reason  # type: ignore[attr-defined]


def test_one_worker_with_limits_is_a_process_of_its_own(folder: Path) -> None:
    skips: list[str] = []
    job = PoisonJob("1-ibuprofen", "segfault", 5)
    found = list(spread(sources_of(folder), job, lambda s, r: skips.append(s), executor=LocalWorkers(1)))
    assert len(found) == 5
    assert len(skips) == 4
    for wrong in (lambda: LocalWorkers(0), lambda: LocalWorkers(1, Limits(seconds=0))):
        with pytest.raises(InputError):
            wrong()


def test_without_a_listener_such_a_file_ends_the_work(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"1-ibuprofen\.cif: it ended its worker process"):
        list(spread(sources_of(folder), PoisonJob("1-ibuprofen", "segfault", 2), executor=2))


def test_a_job_that_ends_its_process_while_loading_blames_no_file(folder: Path) -> None:
    with pytest.raises(EngineError, match="while it loaded"):
        list(spread(sources_of(folder), DeadJob(), lambda source, reason: None, executor=2))


def test_work_in_flight_is_bounded_by_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(Executor):
        """Finishes a task when the scheduler waits for it."""

        _max_workers = 4
        most = 0

        def __init__(self) -> None:
            self.out: dict[Future[Any], tuple[Any, ...]] = {}

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.out[future] = (fn, *args)
            Waiting.most = max(Waiting.most, len(self.out))
            assert sum(args[0].size() for _, *args in self.out.values()) <= scheduler.MOST_IN_FLIGHT
            return future

        def finish(self, awaited: list[Future[Any]], *unused: object) -> Any:
            for future in awaited:
                fn, *args = self.out.pop(future)
                future.set_result(fn(*args))
            return wait(awaited)

    members = [Member(f"m{i}", f"m{i}", b"x" * 100) for i in range(40)]
    skips: list[str] = []
    for limit, most in ((10_000, 10), (700, 3)):
        monkeypatch.setattr(scheduler, "MOST_IN_FLIGHT", limit)
        Waiting.most = 0
        skips.clear()
        executor = Waiting()
        monkeypatch.setattr(scheduler, "wait", executor.finish)
        assert not list(spread(members, NameJob(), lambda s, r: skips.append(s), executor=executor))
        assert skips == [member.name for member in members]
        assert Waiting.most == most


def test_what_is_skipped_while_listing_keeps_its_place(folder: Path) -> None:
    (folder / "1-empty.cif.gz").write_bytes(b"no gzip")
    kinds = [type(source) for source in sources_of(folder)]
    assert kinds.count(Skipped) == 1
    assert kinds[4] is Skipped
