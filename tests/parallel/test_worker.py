"""Calls in worker processes: results and errors come back; crashes, hangs and memory do no harm."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from atomsight.core.errors import AtomsightError, InputError, MissingExtraError
from atomsight.parallel import (
    WorkerCrashError,
    WorkerMemoryError,
    WorkerTimeoutError,
    run_isolated,
)

MEMORY = 2 * 2**30


def fail(kind: str) -> None:
    if kind == "missing":  # its constructor takes other arguments than it keeps: it cannot be pickled
        raise MissingExtraError("nothing", "cluster", "a test")
    raise InputError("k must be at least 1")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def allocate(size: int) -> int:
    return len(bytearray(size))


def unpicklable() -> object:
    return lambda: None


def test_a_call_returns_what_the_function_returns() -> None:
    assert run_isolated(math.gcd, 12, 18, seconds=60, memory=MEMORY) == 6
    assert len(run_isolated(bytes, 10_000_000, seconds=60, memory=MEMORY)) == 10_000_000
    assert run_isolated(os.getpid, seconds=60, memory=MEMORY) != os.getpid()


def test_errors_of_the_function_are_raised() -> None:
    with pytest.raises(InputError, match="k must be") as caught:
        run_isolated(fail, "input", seconds=60, memory=MEMORY)
    assert "in fail" in "".join(caught.value.__notes__)
    with pytest.raises(AtomsightError, match=r"MissingExtraError.*a test needs"):
        run_isolated(fail, "missing", seconds=60, memory=MEMORY)
    with pytest.raises(Exception, match="pickle"):
        run_isolated(unpicklable, seconds=60, memory=MEMORY)
    with pytest.raises(Exception, match="pickle"):
        run_isolated(lambda: None, seconds=60, memory=MEMORY)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_crash_is_named() -> None:
    with pytest.raises(WorkerCrashError, match=r"ended its worker process \(SIGSEGV\)"):
        run_isolated(crash, seconds=60, memory=MEMORY)


def test_a_call_that_hangs_is_killed() -> None:
    run_isolated(os.getpid, seconds=60, memory=MEMORY)
    started = time.monotonic()
    with pytest.raises(WorkerTimeoutError, match=r"longer than 0\.3 s"):
        run_isolated(time.sleep, 60, seconds=0.3, memory=MEMORY)
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems limit memory loosely")
def test_memory_is_limited() -> None:
    assert run_isolated(allocate, MEMORY // 4, seconds=60, memory=MEMORY) == MEMORY // 4
    with pytest.raises(WorkerMemoryError, match="more than 2048 MiB"):
        run_isolated(allocate, 2 * MEMORY, seconds=60, memory=MEMORY)


def test_the_thread_that_called_first_may_end() -> None:
    """Linux ends a process with the thread that started it; the server of workers must not end so."""
    script = """
import threading, os, time
from atomsight.parallel import run_isolated
def call():
    print(run_isolated(os.getppid, seconds=60, memory=2**31))
for _ in range(2):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    time.sleep(0.2)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = run.stdout.split()
    assert first == second


HANGING = """
import sys, time, threading
from pathlib import Path
from atomsight.parallel import run_isolated
from atomsight.parallel.worker import Worker
import hang
worker = Worker()
threading.Thread(target=lambda: worker.call(hang.hang, sys.argv[1])).start()
"""

HANG = """
import ctypes, os
def hang(place):
    with open(place + ".new", "w") as file:
        file.write(f"{os.getpid()} {os.getppid()}")
    os.rename(place + ".new", place)
    ctypes.PyDLL(None).sleep(600)  # holds the GIL: no thread of Python can watch
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a thread of Python watches")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(HANG)
    place = tmp_path / "pids"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(place)], env={**os.environ, "PYTHONPATH": path}
    )
    limit = time.monotonic() + 60
    while not place.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    pids = [int(pid) for pid in place.read_text().split()]
    assert all(map(living, pids))
    process.kill()
    process.wait()
    limit = time.monotonic() + 1
    while any(map(living, pids)) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not any(map(living, pids))


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_threads_may_call_at_the_same_time() -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(run_isolated(os.getpid, seconds=60, memory=MEMORY)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 4
