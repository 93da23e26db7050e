"""Training in several processes: which of them this one is, and which rows of a batch are its own.

Lightning starts the processes of one machine by running the same command again; on several machines the
command is run on each, by hand with ``NODE_RANK`` and ``MASTER_ADDR``, or by torchrun or Slurm. Every process
reads the same batches in the same order and keeps its share of each, so that a step is one of a single
process: the same sites, none lost, none twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Environment variables in which Lightning, torchrun and Slurm state the rank of a process."""


def alone() -> tuple[int, int]:
    """Return the rank and the number of processes of a single process."""
    return 0, 1


def is_first_process() -> bool:
    """Return whether this process is the one that writes files and reports progress."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def share_of_rows(batches: Iterator[Arrays], rank: int, processes: int) -> Iterator[Arrays]:
    """Yield every n-th row of each batch, from the rank-th on.

    A last batch with fewer rows than processes is joined to the one before, so that all take equally many
    steps.
    """
    if processes == 1:
        yield from batches
        return
    held: Arrays | None = None
    for batch in batches:
        if held is not None and len(next(iter(batch.values()))) < processes:
            held = {name: np.concatenate([held[name], batch[name]]) for name in held}
            continue
        if held is not None:
            yield {name: values[rank::processes] for name, values in held.items()}
        held = batch
    if held is not None:
        yield {name: values[rank::processes] for name, values in held.items()}


def share_of_crystals(batch: Arrays, rank: int, processes: int) -> tuple[Arrays, bool]:
    """Return this process's crystals of a batch of whole crystals, with about equal numbers of sites.

    Returns:
        The rows, and whether they count: where there are fewer crystals than processes, one without a share
        gets the first crystal, which must not be scored.
    """
    site = batch["site"]
    if processes == 1:
        return batch, True
    starts = np.append(np.flatnonzero(site == 0), len(site))
    wanted = np.arange(processes + 1) * len(site) / processes
    cuts = starts[np.abs(starts[None, :] - wanted[:, None]).argmin(axis=1)]
    begin, end = int(cuts[rank]), int(cuts[rank + 1])
    counts = begin < end
    if not counts:
        begin, end = 0, int(starts[1])
    return {name: values[begin:end] for name, values in batch.items()}, counts
