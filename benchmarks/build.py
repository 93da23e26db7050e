"""How long a dataset build takes beside gemmi alone, in one run on the same cores.

    python benchmarks/build.py FOLDER [-k 24] [--cores 2] [--repeat 2] [--stages]

gemmi's part is what any reader has to do at least: parse each CIF and expand its sites to the unit cell. The
build does that, finds the symmetry-unique sites of P1 cells, computes the k nearest neighbours of every site,
and writes the finished dataset with its splits and checksums. Both run as processes over the same files; the
build's compiled kernels are in their cache before the clock starts. `--stages` adds where the time goes,
measured in one process.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import islice
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any

CHUNK = 128


def gemmi_alone(paths: list[Path]) -> int:
    """Parse and expand; the number of atoms in all cells."""
    import gemmi

    atoms = 0
    for path in paths:
        try:
            structure = gemmi.make_small_structure_from_block(gemmi.cif.read(str(path))[0])
            atoms += len(structure.get_all_unit_cell_sites())
        except (RuntimeError, ValueError, IndexError):
            continue  # an unreadable file costs its parse
    return atoms


def on_cores(task: Callable[[list[Path]], int], paths: list[Path], cores: int) -> int:
    """A task over all files in chunks."""
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        return sum(pool.map(task, chunks))


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and CPU seconds (this process and its finished children) of a call, and its result."""

    def cpu() -> float:
        usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    wall, used = time.perf_counter(), cpu()
    result = call()
    wall = time.perf_counter() - wall
    # The CPU time of workers is only counted once the server that forked them has ended.
    forkserver._forkserver._stop()
    return wall, cpu() - used, result


def stages(paths: list[Path], k: int) -> dict[str, float]:
    """Seconds of each stage over some files, in this process, in the order in which a worker does them."""
    from atomsight.dataset.chunks import chunks_of
    from atomsight.dataset.naming import group_sources
    from atomsight.dataset.rows import ChunkRows, skipped_table
    from atomsight.dataset.work import Header, encode
    from atomsight.geometry.neighbours import site_neighbours
    from atomsight.io.cif import crystals_of
    from atomsight.io.policy import DEFAULT

    spent = dict.fromkeys(("list, load and hash", "read to Crystal", "neighbours", "rows", "encode"), 0.0)
    chunks = []
    clock = time.process_time()

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.process_time()
        spent[stage] += now - clock
        clock = now

    for source in group_sources(paths):
        chunks += list(chunks_of(source, 0, DEFAULT, lambda entry: False))
    lap("list, load and hash")
    for chunk in chunks:
        crystals = []
        for member, digest in zip(chunk.members, chunk.digests, strict=True):
            crystals += [(c, digest) for c in crystals_of(member, DEFAULT, lambda source, reason: None)]
        lap("read to Crystal")
        for crystal, _ in crystals:
            site_neighbours(crystal, k)
        lap("neighbours")
        twice = time.process_time()
        rows = ChunkRows(k)
        for crystal, digest in crystals:
            rows.add(crystal, digest)
        repeated = time.process_time() - twice
        tables = rows.crystals_table(), skipped_table([]), rows.sites()
        lap("rows")
        spent["rows"] -= min(repeated, spent["neighbours"])
        encode(Header("", 0, 0, 0, ()), *tables)
        lap("encode")
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of CIFs")
    parser.add_argument("-k", type=int, default=24)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=2, help="the least of so many runs is taken")
    parser.add_argument("--stages", action="store_true", help="where the time goes")
    arguments = parser.parse_args()

    from atomsight.dataset import build

    paths = sorted(arguments.folder.rglob("*.cif"))
    n = len(paths)
    with tempfile.TemporaryDirectory() as warm:
        build(paths[:8], Path(warm) / "d", arguments.k)

    runs: dict[str, list[tuple[float, float]]] = {"gemmi": [], "build": []}
    for _ in range(arguments.repeat):
        wall, cpu, atoms = timed(lambda: on_cores(gemmi_alone, paths, arguments.cores))
        runs["gemmi"].append((wall, cpu))
        with tempfile.TemporaryDirectory() as out:
            wall, cpu, summary = timed(
                lambda out=out: build(
                    arguments.folder,
                    Path(out) / "d",
                    arguments.k,
                    executor=arguments.cores if arguments.cores > 1 else None,
                )
            )
        runs["build"].append((wall, cpu))
    best = {
        name: tuple(min(values) for values in zip(*measured, strict=True)) for name, measured in runs.items()
    }

    print(
        f"{date.today()}  {platform.machine()}, {arguments.cores} cores, Python {platform.python_version()}"
    )
    print(f"{n} files, {atoms:,} atoms in their cells; k = {arguments.k}: {summary.crystals:,} crystals,")
    print(f"{summary.sites:,} sites, {sum(summary.skipped.values())} skipped\n")
    print("| | wall, s | CPU, s | wall per file, ms | CPU per file, ms |")
    print("|---|---|---|---|---|")
    for name, label in (("gemmi", "gemmi: parse and expand"), ("build", "atomsight: finished dataset")):
        wall, cpu = best[name]
        print(f"| {label} | {wall:.1f} | {cpu:.1f} | {1000 * wall / n:.2f} | {1000 * cpu / n:.2f} |")
    ratios = [best["build"][i] / best["gemmi"][i] for i in (0, 1)]
    print(f"| ratio | {ratios[0]:.1f} | {ratios[1]:.1f} | | |")
    if arguments.stages:
        some = list(islice(paths, 0, None, max(1, n // 1500)))
        print(f"\n| stage (one process, {len(some)} files) | ms per file |\n|---|---|")
        for stage, seconds in stages(some, arguments.k).items():
            print(f"| {stage} | {1000 * seconds / len(some):.2f} |")


if __name__ == "__main__":
    main()
