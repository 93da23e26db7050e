"""Executors: Dask, batch systems, MPI, or any `concurrent.futures.Executor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from atomsight.core.errors import InputError, MissingExtraError
from atomsight.core.optional import optional
from atomsight.parallel.pool import Limits, LocalWorkers

BATCH_SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}
"""Names of batch systems and the classes of dask-jobqueue that submit to them."""


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_of(
    cluster: str | None, workers: int | None = None, limits: Limits | None = None
) -> AbstractContextManager[Executor | int | None]:
    """Open what ``--cluster`` and ``--workers`` name, for an argument ``executor=``; closed afterwards.

    Args:
        cluster: ``tcp://HOST:PORT`` (or ``tls://``, ``ucx://``) of a running Dask scheduler; ``slurm``, or
            another batch system of `BATCH_SYSTEMS`, to which jobs are submitted as dask-jobqueue's own
            configuration file says; ``mpi``, for a program started under
            ``mpiexec -n N python -m mpi4py.futures``; None for this machine.
        workers: processes on this machine, by default one per core that this process may use; 1 works in
            this process. For a batch system the jobs to submit, by default one. A running cluster has its
            own workers.
        limits: limits of time and memory for each file, for workers on this machine.

    Raises:
        InputError: limits of a cluster, an unknown name, an address where nobody answers, or a batch system
            that is not configured.
        MissingExtraError: the package that the engine needs is missing.
    """
    if limits is not None and cluster is not None:
        raise InputError("limits of time and memory are those of workers on this machine, not of a cluster")
    if cluster is None:
        workers = workers or default_workers()
        return nullcontext(LocalWorkers(workers, limits) if limits else workers if workers > 1 else None)
    if cluster == "mpi":
        return _mpi()
    if cluster in BATCH_SYSTEMS:
        return _batch_system(cluster, workers or 1)
    if "://" in cluster:
        return _dask(cluster)
    known = ", ".join(BATCH_SYSTEMS)
    raise InputError(f"no cluster {cluster!r}; use tcp://HOST:PORT of a Dask scheduler, {known}, or mpi")


@contextmanager
def _dask(address: Any) -> Iterator[Executor]:
    distributed = optional("distributed", "cluster", "a Dask cluster")
    dask = optional("dask", "cluster", "a Dask cluster")
    try:
        client = distributed.Client(address, timeout="30s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {address}: {error}") from error
    # A chunk of files is larger than the graphs that Dask warns of.
    with client, dask.config.set({"distributed.admin.large-graph-warning-threshold": "64MiB"}):
        # A task of a killed worker is done again elsewhere; tasks are pure, so twice does no harm.
        yield client.get_executor(pure=False, retries=3)


@contextmanager
def _batch_system(name: str, jobs: int) -> Iterator[Executor]:
    try:
        import dask_jobqueue
    except ImportError as error:
        raise MissingExtraError("dask-jobqueue", "cluster", f"submitting to {name}") from error
    try:
        cluster = getattr(dask_jobqueue, BATCH_SYSTEMS[name])()
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name} is not configured for Dask ({error}); write the cores, memory and queue of a job into "
            f"~/.config/dask/jobqueue.yaml under jobqueue: {name}:"
        ) from error
    with cluster:
        cluster.scale(jobs=jobs)
        with _dask(cluster) as executor:
            yield executor


@contextmanager
def _mpi() -> Iterator[Executor]:
    try:
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError) as error:  # the second where no MPI library is found
        raise MissingExtraError("mpi4py", "mpi", "an MPI engine") from error
    with MPIPoolExecutor() as executor:
        yield executor


def in_flight(executor: Executor) -> int:
    """How many tasks keep the workers of an executor busy: two for each."""
    client = getattr(executor, "_client", None)
    if isinstance(executor, LocalWorkers):
        workers = executor.workers
    elif client is not None and hasattr(client, "nthreads"):
        workers = sum(client.nthreads().values())
    else:
        workers = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None) or 32
    return 2 * max(int(workers), 1) + 1


def engine_failed(error: BaseException) -> bool:
    """Whether an error of a task is one of its engine, a killed worker or a lost connection, not its own."""
    foreign = type(error).__module__.partition(".")[0] in ("distributed", "mpi4py")
    return foreign or isinstance(error, BrokenExecutor | CancelledError | EOFError | ConnectionError)


def worker_was_killed(error: BaseException) -> bool:
    """Whether an error of a Dask cluster belongs to one task, which ended its worker at every try."""
    return type(error).__name__ == "KilledWorker"
