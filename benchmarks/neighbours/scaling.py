"""How the cost of the k-NN search grows with the number of sites, with k, and with threads.

    python benchmarks/neighbours/scaling.py DATA [--out FOLDER]

DATA is the folder with the corpora; FOLDER receives neighbours-scaling.png and all numbers as CSV.
Sites and k: processor time, least of several repeats. Threads: time on the clock, least of many short repeats
    taken in turns, on a batch of CSP cells.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from corpora import SETS, structures_of
from numpy.typing import NDArray
from peers import vesin

from atomsight.geometry.neighbours import nearest_neighbours, nearest_neighbours_batch

Row = tuple[str, str, int, float]


def supercell(lattice: NDArray, fractional: NDArray, times: tuple[int, int, int]) -> tuple[NDArray, NDArray]:
    shifts = np.stack(np.meshgrid(*(np.arange(t) for t in times), indexing="ij"), -1).reshape(-1, 3)
    return lattice * np.array(times)[:, None], (shifts[:, None] + fractional).reshape(-1, 3) / times


def least(work: Callable[[], object], clock: Callable[[], float], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def against_sites(lattice: NDArray, fractional: NDArray) -> list[Row]:
    rows: list[Row] = []
    for times in ((1, 1, 1), (2, 1, 1), (2, 2, 2), (4, 3, 3), (6, 6, 5), (8, 8, 8), (10, 11, 10)):
        cell, points = supercell(lattice, fractional, times)
        n = len(points)
        for k in (10, 100):
            if n * k > 4e6:
                continue
            repeats = max(2, min(30, 60_000 // n))
            taken = least(partial(nearest_neighbours, cell, points, k), time.process_time, repeats)
            rows.append(("sites", f"atomsight, k = {k}", n, taken / n * 1e6))
            cutoff = float(nearest_neighbours(cell, points, k)[0].max()) * (1 + 1e-9)
            taken = least(partial(vesin, cell, points, cutoff), time.process_time, max(2, repeats // 5))
            rows.append(("sites", f"vesin's list, k = {k}", n, taken / n * 1e6))
    return rows


def against_k(lattice: NDArray, fractional: NDArray) -> list[Row]:
    rows: list[Row] = []
    for k in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        taken = least(partial(nearest_neighbours, lattice, fractional, k), time.process_time, 10)
        rows.append(("k", "atomsight", k, taken / len(fractional) * 1e6))
    return rows


def against_threads(data: Path) -> list[Row]:
    rows: list[Row] = []
    for count, rounds in ((5109, 60), (1500, 200), (500, 400)):
        cells = structures_of("CSP cells", data / SETS["CSP cells"][0], count)
        arrays = nearest_neighbours_batch(cells.lattices, cells.fractional, cells.offsets, 10)
        ways = {f"one batch of {count}": None, f"one batch of {count}, arrays given": arrays}
        best = {(way, threads): float("inf") for way in ways for threads in (1, 2)}
        for _ in range(rounds):
            for way, threads in best:
                for _ in range(2):  # the first for the caches, which the way before has filled
                    start = time.perf_counter()
                    nearest_neighbours_batch(
                        cells.lattices, cells.fractional, cells.offsets, 10, threads=threads, out=ways[way]
                    )
                    best[way, threads] = min(best[way, threads], time.perf_counter() - start)
        rows += [("threads", *key, taken / cells.sites * 1e6) for key, taken in best.items()]
    return rows


def draw(rows: list[Row], path: Path) -> None:
    titles = {"sites": "sites in the cell", "k": "k", "threads": "threads"}
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for panel, (what, title) in zip(panels, titles.items(), strict=True):
        for name in dict.fromkeys(row[1] for row in rows if row[0] == what):
            points = [(x, y) for kind, label, x, y in rows if (kind, label) == (what, name)]
            panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        panel.set_xlabel(title)
        panel.set_ylabel("µs a site")
        panel.legend(frameon=False, fontsize=8)
    panels[0].set_xscale("log")
    panels[0].set_yscale("log")
    panels[2].set_xticks([1, 2])
    for panel in panels[1:]:
        panel.set_ylim(bottom=0)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the corpora")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the figure and its numbers")
    options = parser.parse_args()

    cofs = structures_of("COFs", options.data / SETS["covalent organic frameworks"][0], 40).each()
    lattice, fractional = min(cofs, key=lambda cof: abs(len(cof[1]) - 100))
    nearest_neighbours(lattice, fractional, 3)
    rows = against_sites(lattice, fractional)
    rows += against_k(*supercell(lattice, fractional, (2, 2, 2)))
    rows += against_threads(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "neighbours-scaling.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["against", "what", "value", "microseconds a site"])
        writer.writerows((a, b, c, f"{d:.3f}") for a, b, c, d in rows)
    for row in rows:
        print(f"{row[0]:8} {row[1]:24} {row[2]:8d} {row[3]:9.3f} µs a site")
    draw(rows, options.out / "neighbours-scaling.png")


if __name__ == "__main__":
    main()
