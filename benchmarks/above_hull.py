"""Inorganic crystals that are unstable: do rank and check, which know no energies, tell?

    pip download --no-deps --no-binary matminer matminer==0.4.0
    export PYTHONPATH=.    # for the package workshop
    python benchmarks/above_hull.py matminer-0.4.0.tar.gz DATASET --small ARCHIVE [--splits val test]

The source distribution of matminer 0.4.0 (BSD licence, Lawrence Berkeley National Laboratory) holds the
energies above the convex hull of 3,938 entries of the Materials Project (Faber et al. 2015,
10.1002/qua.24917; Jain et al. 2013, 10.1063/1.4812323, CC BY 4.0). Crystals of ARCHIVE are found in it by
their ids. Those far above the hull either were never made or are not what their entry says. For each limit:
the chance that a crystal above it is judged worse than one within it (area under the receiver's curve), by
the score of `atomsight rank --relaxed`, each crystal by itself, by the suspicion and by the mean
log-likelihood of `atomsight check`. With `--stable FOLDER` the archives are only copied there, under their
names, without the entries that are known to lie more than 0.1 eV above: to train on.
"""

from __future__ import annotations

import argparse
import csv
import io
import platform
import tarfile
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from atomsight import check
from atomsight.rank.rank import Ranker
from workshop.plausibility.examples import split_crystals

LIMITS = (0.05, 0.1, 0.2, 0.5)
"""eV an atom."""

UNSTABLE = 0.1
"""The same, of entries that are not to be learnt from."""

TABLE = "datasets/flla_2015.csv"


def energies(package: Path) -> dict[str, float]:
    """Energy above the hull, eV an atom, by Materials Project id."""
    with tarfile.open(package) as archive:
        member = next(name for name in archive.getnames() if name.endswith(TABLE))
        file = archive.extractfile(member)
        assert file is not None
        text = file.read().decode()
    csv.field_size_limit(2**30)
    if text.startswith("# ref"):
        text = text.partition("\n")[2]
    lines = csv.reader(io.StringIO(text))
    header = next(lines)
    rows = (dict(zip(header, line[len(line) - len(header) :], strict=True)) for line in lines)
    return {row["material_id"]: float(row["e_above_hull"]) for row in rows}


def area(bad: NDArray, good: NDArray) -> float:
    """Chance that one of the first is below one of the second."""
    return float((bad[:, None] < good).mean() + 0.5 * (bad[:, None] == good).mean())


def without(archive: Path, names: set[str], folder: Path) -> int:
    """Copy an archive of CIFs into a folder but for those of these names; how many are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    left = 0
    with tarfile.open(archive) as old, tarfile.open(folder / archive.name, "x:xz", preset=1) as new:
        for member in old:
            if Path(member.name).stem in names:
                left += 1
            else:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return left


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("package", type=Path, help="matminer-0.4.0.tar.gz")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--splits", nargs="+", default=["val", "test"])
    parser.add_argument("--show", type=int, default=10, help="crystals above 0.1 eV, the worst score first")
    parser.add_argument("--stable", type=Path, metavar="FOLDER", help="copy the archives and stop")
    given = parser.parse_args()
    known = energies(given.package)
    if given.stable is not None:
        unstable = {name for name, energy in known.items() if energy > UNSTABLE}
        for archive in given.small:
            print(f"{archive.name}: {without(archive, unstable, given.stable)} entries left out")
        return
    ranker = Ranker(relaxed=True, threads=1)
    print(f"{date.today()}, {platform.machine()}, model {ranker.model.fingerprint[:12]}\n")
    header = ("split", "above", "crystals above", "within", "rank", "check: suspicion", "check: likelihood")
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    worst, orders = [], []
    for split in given.splits:
        crystals = [c for c in split_crystals(given.dataset, given.small, split) if c.name in known]
        checked = list(check(crystals, threads=1))
        crystals = [one.crystal for one in checked]
        energy = np.array([known[crystal.name] for crystal in crystals])
        score = np.array([entry.score for entry in ranker.stream(crystals)])
        judged = (
            score,
            -np.array([one.score for one in checked]),
            np.array([one.likelihood for one in checked]),
        )
        for limit in LIMITS:
            above = energy > limit
            areas = " | ".join(f"{area(by[above], by[~above]):.3f}" for by in judged)
            print(f"| {split} | {limit:g} eV | {above.sum()} | {(~above).sum()} | {areas} |")
        orders.append(f"{split} " + ", ".join(f"{spearmanr(by, -energy).statistic:.2f}" for by in judged))
        worst += list(zip(score, energy, crystals, strict=True))
    print(f"\nSpearman with minus the energy: {'; '.join(orders)}")
    for score, energy, crystal in sorted(worst, key=lambda one: one[0])[: given.show]:
        print(f"score {score:.1f}, {energy:.2f} eV above: {crystal.formula} ({crystal.name})")


if __name__ == "__main__":
    main()
