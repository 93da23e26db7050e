"""Work in several processes: executors, the scheduler that hands out chunks, and isolation of bad files.

| module | what it holds |
|---|---|
| `jobs` | `spread`: a job applied to crystals or files, with the results in their order |
| `scheduler` | chunks out to workers, results back |
| `pool` | local processes, and the search for files that end or block them |
| `executors` | Dask, batch systems, MPI, any executor |
| `worker` | worker processes with limits of time and memory |
| `warm`, `sample` | what the server of worker processes loads once, by handling two small crystals |
"""

from __future__ import annotations

from atomsight.parallel.pool import Limits, LocalWorkers
from atomsight.parallel.worker import (
    WorkerCrashError,
    WorkerMemoryError,
    WorkerTimeoutError,
    run_isolated,
)

__all__ = [
    "Limits",
    "LocalWorkers",
    "WorkerCrashError",
    "WorkerMemoryError",
    "WorkerTimeoutError",
    "run_isolated",
]
