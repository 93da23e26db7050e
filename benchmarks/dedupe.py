"""How long the search for near-duplicates takes on a dataset, and what it finds.

    python benchmarks/dedupe.py DATASET [--tolerance 0.01 0.02]

DATASET is a folder that `atomsight dataset build` wrote. Times include reading the table twice.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import Counter
from datetime import date
from pathlib import Path

from atomsight import open_dataset
from atomsight.dataset.dedupe import near_duplicates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--tolerance", type=float, nargs="+", default=[0.01, 0.02])
    chosen = parser.parse_args()
    dataset = open_dataset(chosen.dataset)
    print(f"{date.today()}  {platform.machine()}, Python {platform.python_version()}")
    print(f"{dataset.n_crystals:,} crystals, {dataset.n_sites():,} sites, k = {dataset.k}\n")
    print("| tolerance, Å | pairs | same elements | exchanged | different elements | wall, s | CPU, s |")
    print("|---|---|---|---|---|---|---|")
    for tolerance in chosen.tolerance:
        wall, cpu = time.perf_counter(), time.process_time()
        pairs = near_duplicates(dataset, tolerance)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found = Counter(pair.relation for pair in pairs)
        kinds = " | ".join(
            f"{found[kind]:,}" for kind in ("same elements", "elements exchanged", "different elements")
        )
        print(f"| {tolerance:g} | {len(pairs):,} | {kinds} | {wall:.1f} | {cpu:.1f} |")


if __name__ == "__main__":
    main()
