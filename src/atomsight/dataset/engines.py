"""Who does the work of a build: worker processes by default, any executor, or this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import Any

from atomsight.dataset.work import start_worker


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class SerialExecutor(Executor):
    """Runs each task at once, in this process: no start-up cost, and tracebacks that lead to the cause."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a task and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _worker_context() -> BaseContext:
    """How workers start. Never a fork of this process: the threads of Arrow and Numba do not survive it."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["atomsight.dataset._warm"])
    return context


class Engine:
    """Chooses the executor once it is known whether there is more than one chunk: processes cost a second to
    start."""

    def __init__(self, stack: ExitStack, executor: Executor | None, workers: int | None) -> None:
        self._stack = stack
        self._executor = executor
        self._workers = workers or default_workers()
        self._started: Executor | None = None
        self.in_flight = (
            2 * (self._workers if executor is None else getattr(executor, "_max_workers", 64)) + 1
        )

    def submit(self, many: bool, *task: Any) -> Future[Any]:
        """Submit a task; ``many`` tells whether others follow."""
        if self._executor is not None:
            return self._executor.submit(*task)
        if self._workers == 1 or not many:
            return SerialExecutor().submit(*task)
        if self._started is None:
            pool = ProcessPoolExecutor(self._workers, _worker_context(), start_worker)
            self._stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            self._started = pool
        return self._started.submit(*task)
