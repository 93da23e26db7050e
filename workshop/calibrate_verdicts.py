"""Calibrate the comparison of candidates of one formula on real crystals among decoys.

    python -m workshop.calibrate_verdicts DATASET --small ARCHIVE ... --large ARCHIVE ...
        --molecular DATASET ARCHIVE [--leave-out FILE] [--model NAME] [--kinds CLASS ...]

Run it after ``calibrate_rank``; the result is written to the same file. Inorganic crystals and frameworks are
those of the ``val`` split, molecular crystals those of ``train`` and ``val``. Each class has its own random
numbers, so that several processes can calibrate one class each.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import CLASSES
from atomsight.io import iter_members
from atomsight.models import load_model
from atomsight.models.plausibility.inference import Networks
from atomsight.rank.calibration import FILE, MODEL, RankCalibration
from atomsight.rank.features import FeatureExtractor
from atomsight.rank.score import Limits
from workshop import calibrate_rank, decoys
from workshop.margins import Margins, archive_of, margins_of
from workshop.plausibility.examples import Bank, split_crystals
from workshop.plausibility.prototypes import same_prototype
from workshop.write_artefacts import write_artefacts

Pairs = Iterator[tuple[Crystal, list[Crystal]]]

DECOYS = {"molecular": 100, "framework": 60, "inorganic": 100}
"""Number of decoys per real crystal. There are more frameworks than other crystals."""

PRESSURE = re.compile(
    rb"^_(?:diffrn_ambient|cell_measurement)_pressure\s+([0-9]+(?:\.[0-9]+)?)", re.MULTILINE
)
"""Pressure in a CIF, kPa."""

TITLE = re.compile(rb"^_publ_section_title\s+(?:;(.*?)^;|(.*?)$)", re.MULTILINE | re.DOTALL)
"""Title of a CIF's paper. It is often the only mention of a high pressure."""

PRESSED = 10_000.0
"""kPa; molecular crystals measured at a higher pressure are left out. They are denser, and without the
pressure random packings can be more stable (beta-alanine at 6 GPa, COD 7219429, 10.1039/C4CE02550D)."""

DRAWS = {"inorganic": 3, "framework": 2}
"""Number of groups per real crystal of a class, each with new decoys; the default is 1. A threshold depends
on the lowest six or so margins, and thus on the best of their decoys."""

MOST_DRAWS = 10
"""Largest factor on `DRAWS` for crystals of small archives."""

TRIES = 3
"""Maximum number of tries per decoy."""

FOUND = {
    "molecular": ("molecular",),
    "framework": ("framework", "complex"),
    "inorganic": ("inorganic", "element"),
}
"""Verdict classes that the crystals of each class calibrate. Complexes are frameworks that are not found to
be infinitely connected."""


def mixed_decoys(
    crystal: Crystal,
    bank: Bank,
    wanted: int,
    generator: np.random.Generator,
    forms: Sequence[Crystal] = (),
    copies: bool = False,
) -> Iterator[Crystal]:
    """Make decoys of all kinds at the volume of a crystal.

    The kinds alternate: swapped elements, shifted atoms, strained cells, random packings, and geometries of
    other crystals. Candidates that would relax to the real crystal are not decoys and are left out: all with
    its prototype at any scale (`prototypes.same_prototype`). So are other known forms of the compound.

    Args:
        crystal: the real crystal.
        bank: other crystals by their stoichiometry.
        wanted: number of decoys, with at most `TRIES` times as many tries.
        generator: random numbers.
        forms: known crystals of the same formula.
        copies: whether to keep shifted and strained copies that differ little from the crystal.
    """
    templates = bank.get(decoys.stoichiometry(crystal), ())
    volume = crystal.volume / crystal.n_atoms
    count = 0
    for turn in range(TRIES * wanted):
        if count == wanted:
            return
        which = turn % (5 if templates else 4)
        decoy: Crystal | None
        if which == 0:
            decoy = decoys.swapped(crystal, generator, heavy=True)
        elif which == 1:
            decoy = decoys.shifted(crystal, generator, float(np.exp(generator.uniform(-2.5, -0.7))))
        elif which == 2:
            decoy = decoys.strained(crystal, generator, float(generator.uniform(0.04, 0.2)))
        elif which == 3:
            decoy = decoys.packed(crystal, generator)
        else:
            template = templates[int(generator.integers(len(templates)))]
            decoy = decoys.decorated(template, crystal, generator, volume)
        if decoy is None or not calibrate_rank.no_overlap(decoy):
            continue
        if (which in (0, 4) or (which in (1, 2) and not copies)) and same_prototype(decoy, crystal):
            continue
        if which == 4 and any(same_prototype(decoy, form) for form in forms):
            continue
        count += 1
        yield decoy


