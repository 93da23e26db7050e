"""The k-NN search beside the packages that a user could pick instead: one run, one table, ratios.

    python benchmarks/neighbours/compare.py DATA --mofs ARCHIVE [--peers vesin] [--amd PYTHON] [--out FILE]

DATA is the folder with the corpora, ARCHIVE any archive of MOF CIFs (2019-ASR.tar.xz of the CoRE-MOF
package), PYTHON an interpreter whose environment holds average-minimum-distance (requirements-amd.txt: its
licence is non-commercial, so it stays out of ours). Times are processor time, the least of several repeats,
the contestants taking turns, so that other work on the machine disturbs the ratios least.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from corpora import Structures, corpora
from peers import SEARCHES, nearest_of

from atomsight.geometry.neighbours import nearest_neighbours, nearest_neighbours_batch

SLOW = ("pymatgen", "ase", "matscipy")
ROUNDS = 5


def contest(
    structures: Structures, k: int, peers: list[str], amd: str | None
) -> tuple[dict[str, float], list[str]]:
    """Seconds of processor time of each contestant, and the peers that did not agree on the distances."""
    sets = structures.each()
    expected = [nearest_neighbours(lattice, points, k)[0] for lattice, points in sets]
    cutoffs = [float(distances.max()) * (1 + 1e-9) for distances in expected]
    batch = (structures.lattices, structures.fractional, structures.offsets, k)

    contestants: dict[str, Callable[[], object]] = {
        "atomsight, a call each": lambda: [
            nearest_neighbours(lattice, points, k) for lattice, points in sets
        ],
        "atomsight, one batch": lambda: nearest_neighbours_batch(*batch),
    }
    wrong = []
    for name in peers:
        search = SEARCHES[name]
        for (lattice, points), cutoff, distances in zip(sets[:10], cutoffs, expected, strict=False):
            table = nearest_of(search(lattice, points, cutoff), len(points), k)[0]
            if np.abs(table - distances).max() > 1e-9:
                wrong.append(name)
                break
        contestants[f"{name}, list"] = lambda search=search: [
            search(lattice, points, cutoff) for (lattice, points), cutoff in zip(sets, cutoffs, strict=True)
        ]
        contestants[f"{name}, k nearest"] = lambda search=search: [
            nearest_of(search(lattice, points, cutoff), len(points), k)
            for (lattice, points), cutoff in zip(sets, cutoffs, strict=True)
        ]
    seconds = dict.fromkeys(contestants, float("inf"))
    for turn in range(ROUNDS):
        for name, work in contestants.items():
            if turn and name.startswith(SLOW):
                continue
            start = time.process_time()
            work()
            seconds[name] = min(seconds[name], time.process_time() - start)
    if amd:
        answer = amd_side(structures, k, amd)
        seconds["average-minimum-distance"] = answer["seconds"]
        total = sum(float(distances.sum()) for distances in expected)
        if abs(answer["sum"] - total) > 1e-6 * total:
            wrong.append("average-minimum-distance")
    return seconds, wrong


def amd_side(structures: Structures, k: int, python: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "structures.npz"
        np.savez(
            saved,
            lattices=structures.lattices,
            fractional=structures.fractional,
            offsets=structures.offsets,
        )
        script = Path(__file__).with_name("amd_side.py")
        answer = subprocess.run(
            [python, str(script), str(saved), str(k)], capture_output=True, text=True, check=True
        )
    return json.loads(answer.stdout)


def table(results: list[tuple[Structures, int, dict[str, float], list[str]]]) -> list[str]:
    """One table: sites a second, and how many times faster ours is, a call each / one batch."""
    heads = [f"{structures.name}, k = {k}" for structures, k, _, _ in results]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name in results[0][2]:
        cells = []
        for structures, _, seconds, wrong in results:
            taken = seconds[name]
            cell = f"{structures.sites / taken:,.0f}"
            if not name.startswith("atomsight"):
                single, batch = seconds["atomsight, a call each"], seconds["atomsight, one batch"]
                cell += f" ({taken / single:.1f} / {taken / batch:.1f})"
            cells.append(cell + (" other distances" if name.split(",")[0] in wrong else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the corpora")
    parser.add_argument("--mofs", type=Path, required=True, help="an archive of MOF CIFs")
    parser.add_argument("--peers", nargs="+", choices=SEARCHES, default=list(SEARCHES), help="only these")
    parser.add_argument("--amd", help="Python whose environment holds average-minimum-distance")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 100], help="numbers of neighbours")
    parser.add_argument("--out", type=Path, help="write the tables here as well")
    parser.add_argument("--csv", type=Path, help="write microseconds a site here")
    options = parser.parse_args()

    packages = ("numpy", "numba", "vesin", "matscipy", "pymatgen", "ase")
    lines = [
        f"{date.today()}, {processor()}, one thread, Python {platform.python_version()}, "
        + ", ".join(f"{package} {found}" for package in packages if (found := version_of(package)))
        + ".",
        "",
    ]
    results = []
    for structures in corpora(options.data, options.mofs):
        for k in options.k:
            results.append((structures, k, *contest(structures, k, options.peers, options.amd)))
            print(f"{structures.name}, k = {k}: done", file=sys.stderr)
        lines.append(
            f"- {structures.name}: {len(structures)} structures, {structures.sites:,} sites, "
            f"{structures.sites / len(structures):.0f} a structure in the mean"
        )
    lines += ["", *table(results), ""]
    text = "\n".join(lines)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("structures", "k", "contestant", "us a site"))
            for structures, k, seconds, _ in results:
                for name, taken in seconds.items():
                    writer.writerow((structures.name, k, name, f"{1e6 * taken / structures.sites:.3f}"))


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
