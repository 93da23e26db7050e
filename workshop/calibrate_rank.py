"""Fit the tables and the weights of `rank`, and write them to ``rank.npz``.

    python -m workshop.calibrate_rank DATASET --small ARCHIVE ... --large ARCHIVE ...
        --molecular DATASET ARCHIVE [--leave-out FILE] [--model NAME] [--kinds CLASS ...]

The tables (volumes, shortest distances, contacts) are computed from the ``train`` split, the weights are
fitted to crystals of the ``val`` split and their decoys. Since molecular crystals are few, their contacts are
fitted by cross-validation: each crystal of ``train`` and ``val`` is scored by the contacts of the other
folds. Run ``calibrate_verdicts`` afterwards; before, candidates of a formula are not compared. `--kinds` fits
only these classes with the tables of the file, for example after a change of one network. Each class has its
own random numbers.
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
from atomsight.models.plausibility.inference import Networks
from atomsight.rank.calibration import FILE, MODEL, RankCalibration
from atomsight.rank.features import FEATURES, LEADING, NAMES, SCORE_CLASSES, FeatureExtractor
from atomsight.rank.molecules.contacts import BINS, PAIRS, contacts_of, histogram, packing, potential
from atomsight.rank.score import Limits, fit_logistic
from atomsight.rank.tables import Tables, shortest_distances
from atomsight.rank.volume import element_counts, fit_volumes
from workshop import decoys
from workshop.packings import repacked
from workshop.plausibility.examples import TOO_CLOSE, Bank, bank_of, decoys_of, split_crystals
from workshop.write_artefacts import write_artefacts

FOLDS = 5
"""Number of folds of the molecular crystals."""

PACKINGS = 16
"""Number of random packings of each molecular crystal."""

LOOSER = (-0.02, 0.15)
"""Range of the log ratio of the volumes of a packing and the real crystal. Predicted structures are mostly
less dense than real ones."""

MOST_ATOMS = 250
"""Largest cell of a molecular crystal that gets random packings, and of any crystal with margins."""

SIZES = 0.08
"""Standard deviation of the log lengths of unrelaxed inorganic candidates. In ``csp-inorganic`` the lengths
are 0.85 to 1.33 of the expected ones."""

SHARED_LIMITS = {"molecular": ("complex",), "inorganic": ("element",)}
"""Verdict classes that have the scores of another class until `calibrate_verdicts` fits their own."""

BATCH = 200
"""Structures per call of `FeatureExtractor.features`."""


@dataclass
class Sample:
    """Features of real crystals and decoys of one of `SCORE_CLASSES`."""

    name: str
    values: list[NDArray[np.float64]] = field(default_factory=list)
    real: list[NDArray[np.bool_]] = field(default_factory=list)

    @property
    def crystal_class(self) -> str:
        """Class of the real crystals."""
        return "inorganic" if self.name == "unrelaxed" else self.name

    def add(self, structures: Sequence[Crystal], extractor: FeatureExtractor) -> None:
        """Add a real crystal and its decoys; a real crystal of another class is left out."""
        for start in range(0, len(structures), BATCH):
            features = extractor.features(structures[start : start + BATCH])
            real = start + np.arange(len(features.classes)) == 0
            keep = (features.classes == CLASSES.index(self.crystal_class)) | ~real
            self.values.append(features.values[keep])
            self.real.append(real[keep])

    def fit(self) -> tuple[NDArray[np.float64], float, NDArray[np.float64], str]:
        """Fit the score.

        Returns:
            Weights, bias, ascending scores of the real crystals, and a line on the separation.
        """
        values, real, name = np.concatenate(self.values), np.concatenate(self.real), self.name
        signs = np.array([feature.sign * (name in feature.fitted) for feature in FEATURES], float)
        tied = np.array([feature.tied.get(name, 0.0) for feature in FEATURES])
        fitted, leading = values.copy(), NAMES.index(LEADING.get(name, NAMES[0]))
        if tied.any():
            tied[leading] = 1
            fitted[:, leading] = values @ tied
        weights, bias = fit_logistic(fitted, real, signs)
        weights = np.where(tied > 0, tied * weights[leading], weights)
        scores = values @ weights + bias
        right, wrong = np.sort(scores[real]), scores[~real]
        area = (np.searchsorted(right, wrong, "left") + np.searchsorted(right, wrong, "right")).mean() / 2
        line = (
            f"{self.crystal_class}: {len(right)} real, {len(wrong)} decoys, AUC {1 - area / len(right):.4f}; "
            + " ".join(f"{name} {w:.3g}" for name, w in zip(NAMES, weights, strict=True) if w)
        )
        return weights, bias, right, line


def no_overlap(crystal: Crystal) -> bool:
    """Return whether no two atoms are closer than `TOO_CLOSE`."""
    distances = nearest_neighbours(crystal.lattice, crystal.fractional, 1, crystal.representatives)[0]
    return bool(distances.min() >= TOO_CLOSE)


def molecular_crystals(crystals: Sequence[Crystal]) -> list[tuple[Crystal, Molecules]]:
    """Select the crystals that consist of molecules, with X-H bonds of neutron lengths."""
    pairs = ((crystal, molecules_of(crystal)) for crystal in crystals if 6 in crystal.numbers)
    return [(normalised(crystal, parts), parts) for crystal, parts in pairs if parts.finite]


def packings_of(
    crystal: Crystal,
    parts: Molecules,
    wanted: int,
    generator: np.random.Generator,
    looser: tuple[float, float] = LOOSER,
) -> list[Crystal]:
    """Make random packings of molecules, with at most twice as many tries.

    Args:
        crystal: a molecular crystal.
        parts: its molecules.
        wanted: number of packings.
        generator: random numbers.
        looser: range of the log ratio of the volumes of a packing and the crystal.
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


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Make the parser of the arguments that both commands of the calibration share."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--large", type=Path, nargs="+", required=True)
    parser.add_argument("--molecular", type=Path, nargs=2, metavar=("DATASET", "ARCHIVE"), required=True)
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one per line")
    parser.add_argument("--model", help="predicts elements; default: the model of rank")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--most", type=int, default=300, help="size of the samples")
    return parser


