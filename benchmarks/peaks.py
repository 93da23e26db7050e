"""Tables of the peaks of neighbour distances in datasets.

    python benchmarks/peaks.py DATASET... [--pairs C-C,C-N,N-C,...] [--neighbour 1] [--resolution 0.01]

Each DATASET is a folder that `atomsight dataset build` wrote. Every symmetry-unique site counts once.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

PAIRS = "C-C,C-N,N-C,C-O,O-C,C-H,H-C,O-H,N-N"


def main() -> None:
    """Count, find and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DATASET")
    parser.add_argument("--pairs", default=PAIRS, help="ordered pairs, centre first")
    parser.add_argument("--neighbour", default="1", help="1, a range such as 1-3, or any")
    parser.add_argument("--resolution", type=float, default=0.01, help="Å")
    arguments = parser.parse_args()

    from atomsight.analyse import count_distances, parse_ranks, summarise_pairs
    from atomsight.core.elements import atomic_number
    from atomsight.dataset import open_dataset

    pairs = arguments.pairs.split(",")
    print(f"{date.today()}, neighbour {arguments.neighbour}, resolution {arguments.resolution:g} Å")
    for path in arguments.datasets:
        dataset = open_dataset(path)
        centres = tuple(dict.fromkeys(atomic_number(pair.split("-")[0]) for pair in pairs))
        counts = count_distances(dataset, centres, parse_ranks(arguments.neighbour, dataset.k))
        summaries = summarise_pairs(counts, resolution=arguments.resolution)
        found = {str(summary.pair): summary for summary in summaries}
        print(f"\n{path.name}: {dataset.n_crystals:,} crystals, {dataset.n_sites():,} sites\n")
        print("| pair | sites | share of centre | peak, Å | FWHM, Å | share of pair | bond type |")
        print("|---|---|---|---|---|---|---|")
        for name in pairs:
            summary = found[name]
            head = f"| {name} | {summary.sites:,} | {100 * summary.share:.1f} % "
            for peak, bond in summary.peaks:
                size = f"| {peak.position:.3f} | {peak.width:.3f} | {100 * peak.share:.1f} % | {bond or ''} |"
                print(head + size)
                head = "| | | "


if __name__ == "__main__":
    main()
