"""Find how real crystals stand beside decoys of their formula: what verdicts among many candidates go by.

    python -m workshop.calibrate_verdicts DATASET --small ARCHIVE ... --large ARCHIVE ...
        --molecular DATASET ARCHIVE [--leave-out FILE] [--model NAME] [--kinds KIND ...]

After ``calibrate_rank``, in whose file the result is written. Inorganic crystals and frameworks are those of
the ``val`` split, molecular crystals those of ``train`` and ``val``. Each kind draws from a generator of its
own, so that they may be found side by side, each by a process of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import CLASSES
from atomsight.io import iter_members
from atomsight.models import load_model
from atomsight.models.plausibility.inference import Networks
from atomsight.rank.calibration import FILE, MODEL, Limits, RankCalibration
from workshop import decoys
from workshop.calibrate_rank import MOST_ATOMS, Judge, apart, arguments, molecular, packings_of
from workshop.margins import Beside, archive_of, beside
from workshop.plausibility.examples import Bank, bank_of, split_crystals
from workshop.plausibility.prototypes import same_prototype
from workshop.write_artefacts import write_artefacts

CROWD = {"molecular": 100, "framework": 60, "inorganic": 100}
"""Decoys beside which each real crystal is looked at; there are more frameworks than others."""

PRESSURE = re.compile(
    rb"^_(?:diffrn_ambient|cell_measurement)_pressure\s+([0-9]+(?:\.[0-9]+)?)", re.MULTILINE
)
"""kPa, in a CIF."""

TITLE = re.compile(rb"^_publ_section_title\s+(?:;(.*?)^;|(.*?)$)", re.MULTILINE | re.DOTALL)
"""What a CIF's paper is called; many a crystal that was frozen by pressure says so there alone."""

PRESSED = 10_000.0
"""kPa; molecular crystals that were measured under more are left out: they are denser than what grows, and
random packings may well be better than one of them without the pressure (beta-alanine at 6 GPa, COD 7219429,
10.1039/C4CE02550D)."""

DRAWS = {"inorganic": 3, "framework": 2}
"""Times that each real crystal of a kind is looked at, beside other decoys each time; once where nothing is
said. A limit rests on the worst half dozen, whose best decoy is a matter of luck."""

MOST_DRAWS = 10
"""Times as many for those of an archive with few."""

TRIES = 3
"""Times a decoy is tried for each that is wanted."""

FOUND = {
    "molecular": ("molecular",),
    "framework": ("framework", "complex"),
    "inorganic": ("inorganic", "element"),
}
"""Verdict classes that the crystals of each class calibrate. Molecules with metals are those among the
frameworks that are not found to be connected without end."""


