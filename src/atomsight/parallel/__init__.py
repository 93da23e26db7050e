"""Work in several processes: executors, the scheduler that hands out chunks, and isolation of bad files.

| module | what it holds |
|---|---|
| `worker` | worker processes with limits of time and memory |
| `warm` | what the server of worker processes loads once |
"""

from __future__ import annotations

from atomsight.parallel.worker import (
    WorkerCrashError,
    WorkerMemoryError,
    WorkerTimeoutError,
    run_isolated,
)

__all__ = ["WorkerCrashError", "WorkerMemoryError", "WorkerTimeoutError", "run_isolated"]
