"""Elements under a formula that is complete, leaves out the hydrogens, or names more than the sites hold.

    python benchmarks/formula.py DATASET [--split test] [--share 0.05]

The formula is that of a crystal's own sites, divided by the greatest common divisor, so that the number of
units is to be found. `sites without H` strikes the hydrogens from sites and neighbours and keeps them in the
formula; `a site missing` strikes one site other than hydrogen from the list, its neighbours still see it.
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import date
from math import gcd
from zlib import crc32

import numpy as np

from atomsight.core.errors import InputError
from atomsight.dataset import open_dataset
from atomsight.models import load_model
from atomsight.models.composition.formula import fit_formula
from masked_site import COLUMNS, Batch, print_row, without_hydrogens

CASES = ("complete", "formula without H", "sites without H", "a site missing")


def crystals_of(batch: Batch, share: float) -> list[Batch]:
    """The batch's crystals, a share of them by the hash of their names."""
    starts = np.flatnonzero(batch["site"] == 0)
    parts = []
    for start, end in zip(starts, np.append(starts[1:], len(batch["site"])), strict=True):
        if crc32(str(batch["crystal"][start]).encode()) < share * 2**32:
            parts.append({name: values[start:end] for name, values in batch.items()})
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", default="masked-site")
    parser.add_argument("--split", default="test")
    parser.add_argument("--share", type=float, default=0.05)
    arguments = parser.parse_args()
    dataset, model = open_dataset(arguments.dataset), load_model(arguments.model, threads=1)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}\n")
    tally = {case: np.zeros(6) for case in CASES}
    for batch in dataset.batches(COLUMNS, split=arguments.split, whole_crystals=True):
        for crystal in crystals_of(batch, arguments.share):
            element, copies = crystal["element"], crystal["multiplicity"].astype(np.int64)
            heavy = element != 1
            if not np.isin(element, model.elements).all() or heavy.all() or heavy.sum() < 2:
                continue
            blind = model.probabilities({name: crystal[name] for name in model.columns})
            bare = without_hydrogens(crystal)
            blind_bare = model.probabilities({name: bare[name] for name in model.columns})
            counts = {int(z): int(copies[element == z].sum()) for z in np.unique(element)}
            units = gcd(*counts.values())
            formula = {z: n / units for z, n in counts.items()}
            without = {z: n for z, n in counts.items() if z != 1}
            units_without = gcd(*without.values())
            all_but_one = np.arange(len(element)) != np.flatnonzero(heavy)[0]
            everything = np.ones(len(element), dtype=bool)
            cases = {
                "complete": (formula, blind, everything, units),
                "formula without H": (
                    {z: n / units_without for z, n in without.items()},
                    blind,
                    everything,
                    units_without,
                ),
                "sites without H": (formula, blind_bare, heavy, units),
                "a site missing": (formula, blind, all_but_one, units),
            }
            for case, (given, answer, rows, true_units) in cases.items():
                begun = time.process_time()
                try:
                    fit = fit_formula(given, model.elements, answer[rows], copies[rows])
                    right, found = fit.numbers == element[rows], fit.units == true_units
                except InputError:
                    right, found = np.zeros(int(rows.sum()), dtype=bool), False
                seconds = time.process_time() - begun
                tally[case] += [1, len(right), right.sum(), right.all(), found, seconds]
    print(f"Crystals that hold hydrogen and at least two other sites, {arguments.share:.0%} of the split.\n")
    print_row(["given", "crystals", "sites", "right", "crystals all right", "units found", "ms a crystal"])
    print_row(["---"] * 7)
    for case, (crystals, sites, right, whole, found, seconds) in tally.items():
        n = max(crystals, 1)
        shares = [f"{right / max(sites, 1):.4f}", f"{whole / n:.3f}", f"{found / n:.3f}"]
        print_row([case, f"{crystals:.0f}", f"{sites:,.0f}", *shares, f"{1000 * seconds / n:.0f}"])


if __name__ == "__main__":
    main()