def mixed(
    crystal: Crystal,
    bank: Bank,
    wanted: int,
    generator: np.random.Generator,
    forms: Sequence[Crystal] = (),
    copies: bool = False,
) -> Iterator[Crystal]:
    """Decoys of a crystal at its volume, of all kinds in turn: swapped elements, shifted atoms, strained
    cells, random packings, and other crystals' geometries where the bank has some.

    What makes the crystal again, but for its scale, is left out (`prototypes.same_prototype`): elements
    exchanged to no effect, another crystal of its prototype, and copies so little shifted or strained that
    every site still has the surroundings of one of the crystal's. Such a candidate relaxes to the crystal
    and is to be kept. So is what makes another known form of the compound.

    Args:
        crystal: the real one.
        bank: other crystals by their stoichiometry.
        wanted: how many decoys, of up to `TRIES` times as many tries.
        generator: draws.
        forms: known crystals of the same formula.
        copies: count shifted and strained copies as decoys, however little they differ.
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
        if decoy is None or not apart(decoy):
            continue
        if (which in (0, 4) or (which in (1, 2) and not copies)) and same_prototype(decoy, crystal):
            continue
        if which == 4 and any(same_prototype(decoy, form) for form in forms):
            continue
        count += 1
        yield decoy


def forms_of(crystals: Iterable[Crystal]) -> dict[str, list[Crystal]]:
    """Crystals by their formula, see `mixed`."""
    found = defaultdict(list)
    for crystal in crystals:
        found[crystal.formula].append(crystal)
    return found


@dataclass(frozen=True)
class Corpora:
    """Where the crystals are.

    Attributes:
        dataset, small, large: tells the splits, archives of inorganic crystals, archives of frameworks.
        molecular: dataset and archive of molecular crystals.
        leave_out: formulas whose chemical systems are passed over.
        most: five times so many crystals of each archive.
    """

    dataset: Path
    small: list[Path]
    large: list[Path]
    molecular: tuple[Path, Path]
    leave_out: list[str]
    most: int

    def groups(self, kind: str) -> Iterator[list[Crystal]]:
        """Real crystals of a kind, each followed by decoys of its formula; those with few are left out."""
        generator = np.random.default_rng([1, CLASSES.index(kind)])
        wanted = CROWD[kind]
        for crystal, others in self._pairs(kind, wanted, generator):
            if len(others) >= wanted // 2:
                yield [crystal, *others]

    def _pairs(
        self, kind: str, wanted: int, generator: np.random.Generator
    ) -> Iterator[tuple[Crystal, list[Crystal]]]:
        if kind == "molecular":
            home, archive = self.molecular
            pressed = under_pressure(archive)
            for split in ("train", "val"):
                for crystal, parts in molecular(list(split_crystals(home, [archive], split))):
                    if crystal.n_atoms <= MOST_ATOMS and crystal.source.partition("#")[0] not in pressed:
                        yield crystal, packings_of(crystal, parts, wanted, generator)
            return
        archives = self.small if kind == "inorganic" else self.large
        crystals = list(split_crystals(self.dataset, archives, "val", self.leave_out, self.most * 5, 1))
        bank: Bank = {}
        if kind == "inorganic":
            train = split_crystals(self.dataset, archives, "train", self.leave_out)
            bank = bank_of(crystal for crystal in train if crystal.n_atoms <= 80)
        forms = forms_of(crystals) if bank else {}
        crystals = [crystal for crystal in crystals if crystal.n_atoms <= MOST_ATOMS]
        for crystal in drawn(crystals, DRAWS.get(kind, 1)):
            others = mixed(crystal, bank, wanted, generator, forms.get(crystal.formula, ()))
            yield crystal, list(others)


def drawn(crystals: Sequence[Crystal], times: int) -> Iterator[Crystal]:
    """Each so many times, and those of smaller archives up to `MOST_DRAWS` times as often, so that archives
    count alike."""
    counts = Counter(archive_of(crystal) for crystal in crystals)
    for turn in range(MOST_DRAWS * times):
        for crystal in crystals:
            often = round(max(counts.values()) / counts[archive_of(crystal)])
            if turn < times * min(often, MOST_DRAWS):
                yield crystal


def under_pressure(archive: Path) -> frozenset[str]:
    """The CIFs of an archive or folder that say to be measured under more than `PRESSED`, or whose title
    speaks of pressure."""
    found = []
    for member in iter_members(archive):
        said, title = PRESSURE.search(member.data), TITLE.search(member.data)
        if (said and float(said[1]) > PRESSED) or (title and b"pressure" in title[0].lower()):
            found.append(member.source)
    return frozenset(found)


def write(found: dict[str, Beside], path: Path) -> None:
    """Put what was found into the file of the calibration; a verdict class without crystals keeps its own."""
    held = RankCalibration.read(path)
    limits = dict(held.limits)
    for name, one in found.items():
        if one.margins:
            # Molecular scores stay: there each crystal was judged by contacts fitted without it.
            real = limits[name].real if name == "molecular" else one.balanced(one.scores)
            limits[name] = Limits(real, one.balanced(one.margins), one.crowd)
    replace(held, limits=limits).save(path)


def main() -> None:
    """The command line."""
    parser = arguments(__doc__)
    parser.add_argument("--most", type=int, default=300, help="a fifth of the frameworks of each archive")
    parser.add_argument("--kinds", nargs="+", choices=CLASSES, default=list(CLASSES))
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else []
    home, archive = given.molecular
    corpora = Corpora(given.dataset, given.small, given.large, (home, archive), left, given.most)
    model = load_model(given.model or MODEL, threads=1)
    calibration = RankCalibration.read(given.out)
    judge = Judge(model, Networks(threads=1), calibration.tables)
    combination = calibration.combination(relaxed=True)
    for kind in given.kinds:
        found = beside(corpora.groups(kind), judge, combination)
        write({name: found[name] for name in FOUND[kind]}, given.out)
        for name in FOUND[kind]:
            one = found[name]
            compounds = len(one.balanced(one.margins))
            print(f"{name}: {len(one.margins)} times beside decoys, as {compounds} compounds", flush=True)
    if given.out == FILE:
        write_artefacts()
    limits = RankCalibration.read(given.out).combination(relaxed=True).margin_thresholds(0.005)
    print("limits at 0.5 %:", {name: limit and round(limit, 3) for name, limit in limits.items()})


if __name__ == "__main__":
    main()
