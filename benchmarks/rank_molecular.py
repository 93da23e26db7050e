"""Landscapes of molecular crystals in order: where the candidates that match an experiment stand.

    python benchmarks/rank_molecular.py FOLDER... --match NAME...

Each FOLDER holds the relaxed CIFs of one landscape at one level of theory; matches are file names without
suffix. Beside the score of `atomsight.rank` stand what it is made of and density alone. No energy is read.
What the contacts are made of was designed with two of these landscapes in sight (aspirin, Target I), so
their ranks are not blind.
"""

from __future__ import annotations

import argparse
import platform
from datetime import date
from pathlib import Path

import numpy as np

from atomsight import read
from atomsight.rank.features import FEATURES, NAMES
from atomsight.rank.rank import Ranker

MOLECULAR = ("contacts", "packing", "clash", "unmet", "cohesion")
"""What the score of a molecular crystal is made of; clashes and unmet donors count against it."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--match", nargs="+", required=True)
    options = parser.parse_args()
    ranker = Ranker(threads=1)
    print(f"{date.today()}, {platform.machine()}, model {ranker.model.fingerprint[:12]}\n")
    print("| landscape | candidates | match | score | " + " | ".join(MOLECULAR) + " | density |")
    print("|---" * (5 + len(MOLECULAR)) + "|")
    for folder in options.folder:
        crystals = list(read(folder))
        features = ranker.extractor.features(crystals)
        columns = [ranker.combination.scores(features.classes, features.values)]
        for name in MOLECULAR:
            place = NAMES.index(name)
            columns.append(FEATURES[place].sign * features.values[:, place])
        columns.append(np.array([len(crystal.fractional) / crystal.volume for crystal in crystals]))
        names = [crystal.name for crystal in crystals]
        for match in (name for name in options.match if name in names):
            at = names.index(match)
            ranks = [f"{int((column > column[at]).sum()) + 1}" for column in columns]
            print(f"| {'/'.join(folder.parts[-2:])} | {len(names)} | {match[:6]} | {' | '.join(ranks)} |")


if __name__ == "__main__":
    main()