def left_out(options: argparse.Namespace) -> list[str]:
    """Read the formulas of ``--leave-out``."""
    file: Path | None = options.leave_out
    return file.read_text().split() if file else []


def molecular_archive(options: argparse.Namespace) -> list[tuple[Crystal, Molecules]]:
    """Read the molecular crystals of ``--molecular``, those of ``train`` first."""
    home, archive = options.molecular
    crystals = [c for split in ("train", "val") for c in split_crystals(home, [archive], split)]
    return molecular_crystals(crystals)


def inorganic_bank(options: argparse.Namespace) -> Bank:
    """Read the small crystals of ``train`` as templates."""
    train = split_crystals(options.dataset, options.small, "train", left_out(options))
    return bank_of(crystal for crystal in train if crystal.n_atoms <= 80)


def compute_tables(options: argparse.Namespace) -> Tables:
    """Compute volumes and shortest distances of the ``train`` split; the contacts are 0."""
    left = left_out(options)
    sets = (
        [crystal for crystal, _ in molecular_archive(options)],
        list(split_crystals(options.dataset, options.large, "train", left, options.most)),
        list(split_crystals(options.dataset, options.small, "train", left)),
    )
    volumes = [fit_volumes(element_counts(some), np.array([one.volume for one in some])) for some in sets]
    closest = shortest_distances(open_dataset(options.dataset))
    return Tables(np.array(volumes), closest, np.zeros((PAIRS, BINS)))


