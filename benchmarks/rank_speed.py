"""Candidates a second of processor time, from the bytes of a CIF to the score, on one core.

    python benchmarks/rank_speed.py ARCHIVE ... [--sites 40 60] [--most 300] [--relaxed]

Only crystals with a number of sites in the range given are timed.
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np

from atomsight.io import crystals_of, iter_members
from atomsight.rank.rank import Ranker


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--sites", type=int, nargs=2, default=(40, 60))
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--relaxed", action="store_true", help="as `atomsight rank --relaxed` does")
    given = parser.parse_args()
    ranker = Ranker(relaxed=given.relaxed, threads=1)
    print(f"{date.today()}, {platform.machine()}\n\n| archive | candidates | sites | atoms | a second |")
    print("|---|---|---|---|---|")
    for archive in given.archives:
        held, sites, atoms = [], [], []
        for member in iter_members(archive):
            for crystal in crystals_of(member):
                if given.sites[0] <= crystal.n_sites <= given.sites[1]:
                    held.append(member)
                    sites.append(crystal.n_sites)
                    atoms.append(crystal.n_atoms)
            if len(held) >= given.most:
                break
        if not held:
            print(f"| {archive.name} | 0 | | | |")
            continue
        for _ in ranker.stream(crystals_of(held[0])):
            pass
        began = time.process_time()
        files = (crystal for member in held for crystal in crystals_of(member))
        count = sum(1 for _ in ranker.stream(files))
        rate = count / (time.process_time() - began)
        print(
            f"| {archive.name} | {count} | {np.mean(sites):.0f} | {np.mean(atoms):.0f} | {rate:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
