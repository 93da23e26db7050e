"""Time and memory of `atomsight distances` on a dataset as large as the whole of the CSD's organics.

    python benchmarks/distances.py FOLDER [--rows 20000000] [-k 24] [--threads 2] [--repeat 2]

A dataset is generated in FOLDER, unless it is there already: random distances whose first neighbours follow
the peaks of organic crystals, with shards and row groups of the default size. Each query runs in a process of
its own. Its peak resident memory is that of the whole process, with Python and libraries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SHARD_ROWS = 1_000_000
ELEMENTS = np.array([6, 1, 8, 7, 16, 9, 17, 30, 29, 14], dtype=np.uint8)
ABUNDANCE = np.array([0.40, 0.36, 0.10, 0.07, 0.02, 0.015, 0.015, 0.01, 0.005, 0.005])
QUERIES = (
    ("nearest, four elements", ["--elements", "C,H,N,O"]),
    ("nearest, all elements", ["--elements", "all"]),
    ("first four, four elements", ["--elements", "C,H,N,O", "--neighbour", "1-4"]),
    ("all 24, four elements", ["--elements", "C,H,N,O", "--neighbour", "any"]),
)


def shard(seed: int, rows: int, k: int, first_crystal: int) -> pa.Table:
    """Generate random sites of crystals of 40 sites each."""
    from atomsight.dataset.schema import BOND, SPLITS, sites_schema

    rng = np.random.default_rng(seed)
    crystal = first_crystal + np.arange(rows) // 40
    first = np.choose(
        rng.choice(4, rows, p=[0.5, 0.05, 0.35, 0.1]),
        [rng.normal(mean, 0.02, rows) for mean in (0.95, 1.2, 1.39, 1.52)],
    )
    steps = rng.exponential(0.15, (rows, k)).astype(np.float32)
    steps[:, 0] = first
    elements = rng.choice(ELEMENTS, (rows, k + 1), p=ABUNDANCE)
    columns = {
        "crystal": pa.array(np.char.mod("C%07d", crystal)),
        "site": pa.array((np.arange(rows) % 40).astype(np.uint32)),
        "label": pa.array(np.char.mod("A%d", np.arange(rows) % 40)),
        "element": pa.array(elements[:, k]),
        "multiplicity": pa.array(rng.choice(np.array([1, 2, 4, 8], dtype=np.uint16), rows)),
        "distances": pa.FixedSizeListArray.from_arrays(pa.array(np.cumsum(steps, axis=1).ravel()), k),
        "neighbours": pa.FixedSizeListArray.from_arrays(
            pa.array(rng.integers(0, 40, rows * k, dtype=np.uint32)), k
        ),
        "neighbour_elements": pa.FixedSizeListArray.from_arrays(pa.array(elements[:, :k].ravel()), k),
        "directions": pa.FixedSizeListArray.from_arrays(
            pa.array(rng.integers(-127, 128, rows * 3 * k, dtype=np.int8)), 3 * k
        ),
        "bonds": pa.ListArray.from_arrays(np.zeros(rows + 1, np.int32), pa.array([], BOND)),
        "split": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(SPLITS)),
    }
    return pa.table(columns, schema=sites_schema(k))


def generate(folder: Path, rows: int, k: int) -> None:
    """Write a dataset with all rows in the train split."""
    from atomsight.dataset.schema import (
        CRYSTALS_SCHEMA,
        INDEX_NAME,
        ROW_GROUP_ROWS,
        SCHEMA_NAME,
        SCHEMA_VERSION,
        SKIPPED_SCHEMA,
    )

    (folder / "sites").mkdir(parents=True)
    counts = np.zeros(256, dtype=np.int64)
    files = {}
    for index, start in enumerate(range(0, rows, SHARD_ROWS)):
        table = shard(index, min(SHARD_ROWS, rows - start), k, start // 40)
        counts += np.bincount(table.column("element").to_numpy(), minlength=256)
        files[f"sites/train-{index:05d}.parquet"] = len(table)
        pq.write_table(
            table,
            folder / f"sites/train-{index:05d}.parquet",
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            use_dictionary=["crystal", "label", "element", "multiplicity", "split"],
            column_encoding={"distances.list.element": "BYTE_STREAM_SPLIT"},
        )
    for name, schema in (("crystals", CRYSTALS_SCHEMA), ("skipped", SKIPPED_SCHEMA)):
        pq.write_table(pa.Table.from_pylist([], schema=schema), folder / f"{name}.parquet")
        files[f"{name}.parquet"] = 0
    none = {"crystals": 0, "sites": 0, "elements": {}}
    elements = {str(z): int(counts[z]) for z in np.flatnonzero(counts)}
    index_record = {
        "schema": {"name": SCHEMA_NAME, "version": SCHEMA_VERSION},
        "k": k,
        "crystals": -(-rows // 40),
        "sites": rows,
        "skipped": {},
        "splits": {
            "train": {"crystals": -(-rows // 40), "sites": rows, "elements": elements},
            "val": none,
            "test": none,
        },
        "build": {"sources": [], "k": k},
        "files": {
            name: {"rows": count, "bytes": (folder / name).stat().st_size, "sha256": ""}
            for name, count in files.items()
        },
    }
    text = json.dumps(index_record)
    index_record["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / INDEX_NAME).write_text(json.dumps(index_record))


def measure(folder: Path, options: list[str], threads: int) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak resident MB of one command."""
    command = [sys.executable, "-m", "atomsight.cli.main", "distances", str(folder), *options]
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    start = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--threads", str(threads)],
        check=True,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, int(done.stdout) / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the generated dataset")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("-k", type=int, default=24)
    parser.add_argument("--threads", type=int, default=min(len(os.sched_getaffinity(0)), 4))
    parser.add_argument("--repeat", type=int, default=2, help="number of runs, of which the fastest is taken")
    arguments = parser.parse_args()
    if not (arguments.folder / "dataset.json").exists():
        generate(arguments.folder, arguments.rows, arguments.k)
    size = sum(path.stat().st_size for path in arguments.folder.rglob("*.parquet"))
    rows = json.loads((arguments.folder / "dataset.json").read_text())["sites"]

    import duckdb

    print(
        f"{date.today()}  {platform.machine()}, {arguments.threads} threads, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )
    print(f"{rows:,} rows, k = {arguments.k}, {size / 1e9:.1f} GB of Parquet\n")
    print("| query | wall, s | CPU, s | peak memory, MB |")
    print("|---|---|---|---|")
    for name, options in QUERIES:
        runs = [measure(arguments.folder, options, arguments.threads) for _ in range(arguments.repeat)]
        wall, cpu, memory = min(r[0] for r in runs), min(r[1] for r in runs), max(r[2] for r in runs)
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
