"""Training on a dataset several times larger than the memory that the process may have.

    python benchmarks/out_of_core.py DATASET --scratch DIR [--times 1 4 16] [--limit 1.5]
        [--masked-site MINUTES]

The train shards of a dataset are repeated (as hard links) until they are so many times as large. A process
of its own trains a two-stage model for one epoch of each stage under RLIMIT_DATA, the limit on private
writable memory, and reads one epoch of whole crystals as the masked-site model does; the most memory that it
had in use is printed. With ``--masked-site`` that model is trained instead, for so many minutes: an epoch
would take hours, and what a step holds does not change after the first ones. `held` is what the train rows
that are read would take up as arrays.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from masked_site import print_row

GIB = 2**30

ENVIRONMENT = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
"""Allocators that set address space aside beforehand would count against the limit what nobody uses."""

COLUMNS = ("distances", "directions", "neighbours", "site", "element")


def repeated(dataset: Path, times: int, out: Path) -> None:
    """Make a dataset whose train split holds the train shards so many times over."""
    index = json.loads((dataset / "dataset.json").read_text())
    (out / "sites").mkdir(parents=True)
    shards = sorted(name for name in index["files"] if name.startswith("sites/train-"))
    for name in index["files"]:
        linked(dataset / name, out / name)
    for number in range(len(shards), times * len(shards)):
        source, name = shards[number % len(shards)], f"sites/train-{number:05d}.parquet"
        linked(dataset / source, out / name)
        index["files"][name] = index["files"][source]
    train = index["splits"]["train"]
    train["sites"] *= times
    train["elements"] = {z: times * n for z, n in train["elements"].items()}
    index["fingerprint"] = f"{index['fingerprint']} x {times}"
    (out / "dataset.json").write_text(json.dumps(index))


def linked(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def train(dataset: Path, run: Path, limit: int, minutes: float | None) -> None:
    """What the process of its own does; prints JSON."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import threading

    most = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            status = Path("/proc/self/status").read_text()
            most = max(most, int(status.split("RssAnon:")[1].split()[0]))

    threading.Thread(target=watch, daemon=True).start()
    from atomsight.core.progress import Progress
    from atomsight.dataset import open_dataset
    from atomsight.training import Hardware, Settings, train_model

    opened = open_dataset(dataset)
    begun = time.process_time()
    settings = Settings(k=10, elements="twenty", epochs=1, batch_size=16384)
    accuracy = float("nan")
    if minutes is None:
        model = train_model(opened, run, settings, hardware=Hardware(threads=1))
        accuracy = model.metadata["val"]["accuracy"]
    else:
        settings = Settings(model="masked-site", k=16, elements="all", epochs=1)
        first = None

        def end(progress: Progress) -> None:
            nonlocal first
            first = first or time.monotonic()
            if time.monotonic() - first > 60 * minutes:
                raise TimeoutError

        with contextlib.suppress(TimeoutError):
            train_model(opened, run, settings, hardware=Hardware(threads=1), progress=end)
    seconds, training = time.process_time() - begun, most
    rows = opened.n_sites("train")
    if minutes is None:
        read = opened.batches(COLUMNS, split="train", batch_size=4096, shuffle=0, whole_crystals=True)
        rows = sum(len(batch["site"]) for batch in read)
    ended.set()
    result = {"training": training, "reading": most, "seconds": seconds, "rows": rows}
    print(json.dumps({**result, "accuracy": accuracy}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--scratch", type=Path, required=True, help="an empty folder for the large datasets")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--limit", type=float, default=1.5, help="GiB of private writable memory")
    parser.add_argument("--masked-site", type=float, metavar="MINUTES")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    limit = int(arguments.limit * GIB)
    if arguments.run is not None:
        train(arguments.dataset, arguments.run, limit, arguments.masked_site)
        return
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}; limit {limit / GIB:g} GiB\n")
    sizes = ["held, GiB", "most in training, GiB", "most in reading, GiB"]
    print_row(["times", "train sites", *sizes, "accuracy", "CPU s"])
    print_row(["---"] * 7)
    for times in arguments.times:
        folder = arguments.scratch / f"times-{times}"
        repeated(arguments.dataset, times, folder)
        command = [sys.executable, __file__, str(folder), "--scratch", str(arguments.scratch)]
        command += ["--run", str(folder / "run"), "--limit", str(arguments.limit)]
        if arguments.masked_site is not None:
            command += ["--masked-site", str(arguments.masked_site)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        if done.returncode:
            sys.exit(done.stderr)
        result = json.loads(done.stdout.splitlines()[-1])
        k = json.loads((folder / "dataset.json").read_text())["k"]
        held = result["rows"] * (k * (4 + 4) + 4 + 1)
        print_row(
            [
                str(times),
                f"{result['rows']:,}",
                f"{held / GIB:.2f}",
                f"{result['training'] * 1024 / GIB:.2f}",
                f"{result['reading'] * 1024 / GIB:.2f}",
                f"{result['accuracy']:.4f}",
                f"{result['seconds']:.0f}",
            ]
        )
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
