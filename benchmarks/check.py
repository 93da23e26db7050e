"""Measure how well `check` finds a swapped element, in crystals that were not used in training.

    python benchmarks/check.py DATASET... [--split test] [--crystals 400] [--kinds 60] [--minutes 7]

The element of one orbit of each crystal is swapped: of any swappable orbit (the row "any"), and for each pair
of elements on crystals that hold one of them. The table states how often the swapped orbit is the most
suspicious one of its crystal, how often it is flagged, the share of unchanged crystals with a flag, and how
often it would be flagged at the threshold that flags two in a hundred of these crystals. "Without hydrogens"
means that their sites are removed, also from the neighbours; the last neighbour is repeated if fewer than k
remain.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import defaultdict
from datetime import date

import numpy as np

from atomsight.check.reference import FLAGGED, MODEL, load_calibration
from atomsight.check.suspicion import CheckInput, score_sites
from atomsight.core.elements import NUMBERS
from atomsight.dataset import open_dataset
from atomsight.geometry.bonds.radii import METAL
from atomsight.geometry.crystal_class import weights_class
from atomsight.models import load_model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from workshop.calibrate_check import sample, without_hydrogen
from workshop.swaps import SWAPS, random_swap

BY_DEFINITION = 0.02
"""Share of the correct crystals that are flagged at the threshold of the last column."""


def class_of(element: np.ndarray, reference_class: str) -> str:
    """Return inorganic, with carbon and metal (frameworks and molecules), or organic."""
    if reference_class == "inorganic":
        return reference_class
    return "with carbon and metal" if METAL[element].any() else "organic"


class Table:
    """Counts by row."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)
        self.correct: dict[str, list[float]] = defaultdict(list)

    def show(self, title: str) -> None:
        """Print as Markdown."""
        heads = "crystals | swap | n | most suspicious | flagged | correct ones flagged | at 2 %"
        print(f"\n{title}\n\n| {heads} |")
        print("|---|---|---|---|---|---|---|")
        for (group, swap), hits in sorted(self.rows.items(), key=lambda item: (item[0][1] != "any", item[0])):
            top, suspicion = np.mean([top for top, _ in hits]), np.array([value for _, value in hits])
            right = np.sort(self.correct[group])
            limit = right[len(right) - 1 - int(BY_DEFINITION * len(right))]
            told = f"{(right >= FLAGGED).mean():.4f} ({len(right)})" if swap == "any" else ""
            flagged, allowed = (suspicion >= FLAGGED).mean(), (suspicion > limit).mean()
            print(f"| {group} | {swap} | {len(hits)} | {top:.3f} | {flagged:.3f} | {told} | {allowed:.3f} |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--crystals", type=int, default=400, help="of each dataset")
    parser.add_argument("--kinds", type=int, default=60, help="crystals of each kind of swap")
    parser.add_argument("--minutes", type=float, default=7.0, help="stop after so long")
    parser.add_argument("--model", default=None)
    parser.add_argument("--calibration", default=None, help="else the one that ships")
    options = parser.parse_args()
    model = load_model(options.model or MODEL, threads=1)
    assert isinstance(model, MaskedSiteModel)
    network = Plausibility(threads=1)
    calibration = load_calibration(model, network, options.calibration)
    print(f"{date.today()}, {platform.machine()}, {model!r}, split {options.split}")
    begun = time.monotonic()
    for name in options.datasets:
        dataset = open_dataset(name)
        crystals = [
            c
            for c in sample(dataset, options.split, options.crystals)
            if np.isin(c["element"], model.elements).all()
        ]
        for title, change in (("as they are", lambda c: c), ("without hydrogens", without_hydrogen)):
            generator = np.random.default_rng(7)
            table, times = Table(), []
            kinds_done: dict[tuple[str, str], int] = defaultdict(int)
            for held in crystals:
                if time.monotonic() - begun > 60 * options.minutes:
                    print(f"stopped after {options.minutes} minutes")
                    break
                crystal = change(held)
                given = CheckInput.of(model, crystal)
                element, found_class = given.element, given.reference_class
                weights = calibration.weights[weights_class(found_class)]
                suspicion = calibration.references[found_class].suspicion
                started = time.process_time()
                found = score_sites(model, given, weights, network)
                times.append((time.process_time() - started, len(element)))
                worst = float(suspicion(found.score).max())
                groups = ("all", class_of(element, found_class))
                for group in groups:
                    table.correct[group].append(worst)
                swaps: list[tuple[str, tuple[int, int] | None]] = [("any", None)]
                if title == "as they are":
                    swaps += [
                        (f"{a}/{b}", (NUMBERS[a], NUMBERS[b]))
                        for a, b in SWAPS
                        if kinds_done[a, b] < options.kinds
                    ]
                for swap, pair in swaps:
                    drawn = random_swap(element, generator, pair)
                    if drawn is None:
                        continue
                    if pair is not None:
                        kinds_done[tuple(swap.split("/"))] += 1
                    site, new = drawn
                    changed = given.with_element(site, new)
                    there = score_sites(model, changed, weights, network, blind=found.blind)
                    hit = int(there.score.argmax()) == site, float(suspicion(there.score)[site])
                    for group in groups if swap == "any" else ("all",):
                        table.rows[group, swap].append(hit)
            table.show(f"{dataset.path.name}, {title}")
            if times:
                seconds = np.array(times)
                large = seconds[(seconds[:, 1] >= 80) & (seconds[:, 1] <= 120), 0]
                mean, sites = seconds.mean(axis=0)
                print(f"\n{1000 * mean:.1f} ms of CPU a crystal of {sites:.0f} sites")
                if len(large):
                    print(f"{1000 * np.median(large):.0f} ms is the median of those of 80 to 120 sites")


if __name__ == "__main__":
    main()
