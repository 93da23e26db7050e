"""Worker processes: started from a warm server, limited in time and memory, ended with their parent."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from multiprocessing import connection, get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from atomsight.core.errors import EngineError


class WorkerCrashError(EngineError):
    """A worker process ended in the middle of a call, as after a segmentation fault."""


class WorkerTimeoutError(EngineError):
    """A call took longer than its limit, and its worker process was killed."""


class WorkerMemoryError(EngineError):
    """A call needed more memory than its worker process may have."""


def run_isolated(function: Callable[..., Any], *args: Any, seconds: float, memory: int | None) -> Any:
    """Call a function in a disposable process of its own, which may crash or hang without harm.

    Args:
        function: a module-level function; it, its arguments and its result must be picklable.
        args: its arguments.
        seconds: limit of time, the start of the process not counted.
        memory: limit of memory of the process in bytes, where the platform has one; None sets none. A
            process that has imported atomsight holds about 250 MiB.

    Returns:
        What the function returns.

    Raises:
        WorkerTimeoutError: the call took longer than ``seconds``.
        WorkerCrashError: the process ended before the call returned.
        WorkerMemoryError: the call needed more than ``memory``.
        Exception: what the function itself raises.
    """
    with Worker(memory) as worker:
        try:
            return worker.call(function, *args, seconds=seconds)
        except MemoryError as error:
            needed = "more memory than there is" if memory is None else f"more than {memory / 2**20:.0f} MiB"
            raise WorkerMemoryError(f"it needs {needed}") from error


class Worker:
    """One worker process, which runs one call at a time.

    Args:
        memory: limit of its memory in bytes; None sets no limit.
    """

    def __init__(self, memory: int | None = None) -> None:
        context = _context()
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, memory), daemon=True)
        try:
            _start(self._process.start)
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def call(self, function: Callable[..., Any], *args: Any, seconds: float | None = None) -> Any:
        """Call a function in the process.

        Args:
            function: see `run_isolated`.
            args: see `run_isolated`.
            seconds: limit of time; None sets no limit.

        Raises:
            WorkerTimeoutError: the call took longer; the process is killed.
            WorkerCrashError: the process ended before the call returned.
            Exception: what the function itself raises.
        """
        try:
            self._connection.send((function, args))
            ready = connection.wait([self._connection, self._process.sentinel], seconds)
            if not ready:
                self._process.kill()
                raise WorkerTimeoutError(f"it took longer than {seconds:g} s")
            succeeded, answer = pickle.loads(self._connection.recv_bytes())
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise WorkerCrashError(f"it ended its worker process ({self._ending()})") from error
        if not succeeded:
            raise answer
        return answer

    def kill(self) -> None:
        """End the process at once, whatever it does. Another thread may do this during a call."""
        self._process.kill()
        self._process.join()

    def _ending(self) -> str:
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit status {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"


@cache
def _context() -> Any:
    """The way in which worker processes start: forked from a server that has the compiled kernels loaded.

    They are never forked from this process: the threads of Arrow and Numba do not survive a fork.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["atomsight.parallel.warm"])
    return context


@cache
def _start_requests(process: int) -> SimpleQueue[tuple[Callable[[], None], Future[None]]]:
    """Requests to the one thread that starts workers, and with them their server; a fork has its own.

    Linux ends the server with the thread that started it (see `die_with_parent`). This one is a daemon, so
    that it stays for as long as any other thread of the process.
    """
    requests: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()

    def answer() -> None:
        while True:
            start, future = requests.get()
            try:
                future.set_result(start())
            except BaseException as error:
                future.set_exception(error)

    threading.Thread(target=answer, name="atomsight-starter", daemon=True).start()
    return requests


def _start(start: Callable[[], None]) -> None:
    future: Future[None] = Future()
    _start_requests(os.getpid()).put((start, future))
    future.result()


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, whatever this process does then.

    No-op on other systems.
    """
    if sys.platform.startswith("linux"):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def _serve(calls: Connection, memory: int | None) -> None:
    """Answer calls until the parent closes the connection or ends."""
    die_with_parent()
    _watch_parent()
    # Ctrl-C reaches the whole process group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if memory is not None:
        _limit_memory(memory)
    while True:
        try:
            task = calls.recv_bytes()
        except EOFError:
            return
        calls.send_bytes(_answer(task))


def _answer(task: bytes) -> bytes:
    """The pickled outcome of a pickled call: whether it returned, and what it returned or raised."""
    try:
        function, args = pickle.loads(task)
        return pickle.dumps((True, function(*args)))
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)
        except Exception:  # not every error can be pickled
            return pickle.dumps((False, EngineError(f"{type(error).__name__}: {error}")))
        return answer


def _watch_parent() -> None:
    """End this process when the one that started it has ended.

    It works on every system, between two instructions of Python.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit_memory(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    # The address space on Linux holds much that is reserved and never used; data is what is allocated.
    kind = resource.RLIMIT_DATA if sys.platform.startswith("linux") else resource.RLIMIT_AS
    soft, hard = resource.getrlimit(kind)
    limits = [memory, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    try:
        resource.setrlimit(kind, (min(limits), hard))
    except (ValueError, OSError):  # macOS refuses limits below what is mapped
        return
