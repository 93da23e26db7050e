"""Memory and time of every step over a dataset against its size, each in a process held to 2 GB.

    python benchmarks/scale.py make DATASET FOLDER --times 11        DATASET's rows eleven times, FOLDER/x11
    python benchmarks/scale.py make DATASET FOLDER --times 11 --stretch 0.03    no copy a duplicate
    python benchmarks/scale.py run FOLDER --times 11 --step distances --results results.jsonl
    python benchmarks/scale.py plot results.jsonl scale.png
    python benchmarks/scale.py names DATASET --times 1 11
    python benchmarks/scale.py read FOLDER_OF_CIFS FOLDER --times 36 --workers 2
    python benchmarks/scale.py workers FOLDER_OF_CIFS --workers 1 2 --results workers.jsonl

`make` is the last step of a build, from rows to shards: ids, groups, splits, checksums; it is measured like
the others. The copies have ids, families and formulas of their own, so that there are as many groups as in a
real dataset of that size; with `--stretch` the distances of each copy are longer by that share than those of
the one before. `read` is a whole build of that many copies of a folder, from CIFs. The limit is the kernel's
own on private memory (RLIMIT_DATA); reported is the largest resident set, which counts the pages of files
that are mapped too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

LIMIT = 2 * 2**30

VERBS = {
    "verify": ["dataset", "info", "{dataset}", "--verify"],
    "dedupe": ["dataset", "dedupe", "{dataset}", "--out", "{out}/pairs.csv"],
    "distances": ["distances", "{dataset}", "--elements", "C,H,N,O", "--neighbour", "1", "--out", "{out}/d"],
    "bonds": ["bonds", "{dataset}", "--out", "{out}/b"],
    "evaluate": ["evaluate", "two-stage", "{dataset}", "--split", "test", "--out", "{out}/e"],
    "merge": ["dataset", "merge", "{dataset}", "{first}", "--out", "{out}/m"],
}


class Repeated:
    """The rows of a dataset many times, see `atomsight.dataset.finalise.Parts`."""

    def __init__(self, dataset: object, times: int, stretch: float = 0.0) -> None:
        self._dataset = dataset
        self._times = times
        self._stretch = stretch

    def _copies(self) -> Iterator[tuple[int, object]]:
        from atomsight.dataset.existing import ExistingParts

        for copy in range(self._times):
            yield copy, ExistingParts([self._dataset])

    def _named(self, crystals: object, copy: int) -> object:
        import pyarrow as pa
        import pyarrow.compute as pc

        mark = f" {copy}" if copy else ""
        for name in ("crystal", "family", "formula"):
            column = pc.binary_join_element_wise(crystals.column(name), pa.scalar(mark), "")
            crystals = crystals.set_column(crystals.schema.get_field_index(name), name, column)
        return crystals

    def _stretched(self, sites: object, copy: int) -> object:
        import numpy as np
        import pyarrow as pa

        column = sites.schema.get_field_index("distances")
        lists = sites.column(column).combine_chunks()
        longer = lists.flatten().to_numpy() * np.float32(1 + self._stretch * copy)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(longer), lists.type.list_size)
        return sites.set_column(
            column, sites.schema.field(column), lists.cast(sites.schema.field(column).type)
        )

    def crystals(self) -> Iterator[object]:
        for copy, parts in self._copies():
            for table in parts.crystals():
                yield self._named(table, copy)

    def tables(self) -> Iterator[tuple[object, object, object]]:
        for copy, parts in self._copies():
            for crystals, skipped, sites in parts.tables():
                if self._stretch and len(sites):
                    sites = self._stretched(sites, copy)
                yield self._named(crystals, copy), skipped, sites


def make(source: Path, out: Path, times: int, stretch: float) -> None:
    """Write a dataset that holds another several times."""
    from atomsight.dataset import open_dataset
    from atomsight.dataset.finalise import finalise

    dataset = open_dataset(source)
    out.mkdir(parents=True)
    finalise(Repeated(dataset, times, stretch), out, dataset.metadata["build"])


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


def measured(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory (MB) of a command held to the limit."""
    started = time.perf_counter()
    process = subprocess.Popen(command, preexec_fn=limited, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}:\n{errors.decode()[-3000:]}")
    return {
        "wall": round(time.perf_counter() - started, 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def step(name: str, folder: Path, times: int, source: Path | None, stretch: float = 0.0) -> dict[str, object]:
    """One step on one size."""
    dataset = folder / f"x{times}"
    with tempfile.TemporaryDirectory(dir=folder) as out:
        if name == "make":
            command = [sys.executable, __file__, "_make", str(source), str(dataset), "--times", str(times)]
            command += ["--stretch", str(stretch)]
        else:
            words = {"dataset": str(dataset), "first": str(source), "out": out}
            command = [sys.executable, "-m", "atomsight.cli.main", *(w.format(**words) for w in VERBS[name])]
        figures = measured(command)
    index = json.loads((dataset / "dataset.json").read_text())
    return {
        "step": name,
        "times": times,
        "crystals": index["crystals"],
        "sites": index["sites"],
        "megabytes": round(sum(f["bytes"] for f in index["files"].values()) / 1e6),
        **figures,
        "date": str(date.today()),
        "machine": platform.processor() or platform.machine(),
    }


def plot(results: Path, figure: Path) -> None:
    """Peak memory against sites, a line for each step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = [json.loads(line) for line in results.read_text().splitlines()]
    fig, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name in dict.fromkeys(r["step"] for r in records):
        points = sorted((r["sites"] / 1e6, r["peak_mb"] / 1e3) for r in records if r["step"] == name)
        label = "build, last step" if name == "make" else name
        axes.plot(*zip(*points, strict=True), "o-", label=label)
    axes.axhline(LIMIT / 1e9, color="black", linestyle=":", linewidth=1)
    axes.text(0.3, LIMIT / 1e9 * 0.97, "limit", va="top")
    axes.set(xlabel="million sites in the dataset", ylabel="peak resident memory, GB", xlim=0, ylim=0)
    axes.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, 0.93))
    fig.savefig(figure, dpi=150)


def reading(cifs: Path, folder: Path, times: int, count: int) -> dict[str, object]:
    """A whole build of copies of a folder, links to its files under names of their own: peak memory of the
    largest of its processes, each held to the limit."""
    files = sorted(path for path in cifs.rglob("*") if path.suffix == ".cif")
    copies = folder / "copies"
    for copy in range(times):
        (copies / str(copy)).mkdir(parents=True)
        for file in files:
            os.link(file, copies / str(copy) / f"{file.stem}-{copy}.cif")
    command = [sys.executable, "-m", "atomsight.cli.main", "dataset", "build", str(copies)]
    command += ["--out", str(folder / "built"), "-k", "24", "--workers", str(count)]
    process, most = subprocess.Popen(command, preexec_fn=limited, stdout=subprocess.DEVNULL), {}
    started = time.perf_counter()
    while process.poll() is None:
        for pid in (process.pid, *descendants(process.pid)):
            with contextlib.suppress(OSError, IndexError):
                status = Path(f"/proc/{pid}/status").read_text()
                most[pid] = int(status.split("VmHWM:")[1].split()[0]) // 1024
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    index = json.loads((folder / "built" / "dataset.json").read_text())
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = most.pop(process.pid)
    return {
        "step": "read",
        "times": times,
        "crystals": index["crystals"],
        "sites": index["sites"],
        "wall": round(time.perf_counter() - started, 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": first,
        "workers_peak_mb": max(most.values(), default=0),
        "date": str(date.today()),
    }


def descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that these started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def workers(cifs: Path, counts: list[int]) -> Iterator[dict[str, object]]:
    """Seconds of a build against the number of worker processes, compiled kernels in their cache."""
    from atomsight.dataset import build

    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            started, used = time.perf_counter(), time.process_time()
            summary = build(cifs, Path(folder) / f"w{count}", 24, executor=count if count > 1 else None)
            wall = time.perf_counter() - started
            yield {
                "workers": count,
                "crystals": summary.crystals,
                "sites": summary.sites,
                "wall": round(wall, 2),
                "crystals_per_second": round(summary.crystals / wall, 1),
                # What the one coordinating process spends, which bounds any number of workers.
                "coordinator_ms_per_crystal": round(1e3 * (time.process_time() - used) / summary.crystals, 3),
            }


def names(source: Path, times: list[int]) -> Iterator[dict[str, object]]:
    """Memory of what a build holds for all crystals at once, ids, groups and splits, against their number."""
    from atomsight.dataset import open_dataset
    from atomsight.dataset.finalise import _Names

    dataset = open_dataset(source)
    for count in times:  # ascending: the peak of a process never falls
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        held = _Names(Repeated(dataset, count), {})
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield {
            "names": len(held.ids),
            "groups": held.n_groups,
            "cpu": round(time.process_time() - started, 1),
            "peak_mb": round(peak / 1024),
            "grown_by_mb": round((peak - before) / 1024),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["make", "_make", "run", "plot", "names", "read", "workers"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[11])
    parser.add_argument("--stretch", type=float, default=0.0, help="share, for `make`")
    parser.add_argument("--step", choices=list(VERBS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "_make":
        make(chosen.paths[0], chosen.paths[1], chosen.times[0], chosen.stretch)
        return
    if chosen.what == "plot":
        plot(*chosen.paths)
        return
    if chosen.what == "workers":
        records = workers(chosen.paths[0], chosen.workers)
    elif chosen.what == "names":
        records = names(chosen.paths[0], chosen.times)
    elif chosen.what == "make":
        records = iter([step("make", chosen.paths[1], chosen.times[0], chosen.paths[0], chosen.stretch)])
    elif chosen.what == "read":
        records = iter([reading(*chosen.paths, chosen.times[0], chosen.workers[-1])])
    else:
        other = chosen.paths[1] if len(chosen.paths) > 1 else None
        records = iter([step(chosen.step, chosen.paths[0], chosen.times[0], other)])
    for record in records:
        line = json.dumps(record)
        print(line, flush=True)
        if chosen.results:
            with chosen.results.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
