"""What reading costs beside gemmi alone, what is read and skipped, and whether the orbits are moyo's.

    python benchmarks/reading.py PATH... [--times 3] [--sample 1500] [--moyo]

For each path (an archive, a folder, a file): crystals read, skips by rule, and flags; milliseconds a file
in each stage over a sample of evenly spread files, in one process, the least of several rounds; with
`--moyo`, the orbits of every P1 cell against those of `moyopy.MoyoDataset` on all atoms at the same
tolerance. gemmi's part is what any reader has to do at least: parse, and expand the sites to the unit cell.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import gemmi
import moyopy
import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.dataset.rows import ChunkRows
from atomsight.geometry.symmetry import find_orbits, renumber
from atomsight.io import DEFAULT, Member, Reason, crystals_of, iter_members
from atomsight.io._atoms import read_atoms
from atomsight.io._contacts import close_pairs
from atomsight.io._syntax import parse

CHUNK = 128
"""Files of one task of a build."""


def gemmi_alone(member: Member) -> None:
    """Parse and expand; files that gemmi refuses cost what they cost."""
    try:
        for block in gemmi.cif.read_string(member.data):
            gemmi.make_small_structure_from_block(block).get_all_unit_cell_sites()
    except (ValueError, RuntimeError):
        pass


def by_gemmi(member: Member) -> None:
    """Parse alone; files that gemmi refuses cost what they cost."""
    with contextlib.suppress(ValueError, RuntimeError):
        gemmi.cif.read_string(member.data)


def least(action: Callable[[], Any], times: int) -> float:
    """Seconds of processor time, the least of several rounds."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best


def rows_of(members: list[Member]) -> None:
    """File to finished rows of the table, as a worker of a build makes them."""
    for start in range(0, len(members), CHUNK):
        rows = ChunkRows(24)
        for member in members[start : start + CHUNK]:
            for crystal in crystals_of(member):
                rows.add(crystal, "")
        rows.sites()
        rows.crystals_table()


def stages(members: list[Member], times: int) -> dict[str, float]:
    """Milliseconds a file in each stage."""
    documents = [parse(member.data)[0] for member in members]
    crystals = [crystal for member in members for crystal in crystals_of(member)]
    in_p1 = [crystal for crystal in crystals if "from_p1" in crystal.flags]
    actions: dict[str, Callable[[], Any]] = {
        "gemmi alone, parse": lambda: [by_gemmi(member) for member in members],
        "gemmi alone, parse and expand": lambda: [gemmi_alone(member) for member in members],
        "whole of `crystals_of`": lambda: [crystals_of(member) for member in members],
        "whole path, rows of k = 24": lambda: rows_of(members),
        "- parse": lambda: [parse(member.data) for member in members],
        "- atom list": lambda: [read_atoms(document[-1]) for document in documents],
        "- closest contacts": lambda: [
            close_pairs(crystal.lattice, crystal.fractional, DEFAULT.min_distance, 1000)
            for crystal in crystals
        ],
        "- orbits of P1 cells": lambda: [
            find_orbits(crystal.lattice, crystal.fractional, crystal.numbers) for crystal in in_p1
        ],
    }
    return {name: least(action, times) / len(members) * 1e3 for name, action in actions.items()}


class MoyoComparison:
    """Orbits of P1 cells, ours against moyo's, with the processor time of both."""

    def __init__(self) -> None:
        self.cells, self.ours, self.theirs, self.failed = 0, 0.0, 0.0, 0
        self.sites, self.their_sites = 0, 0
        self.differing: list[str] = []

    def add(self, crystal: Crystal) -> None:
        start = time.process_time()
        found = find_orbits(crystal.lattice, crystal.fractional, crystal.numbers, DEFAULT.symprec)
        self.ours += time.process_time() - start
        self.cells += 1
        start = time.process_time()
        try:
            cell = moyopy.Cell(
                crystal.lattice.tolist(), crystal.fractional.tolist(), crystal.numbers.tolist()
            )
            orbits = moyopy.MoyoDataset(cell, symprec=DEFAULT.symprec).orbits
        except Exception:
            self.failed += 1
            return
        self.theirs += time.process_time() - start
        expected = renumber(np.array(orbits))
        self.sites += int(found.max()) + 1
        self.their_sites += int(expected.max()) + 1
        if (found != expected).any():
            self.differing.append(f"{crystal.name} ({found.max() + 1} sites, moyo {expected.max() + 1})")

    def show(self) -> None:
        print(
            f"\nOrbits of {self.cells} P1 cells: {self.sites} sites, moyo {self.their_sites}; "
            f"{len(self.differing)} cells "
            f"differ, moyo fails on {self.failed}; {self.ours / self.cells * 1e3:.3f} ms a cell, "
            f"moyo {self.theirs / self.cells * 1e3:.3f} ms"
        )
        for line in self.differing[:20]:
            print(f"- {line}")


def report(path: str, times: int, sample: int, moyo: bool) -> None:
    """The tables of one corpus."""
    rules: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    read = atoms = sites = 0
    total = 0
    comparison = MoyoComparison()

    def note(source: str, reason: str) -> None:
        rules[reason.rule if isinstance(reason, Reason) else "?"] += 1

    for member in iter_members(path, note):
        total += 1
        for crystal in crystals_of(member, on_skip=note):
            read += 1
            atoms += crystal.n_atoms
            sites += crystal.n_sites
            flags.update(crystal.flags)
            if moyo and "from_p1" in crystal.flags:
                comparison.add(crystal)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    print(f"\n## {name}\n\n| files | crystals read | skipped | atoms | sites |\n|---|---|---|---|---|")
    print(f"| {total} | {read} | {sum(rules.values())} | {atoms} | {sites} |")
    print("\nSkipped: " + (", ".join(f"{rule} {count}" for rule, count in rules.most_common()) or "none"))
    print("Flags: " + ", ".join(f"{flag} {count}" for flag, count in flags.most_common()))
    if moyo and comparison.cells:
        comparison.show()
    step = max(1, total // sample)
    chosen = [member for i, member in enumerate(iter_members(path)) if i % step == 0]
    print(f"\n{len(chosen)} files, {np.mean([len(m.data) for m in chosen]) / 1024:.1f} KiB each:")
    print("\n| stage | ms a file | times gemmi's parse |\n|---|---|---|")
    costs = stages(chosen, times)
    base = costs["gemmi alone, parse"]
    for stage, cost in costs.items():
        print(f"| {stage} | {cost:.3f} | {cost / base:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--times", type=int, default=3, help="rounds; the least counts")
    parser.add_argument("--sample", type=int, default=1500, help="files for the timing of the stages")
    parser.add_argument("--moyo", action="store_true", help="compare the orbits of P1 cells with moyo's")
    arguments = parser.parse_args()
    print(
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, gemmi {gemmi.__version__}"
    )
    for path in arguments.paths:
        report(path, arguments.times, arguments.sample, arguments.moyo)


if __name__ == "__main__":
    main()