def molecular_sample(options: argparse.Namespace, extractor: FeatureExtractor) -> tuple[Sample, Tables]:
    """Compute features of molecular crystals and packings, each with the contacts of the other folds.

    Returns:
        The sample, and the tables with the contacts of all crystals.
    """
    generator = np.random.default_rng([0, 0])
    groups, seen = [], []
    for crystal, parts in molecular_archive(options):
        wanted = PACKINGS if crystal.n_atoms <= MOST_ATOMS else 0
        groups.append((crystal, parts, packings_of(crystal, parts, wanted, generator)))
    for crystal, parts, packings in groups:
        contacts = [contacts_of(one, molecules_of(one)) for one in packings]
        relaxed = [histogram(one) for one in contacts if packing(one)[1] == 0]  # without a clash
        seen.append((histogram(contacts_of(crystal, parts)), relaxed))
    sample = Sample("molecular")
    for fold in range(FOLDS):
        others = potential([pair for i, pair in enumerate(seen) if i % FOLDS != fold])
        of_fold = replace(extractor, tables=replace(extractor.tables, potential=others))
        for crystal, _, packings in groups[fold::FOLDS]:
            sample.add([crystal, *packings], of_fold)
    return sample, replace(extractor.tables, potential=potential(seen))


def sample_of(name: str, options: argparse.Namespace, extractor: FeatureExtractor) -> Sample:
    """Compute features of crystals of the ``val`` split and their decoys, for classes without molecules."""
    generator = np.random.default_rng([0, SCORE_CLASSES.index(name)])
    sample, left = Sample(name), left_out(options)
    volumes = extractor.tables.volumes[CLASSES.index("inorganic")]
    archives, most, bank = options.large, options.most, Bank()
    if name != "framework":
        archives, most, bank = options.small, 5 * options.most, inorganic_bank(options)
    for crystal in split_crystals(options.dataset, archives, "val", left, most, 1):
        others = [decoy for decoy in decoys_of(crystal, bank, volumes, generator) if no_overlap(decoy)]
        structures = [crystal, *others]
        if name == "unrelaxed":
            factors = np.exp(3 * generator.normal(0, SIZES, len(structures)))
            structures = [decoys.scaled(s, s.volume * f) for s, f in zip(structures, factors, strict=True)]
        sample.add(structures, extractor)
    return sample


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=SCORE_CLASSES, default=SCORE_CLASSES)
    options = parser.parse_args()
    model, networks = load_model(options.model or MODEL, threads=1), Networks(threads=1)
    fitted_with = {model.name: model.fingerprint} | networks.fingerprints()
    if set(options.kinds) == set(SCORE_CLASSES):
        held = RankCalibration(compute_tables(options), {}, {}, {}, fitted_with)
    else:
        held = RankCalibration.read(options.out)
        stale = sorted(stale_classes(held, model.name, fitted_with) - set(options.kinds))
        if stale:
            message = f"{options.out} was fitted with another model or network; fit {', '.join(stale)} too"
            parser.error(message)
    extractor = FeatureExtractor(model, networks, held.tables)
    samples: dict[str, Sample] = {}
    if "molecular" in options.kinds:
        samples["molecular"], tables = molecular_sample(options, extractor)
        extractor = replace(extractor, tables=tables)
    for name in options.kinds:
        if name != "molecular":
            samples[name] = sample_of(name, options, extractor)
    for name, sample in samples.items():
        held.weights[name], held.bias[name], scores, line = sample.fit()
        for place in (name, *SHARED_LIMITS.get(name, ())):
            held.limits[place] = Limits(scores)
        print(line)
    calibration = replace(held, tables=extractor.tables, fitted_with=fitted_with)
    calibration.save(options.out)
    if options.out == FILE:
        write_artefacts()
    thresholds = calibration.combination(relaxed=True).thresholds(0.005)
    print("thresholds at 0.5 %:", {name: round(value, 3) for name, value in thresholds.items()})


def stale_classes(held: RankCalibration, model: str, fitted_with: dict[str, str]) -> set[str]:
    """Return those of `SCORE_CLASSES` whose weights belong to a network that has changed.

    Args:
        held: the calibration of the file.
        model: name of the model that predicts elements.
        fitted_with: SHA-256 of the present networks, by name.
    """
    changed = {name for name, found in fitted_with.items() if held.fitted_with.get(name) != found}
    uses: dict[str, dict[str, tuple[str, ...]]] = {
        "plausibility": {"general": SCORE_CLASSES, "inorganic-relaxed": ("inorganic", "unrelaxed")},
        "pressed": {"inorganic-unrelaxed": ("inorganic", "unrelaxed")},
        "blind": {model: SCORE_CLASSES},
        "worst_blind": {model: SCORE_CLASSES},
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
