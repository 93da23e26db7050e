"""Memory and time of every step over a dataset against its size, each in a process held to 2 GB.

    python benchmarks/scale.py make DATASET FOLDER --times 11        DATASET's rows eleven times, FOLDER/x11
    python benchmarks/scale.py run FOLDER --times 11 --step distances --results results.jsonl
    python benchmarks/scale.py plot results.jsonl scale.png
    python benchmarks/scale.py names DATASET --times 1 11
    python benchmarks/scale.py workers FOLDER_OF_CIFS --workers 1 2 --results workers.jsonl

`make` is the last step of a build, from rows to shards: ids, groups, splits, checksums; it is measured like
the others. The copies have ids, families and formulas of their own, so that there are as many groups as in a
real dataset of that size. The limit is the kernel's own on private memory (RLIMIT_DATA); reported is the
largest resident set, which counts the pages of files that are mapped too.
"""

from __future__ import annotations

import argparse
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

    def __init__(self, dataset: object, times: int) -> None:
        self._dataset = dataset
        self._times = times

    def _copies(self) -> Iterator[tuple[str, object]]:
        from atomsight.dataset.existing import ExistingParts

        for copy in range(self._times):
            yield f" {copy}" if copy else "", ExistingParts([self._dataset])

    def _named(self, crystals: object, mark: str) -> object:
        import pyarrow as pa
        import pyarrow.compute as pc

        for name in ("crystal", "family", "formula"):
            column = pc.binary_join_element_wise(crystals.column(name), pa.scalar(mark), "")
            crystals = crystals.set_column(crystals.schema.get_field_index(name), name, column)
        return crystals

    def crystals(self) -> Iterator[object]:
        for mark, parts in self._copies():
            for table in parts.crystals():
                yield self._named(table, mark)

    def tables(self) -> Iterator[tuple[object, object, object]]:
        for mark, parts in self._copies():
            for crystals, skipped, sites in parts.tables():
                yield self._named(crystals, mark), skipped, sites


def make(source: Path, out: Path, times: int) -> None:
    """Write a dataset that holds another several times."""
    from atomsight.dataset import open_dataset
    from atomsight.dataset.finalise import finalise

    dataset = open_dataset(source)
    out.mkdir(parents=True)
    finalise(Repeated(dataset, times), out, dataset.metadata["build"])


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


def step(name: str, folder: Path, times: int, source: Path | None) -> dict[str, object]:
    """One step on one size."""
    dataset = folder / f"x{times}"
    with tempfile.TemporaryDirectory(dir=folder) as out:
        if name == "make":
            command = [sys.executable, __file__, "_make", str(source), str(dataset), "--times", str(times)]
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


def workers(cifs: Path, counts: list[int]) -> Iterator[dict[str, object]]:
    """Seconds of a build against the number of worker processes, compiled kernels in their cache."""
    from atomsight.dataset import build

    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            started, used = time.perf_counter(), time.process_time()
            summary = build(cifs, Path(folder) / f"w{count}", 24, workers=count)
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
    parser.add_argument("what", choices=["make", "_make", "run", "plot", "names", "workers"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[11])
    parser.add_argument("--step", choices=list(VERBS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--results", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "_make":
        make(chosen.paths[0], chosen.paths[1], chosen.times[0])
        return
    if chosen.what == "plot":
        plot(*chosen.paths)
        return
    if chosen.what == "workers":
        records = workers(chosen.paths[0], chosen.workers)
    elif chosen.what == "names":
        records = names(chosen.paths[0], chosen.times)
    elif chosen.what == "make":
        records = iter([step("make", chosen.paths[1], chosen.times[0], chosen.paths[0])])
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