def by_formula(crystals: Iterable[Crystal]) -> dict[str, list[Crystal]]:
    """Group crystals by their formula."""
    found = defaultdict(list)
    for crystal in crystals:
        found[crystal.formula].append(crystal)
    return found


def groups_of(name: str, options: argparse.Namespace) -> Iterator[list[Crystal]]:
    """Yield the real crystals of a class, each followed by its decoys, if there are enough.

    Args:
        name: one of `CLASSES`.
        options: see `calibrate_rank.arguments`.
    """
    generator, wanted = np.random.default_rng([1, CLASSES.index(name)]), DECOYS[name]
    pairs = _molecular if name == "molecular" else _other
    for crystal, others in pairs(name, options, generator):
        if len(others) >= wanted // 2:
            yield [crystal, *others]


def _molecular(name: str, options: argparse.Namespace, generator: np.random.Generator) -> Pairs:
    pressed = under_pressure(options.molecular[1])
    for crystal, parts in calibrate_rank.molecular_archive(options):
        if crystal.n_atoms <= calibrate_rank.MOST_ATOMS and crystal.source.partition("#")[0] not in pressed:
            yield crystal, calibrate_rank.packings_of(crystal, parts, DECOYS[name], generator)


def _other(name: str, options: argparse.Namespace, generator: np.random.Generator) -> Pairs:
    archives, left = options.small if name == "inorganic" else options.large, calibrate_rank.left_out(options)
    crystals = list(split_crystals(options.dataset, archives, "val", left, options.most * 5, 1))
    bank = calibrate_rank.inorganic_bank(options) if name == "inorganic" else Bank()
    forms = by_formula(crystals) if bank else {}
    crystals = [crystal for crystal in crystals if crystal.n_atoms <= calibrate_rank.MOST_ATOMS]
    for crystal in repeated(crystals, DRAWS.get(name, 1)):
        known = forms.get(crystal.formula, ())
        yield crystal, list(mixed_decoys(crystal, bank, DECOYS[name], generator, known))


def repeated(crystals: Sequence[Crystal], times: int) -> Iterator[Crystal]:
    """Yield each crystal several times, crystals of small archives up to `MOST_DRAWS` times as often."""
    counts = Counter(archive_of(crystal) for crystal in crystals)
    for turn in range(MOST_DRAWS * times):
        for crystal in crystals:
            often = round(max(counts.values()) / counts[archive_of(crystal)])
            if turn < times * min(often, MOST_DRAWS):
                yield crystal


def under_pressure(archive: Path) -> frozenset[str]:
    """Find the CIFs with a pressure above `PRESSED`, or with pressure in the title."""
    found = []
    for member in iter_members(archive):
        pressure, title = PRESSURE.search(member.data), TITLE.search(member.data)
        if (pressure and float(pressure[1]) > PRESSED) or (title and b"pressure" in title[0].lower()):
            found.append(member.source)
    return frozenset(found)


def write(found: dict[str, Margins], path: Path) -> None:
    """Write margins to the file of the calibration; verdict classes without crystals keep theirs."""
    held = RankCalibration.read(path)
    for name, one in found.items():
        if one.margins:
            # Molecular scores stay: calibrate_rank computed them with contacts of the other folds.
            scores = held.limits[name].scores if name == "molecular" else one.balanced(one.scores)
            held.limits[name] = Limits(scores, one.balanced(one.margins), one.group_size)
    held.save(path)


def main() -> None:
    """Run the command line."""
    parser = calibrate_rank.arguments(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=CLASSES, default=CLASSES)
    options = parser.parse_args()
    model = load_model(options.model or MODEL, threads=1)
    calibration = RankCalibration.read(options.out)
    extractor = FeatureExtractor(model, Networks(threads=1), calibration.tables)
    combination = calibration.combination(relaxed=True)
    for crystal_class in options.kinds:
        margins = margins_of(groups_of(crystal_class, options), extractor, combination)
        found = {name: margins[name] for name in FOUND[crystal_class]}
        write(found, options.out)
        for name, one in found.items():
            compounds = len(one.balanced(one.margins))
            print(f"{name}: {len(one.margins)} margins, of {compounds} compounds", flush=True)
    if options.out == FILE:
        write_artefacts()
    limits = RankCalibration.read(options.out).combination(relaxed=True).margin_thresholds(0.005)
    print("limits at 0.5 %:", {name: limit and round(limit, 3) for name, limit in limits.items()})


if __name__ == "__main__":
    main()
