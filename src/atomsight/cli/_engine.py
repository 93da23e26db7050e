"""Options that choose the executor of a verb, and the executor that they choose."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from atomsight.parallel.pool import Limits

Workers = Annotated[
    int, typer.Option(min=1, help="Processes on this machine, or jobs of a batch system; same results.")
]

Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Workers elsewhere: tcp://HOST:PORT of Dask, slurm, mpi."),
]

MaxSeconds = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        min=0.001,
        help="Skip a file that takes a worker longer; 300 by default with several workers.",
        show_default=False,
    ),
]

MaxMemory = Annotated[
    float | None,
    typer.Option(
        metavar="GIB",
        min=0.001,
        help="Skip a file that needs more memory of its worker; 16 by default with several workers.",
        show_default=False,
    ),
]


def limits_of(max_seconds: float | None, max_memory: float | None) -> Limits | None:
    """Limits of the options ``--max-seconds`` and ``--max-memory``; None where neither is used."""
    if max_seconds is None and max_memory is None:
        return None
    from atomsight.parallel.pool import Limits

    default = Limits()
    return Limits(
        default.seconds if max_seconds is None else max_seconds,
        default.memory if max_memory is None else int(max_memory * 2**30),
    )


def executor_for(
    cluster: str | None, workers: int, max_seconds: float | None = None, max_memory: float | None = None
) -> AbstractContextManager[Executor | None]:
    """As `executor_of`, whose imports a single process without limits does not need."""
    limits = limits_of(max_seconds, max_memory)
    if cluster is None and limits is None:
        return nullcontext()
    from atomsight.parallel.executors import executor_of

    return executor_of(cluster, workers, limits)
