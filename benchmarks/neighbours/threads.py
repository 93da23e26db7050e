"""Two threads on one batch, beside one thread and beside two processes that do half each at the same time.

    python benchmarks/neighbours/threads.py ARCHIVE [--rounds 3] [--repeats 40]

ARCHIVE holds small cells, such as csp-inorganic.tar.xz. Time on the clock, the least of the repeats;
processes share nothing but the machine, so that they tell what two of its cores can do.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import platform
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from corpora import Structures, structures_of

from atomsight.geometry.neighbours import nearest_neighbours_batch

K = 10


def one_half(cells: Structures, repeats: int, gate: Any, answer: Any) -> None:
    arguments = (cells.lattices, cells.fractional, cells.offsets, K)
    nearest_neighbours_batch(*arguments)
    best = float("inf")
    for _ in range(repeats):
        gate.wait()
        start = time.perf_counter()
        nearest_neighbours_batch(*arguments)
        best = min(best, time.perf_counter() - start)
        gate.wait()
    answer.put(best)


def halves(cells: Structures) -> list[Structures]:
    """The structures in two parts with as many sites each."""
    middle = int(np.searchsorted(cells.offsets, cells.sites / 2))
    cut = int(cells.offsets[middle])
    return [
        Structures(cells.name, cells.lattices[:middle], cells.fractional[:cut], cells.offsets[: middle + 1]),
        Structures(cells.name, cells.lattices[middle:], cells.fractional[cut:], cells.offsets[middle:] - cut),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    cells = structures_of("cells", options.archive, 10**6)
    arguments = (cells.lattices, cells.fractional, cells.offsets, K)
    print(
        f"{date.today()}, {platform.machine()}; {len(cells.lattices):,} structures, {cells.sites:,} sites\n"
    )
    print("| one thread, µs a site | two threads | times | two processes | times |\n|---|---|---|---|---|")
    for _ in range(options.rounds):
        best = {1: float("inf"), 2: float("inf")}
        for _ in range(options.repeats):
            for threads in best:
                for _ in range(2):  # the first for the caches
                    start = time.perf_counter()
                    nearest_neighbours_batch(*arguments, threads=threads)
                    best[threads] = min(best[threads], time.perf_counter() - start)
        gate, answer = mp.Barrier(2), mp.Queue()
        workers = [
            mp.Process(target=one_half, args=(half, options.repeats, gate, answer)) for half in halves(cells)
        ]
        for worker in workers:
            worker.start()
        apart = max(answer.get() for _ in workers)
        for worker in workers:
            worker.join()
        one, two, processes = (1e6 * taken / cells.sites for taken in (best[1], best[2], apart))
        print(
            f"| {one:.3f} | {two:.3f} | {one / two:.2f} | {processes:.3f} | {one / processes:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
