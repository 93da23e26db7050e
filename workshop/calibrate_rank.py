"""Fit the tables and the weights of the ranking, and write them beside the networks.

    python -m workshop.calibrate_rank DATASET --small ARCHIVE ... --large ARCHIVE ...
        --molecular DATASET ARCHIVE [--leave-out FILE] [--model NAME] [--kinds KIND ...]

Tables (volumes, closest distances, contacts) come from the ``train`` split; weights from crystals of the
``val`` split and decoys of them. Molecular crystals are few: there the contacts are fitted in folds, and each
crystal of ``train`` and ``val`` is judged by the contacts of the other folds. ``calibrate_verdicts`` comes
next: until then no candidates are judged beside each other. With `--kinds` those weights alone are fitted
anew, by the tables that the file holds, as after a change of one network; each kind draws from a generator of
its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.dataset import open_dataset
from atomsight.geometry.bonds.molecules import Molecules, molecules_of, normalised
from atomsight.geometry.crystal_class import CLASSES
from atomsight.geometry.neighbours import nearest_neighbours
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Networks
from atomsight.rank.calibration import FILE, MODEL, SCORED, Limits, RankCalibration
from atomsight.rank.features import NAMES, Described, describe
from atomsight.rank.molecules.contacts import BINS, PAIRS, histogram, packing, potential
from atomsight.rank.score import fit_logistic
from atomsight.rank.tables import Tables, shortest_distances
from atomsight.rank.volume import element_counts, fit_volumes
from workshop import decoys
from workshop.packings import repacked
from workshop.plausibility.examples import TOO_CLOSE, Bank, bank_of, decoys_of, split_crystals
from workshop.write_artefacts import write_artefacts

SIGNS: dict[str, dict[str, int]] = {
    "unrelaxed": {"pressed": 1},
    "inorganic": {"plausibility": 1, "closest": 1, "dense": -1, "loose": -1},
    "framework": {"plausibility": 1, "blind": 1, "worst_blind": 1, "closest": 1, "dense": -1},
    "molecular": {"closest": 1, "cohesion": 1, "clash": -1, "unmet": -1},
}
"""What each kind is judged by, and in which direction."""

TIED: dict[str, dict[str, float]] = {
    "unrelaxed": {"pressed": 1, "blind": 1, "worst_blind": 1, "parsimony": 1, "crushed": 100},
    "inorganic": {"plausibility": 1, "parsimony": 1},
    "molecular": {"cohesion": 1, "contacts": 0.05},
}
"""Features whose weights are these multiples of one that is fitted: log-odds of geometry and elements
together, log p(elements | geometry), and the logarithm of how many atoms share a site. Decoys alone would put
nearly all weight on the network that was trained on their like, or on the symmetry that random ones lack. For
inorganic crystals that are not relaxed ``closest``, that of the candidate's own, wrong volume, counts only
where it is beyond mending, and there it decides. Chosen on one half of the compositions of
``csp-inorganic``, for relaxed ones on ``val``. Contacts of molecules count for little beside their cohesion:
random packings are told from real crystals by either (on ``val`` alike within a molecule), and the share was
chosen with the landscapes of aspirin and Target I in sight."""

FOLDS = 5
PACKINGS = 16
"""Packings made of each molecular crystal."""

LOOSER = (-0.02, 0.15)
"""Logarithm of their volume over the real one: what a search finds is mostly less dense than what grows."""

MOST_ATOMS = 250
"""Larger molecular cells are not packed anew, and no others of this size are looked at beside decoys."""

SIZES = 0.08
"""Deviation of the logarithm of the lengths of inorganic candidates that are not relaxed: those of
``csp-inorganic`` lie from 0.85 to 1.33 of what the formula lets expect."""

SHARED_LIMITS = {"molecular": ("complex",), "inorganic": ("element",)}
"""Verdict classes that start with the scores of a whole class, until `calibrate_verdicts` fits their own."""

BATCH = 200


@dataclass
class Sample:
    """Features of real crystals and decoys of one of `rank_calibration.SCORED`."""

    name: str
    values: list[NDArray[np.float64]] = field(default_factory=list)
    real: list[NDArray[np.bool_]] = field(default_factory=list)

    @property
    def crystal_class(self) -> str:
        """Class of the real crystals."""
        return "inorganic" if self.name == "unrelaxed" else self.name

    def add(self, structures: Sequence[Crystal], real: Sequence[bool], judge: Judge) -> None:
        """Describe structures; those that turn out to be of another class are left out, decoys are not."""
        for start in range(0, len(structures), BATCH):
            part = structures[start : start + BATCH]
            truth = np.array(real[start : start + BATCH])
            described = judge.describe(part)
            keep = (described.classes == CLASSES.index(self.crystal_class)) | ~truth
            self.values.append(described.values[keep])
            self.real.append(truth[keep])

    def fit(self) -> tuple[NDArray[np.float64], float, NDArray[np.float64], str]:
        """Weights, bias, ascending scores of the real ones, and a line on how well it separates."""
        values, real = np.concatenate(self.values), np.concatenate(self.real)
        name = self.name
        signs = np.array([SIGNS[name].get(feature, 0) for feature in NAMES], float)
        multiples = np.array([TIED.get(name, {}).get(feature, 0.0) for feature in NAMES])
        tied, leading = values.copy(), NAMES.index(next(iter(TIED.get(name, {NAMES[0]: 1}))))
        if multiples.any():
            tied[:, leading] = values @ multiples
        weights, bias = fit_logistic(tied, real, signs)
        weights = np.where(multiples > 0, multiples * weights[leading], weights)
        scores = values @ weights + bias
        right, wrong = np.sort(scores[real]), scores[~real]
        area = (np.searchsorted(right, wrong, "left") + np.searchsorted(right, wrong, "right")).mean() / 2
        line = (
            f"{self.crystal_class}: {len(right)} real, {len(wrong)} decoys, AUC {1 - area / len(right):.4f}; "
            + " ".join(f"{name} {w:.3g}" for name, w in zip(NAMES, weights, strict=True) if w)
        )
        return weights, bias, right, line


@dataclass(frozen=True)
class Judge:
    """Networks and tables together."""

    model: Model
    networks: Networks
    tables: Tables

    def describe(self, crystals: Sequence[Crystal]) -> Described:
        """Features, see `features.describe`."""
        return describe(crystals, self.model, self.networks, self.tables)


def apart(crystal: Crystal) -> bool:
    """Whether a reader would accept it."""
    distances = nearest_neighbours(crystal.lattice, crystal.fractional, 1, crystal.representatives)[0]
    return bool(distances.min() >= TOO_CLOSE)


def molecular(crystals: Sequence[Crystal]) -> list[tuple[Crystal, Molecules]]:
    """Those made of molecules, with these."""
    pairs = ((crystal, molecules_of(crystal)) for crystal in crystals if 6 in crystal.numbers)
    return [(normalised(crystal, parts), parts) for crystal, parts in pairs if parts.finite]


def packings_of(
    crystal: Crystal,
    parts: Molecules,
    wanted: int,
    generator: np.random.Generator,
    looser: tuple[float, float] = LOOSER,
) -> list[Crystal]:
    """Up to so many packings of its molecules that a reader would accept, of twice as many tries.

    Args:
        crystal, parts: a molecular crystal.
        wanted: how many.
        generator: draws.
        looser: range of the logarithm of their volume over the real one.
    """
    found: list[Crystal] = []
    for _ in range(2 * wanted):
        if len(found) == wanted:
            break
        volume = crystal.volume * np.exp(generator.uniform(*looser))
        packing = repacked(crystal, parts, generator, volume)
        if packing is not None and molecules_of(packing).finite:
            found.append(packing)
    return found


def relaxed_of(packings: Sequence[Crystal]) -> list[Crystal]:
    """Those without a clash: what a relaxation leaves, beside which the contacts of real crystals are
    seen."""
    return [one for one in packings if packing(one, molecules_of(one))[1] == 0]


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What both commands of the calibration are given: the crystals, the model, and the file."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--large", type=Path, nargs="+", required=True)
    parser.add_argument("--molecular", type=Path, nargs=2, metavar=("DATASET", "ARCHIVE"), required=True)
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one a line")
    parser.add_argument("--model", help="blind model; else the one that candidates are ranked by")
    parser.add_argument("--out", type=Path, default=FILE)
    return parser


def made_tables(given: argparse.Namespace, left: Sequence[str]) -> Tables:
    """Volumes and closest distances of the ``train`` split; contacts are still to be found."""
    home, archive = given.molecular
    crystals = [c for split in ("train", "val") for c in split_crystals(home, [archive], split)]
    sets = (
        [crystal for crystal, _ in molecular(crystals)],
        list(split_crystals(given.dataset, given.large, "train", left, given.most)),
        list(split_crystals(given.dataset, given.small, "train", left)),
    )
    volumes = [fit_volumes(element_counts(some), np.array([one.volume for one in some])) for some in sets]
    closest = shortest_distances(open_dataset(given.dataset))
    return Tables(np.array(volumes), closest, np.zeros((PAIRS, BINS)))


def of_molecules(given: argparse.Namespace, judge: Judge) -> tuple[Sample, Tables]:
    """Molecular crystals and packings of them, each judged by the contacts of the other folds; and the tables
    with the contacts of all."""
    generator = np.random.default_rng([0, 0])
    home, archive = given.molecular
    loose = molecular([c for split in ("train", "val") for c in split_crystals(home, [archive], split)])
    packed = [
        packings_of(crystal, parts, PACKINGS, generator) if crystal.n_atoms <= MOST_ATOMS else []
        for crystal, parts in loose
    ]
    seen = [
        (histogram(crystal, parts), [histogram(one, molecules_of(one)) for one in relaxed_of(packings)])
        for (crystal, parts), packings in zip(loose, packed, strict=True)
    ]
    sample = Sample("molecular")
    for fold in range(FOLDS):
        folded = potential([pair for i, pair in enumerate(seen) if i % FOLDS != fold])
        beside = replace(judge, tables=replace(judge.tables, potential=folded))
        for (crystal, _), packings in list(zip(loose, packed, strict=True))[fold::FOLDS]:
            sample.add([crystal, *packings], [True, *[False] * len(packings)], beside)
    return sample, replace(judge.tables, potential=potential(seen))


def of_crystals(name: str, given: argparse.Namespace, left: Sequence[str], judge: Judge) -> Sample:
    """Crystals of the ``val`` split and decoys of them, of another kind than molecules."""
    generator = np.random.default_rng([0, SCORED.index(name)])
    framework = name == "framework"
    sample = Sample(name)
    archives, most = (given.large, given.most) if framework else (given.small, 5 * given.most)
    volumes = judge.tables.volumes[CLASSES.index("inorganic")]
    bank: Bank = {}
    if not framework:
        train = split_crystals(given.dataset, archives, "train", left)
        bank = bank_of(crystal for crystal in train if crystal.n_atoms <= 80)
    for crystal in split_crystals(given.dataset, archives, "val", left, most, 1):
        others = [d for d in decoys_of(crystal, bank, volumes, generator) if apart(d)]
        structures, real = [crystal, *others], [True, *[False] * len(others)]
        if name == "unrelaxed":
            factors = np.exp(3 * generator.normal(0, SIZES, len(structures)))
            structures = [decoys.scaled(s, s.volume * f) for s, f in zip(structures, factors, strict=True)]
        sample.add(structures, real, judge)
    return sample


def main() -> None:
    """The command line."""
    parser = arguments(__doc__)
    parser.add_argument("--most", type=int, default=300, help="frameworks of each archive")
    parser.add_argument(
        "--kinds", nargs="+", choices=SCORED, default=list(SCORED), help="others stay as the file has them"
    )
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else []
    model, networks = load_model(given.model or MODEL, threads=1), Networks(threads=1)
    fitted_with = {model.name: model.fingerprint} | networks.fingerprints()
    everything = set(given.kinds) == set(SCORED)
    held = None if everything else RankCalibration.read(given.out)
    if held is not None:
        stale = sorted(stale_kinds(held, model.name, fitted_with) - set(given.kinds))
        if stale:
            parser.error(f"{given.out} was fitted with another model or network; fit {', '.join(stale)} too")
    tables = made_tables(given, left) if held is None else held.tables
    judge = Judge(model, networks, tables)
    samples: dict[str, Sample] = {}
    if "molecular" in given.kinds:
        samples["molecular"], tables = of_molecules(given, judge)
        judge = replace(judge, tables=tables)
    samples |= {name: of_crystals(name, given, left, judge) for name in given.kinds if name != "molecular"}
    weights = {} if held is None else dict(held.weights)
    bias = {} if held is None else dict(held.bias)
    limits = {} if held is None else dict(held.limits)
    for name, sample in samples.items():
        weights[name], bias[name], scores, line = sample.fit()
        for place in (name, *SHARED_LIMITS.get(name, ())):
            limits[place] = Limits(scores)
        print(line)
    calibration = RankCalibration(tables, weights, bias, limits, fitted_with)
    calibration.save(given.out)
    if given.out == FILE:
        write_artefacts()
    thresholds = calibration.combination(relaxed=True).thresholds(0.005)
    print("thresholds at 0.5 %:", {name: round(value, 3) for name, value in thresholds.items()})


def stale_kinds(held: RankCalibration, model: str, fitted_with: dict[str, str]) -> set[str]:
    """Those of `SCORED` whose weights rest on a network that has changed since.

    Args:
        held: the calibration of the file.
        model: name of the model that predicts elements.
        fitted_with: SHA-256 of the files of today's networks, by name.
    """
    changed = {name for name, found in fitted_with.items() if held.fitted_with.get(name) != found}
    uses: dict[str, dict[str, tuple[str, ...]]] = {
        "plausibility": {"general": SCORED, "inorganic-relaxed": ("inorganic", "unrelaxed")},
        "pressed": {"inorganic-unrelaxed": ("inorganic", "unrelaxed")},
        "blind": {model: SCORED},
        "worst_blind": {model: SCORED},
    }
    return {
        name
        for name, weights in held.weights.items()
        for feature, networks in uses.items()
        for network, classes in networks.items()
        if network in changed and name in classes and weights[NAMES.index(feature)]
    }


if __name__ == "__main__":
    main()
