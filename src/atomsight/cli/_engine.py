"""Who does the work of a verb: the options, and the executor that they name."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

Workers = Annotated[
    int, typer.Option(min=1, help="Processes on this machine, or jobs of a batch system; same results.")
]

Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Workers elsewhere: tcp://HOST:PORT of Dask, slurm, mpi."),
]


def executor_for(cluster: str | None, workers: int) -> AbstractContextManager[Executor | int | None]:
    """As `executor_of`, whose imports a single process is spared."""
    if cluster is None and workers == 1:
        return nullcontext()
    from atomsight.parallel.executors import executor_of

    return executor_of(cluster, workers)
