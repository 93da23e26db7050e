"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

Sources = Annotated[
    list[Path], Argument(metavar="PATH...", help="Structure files, folders, tar or zip archives.")
]

DatasetPath = Annotated[Path, Argument(metavar="DATASET", help="Dataset folder.")]

NewDataset = Annotated[Path, Option("--out", metavar="DIR", help="Folder of the new dataset.")]

ResultFolder = Annotated[
    Path | None, Option("--out", "-o", metavar="DIR", help="Folder for tables and figures.")
]

Duplicates = Annotated[
    Path | None, Option(metavar="CSV", help="Near duplicates, as atomsight dataset dedupe --out writes them.")
]

AsJson = Annotated[bool, Option("--json", help="Print JSON lines on standard output instead of text.")]

Split = Annotated[str, Option(help="Split of the dataset: train, val, test or all.")]

Workers = Annotated[
    int, Option(min=1, help="Worker processes, or jobs of a batch system; the results are the same.")
]

WorkersOrCores = Annotated[
    int | None, Option("--workers", min=1, help="Worker processes.", show_default="one per core")
]

Cluster = Annotated[
    str | None,
    Option(
        metavar="ADDRESS",
        help="Cluster that does the work: tcp://HOST:PORT of a Dask scheduler, slurm, another batch system, "
        "or mpi.",
        show_default="this machine",
    ),
]

Threads = Annotated[int, Option(min=0, help="Threads of the neural networks; 0 uses all cores.")]

MaxSeconds = Annotated[
    float | None,
    Option(
        metavar="S",
        min=0.001,
        help="Skip a file if a worker process needs more time for it.",
        show_default="300 with several workers",
    ),
]

MaxMemory = Annotated[
    float | None,
    Option(
        metavar="GIB",
        min=0.001,
        help="Skip a file if a worker process needs more memory for it.",
        show_default="16 with several workers",
    ),
]

TorchThreads = Annotated[
    int | None, Option("--threads", min=1, help="Threads of PyTorch.", show_default="all cores")
]

Licence = Annotated[
    list[str] | None,
    Option(
        metavar="TEXT",
        help="Licence of all sources, or repeat the option once per source.",
        show_default="from corpus.json next to each source",
    ),
]

Architecture = Annotated[str, Option("--model", help="Architecture: two-stage or masked-site.")]

ElementCap = Annotated[
    int | None,
    Option(metavar="N", help="Use at most N training sites of each element.", show_default="no limit"),
]

Epochs = Annotated[
    int | None,
    Option(min=1, help="Maximum number of epochs in each stage.", show_default="depends on the model"),
]

LearningRate = Annotated[
    float | None, Option(help="Peak learning rate of the schedule.", show_default="depends on the model")
]

Accelerator = Annotated[str, Option(help="Device for training: cpu, gpu or auto.")]

Resume = Annotated[bool, Option("--resume", help="Continue the interrupted run in --out.")]


def executor_of(
    cluster: str | None, workers: int | None, max_seconds: float | None, max_memory: float | None
) -> AbstractContextManager[Executor | int | None]:
    """Open the executor of ``--cluster``, ``--workers``, ``--max-seconds`` and ``--max-memory``."""
    from atomsight.parallel import executors
    from atomsight.parallel.pool import Limits

    default = Limits()
    memory = int(max_memory * 2**30) if max_memory else default.memory
    limits = Limits(max_seconds or default.seconds, memory) if max_seconds or max_memory else None
    return executors.executor_of(cluster, workers, limits)


def licences_of(texts: list[str] | None) -> str | list[str] | None:
    """Return the values of ``--licence``: one text for all sources, a list with one per source, or None."""
    return texts[0] if texts and len(texts) == 1 else texts or None
