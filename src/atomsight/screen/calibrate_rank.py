"""Fit the tables and the weights of the ranking, and write them beside the networks.

    python -m atomsight.screen.calibrate_rank DATASET --small ARCHIVE ... --large ARCHIVE ...
        --molecular DATASET ARCHIVE [--leave-out FILE] [--model NAME]

Tables (volumes, closest distances, contacts) come from the ``train`` split; weights from crystals of the
``val`` split and decoys of them. Molecular crystals are few: there the contacts are fitted in folds, and each
crystal of ``train`` and ``val`` is judged by the contacts of the other folds. ``calibrate_verdicts`` comes
next: until then no candidates are judged beside each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomsight.crystal import Crystal
from atomsight.dataset import open_dataset
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.neighbours import nearest_neighbours
from atomsight.screen import decoys
from atomsight.screen.combine import Combination, fit_logistic
from atomsight.screen.contacts import BINS, PAIRS, histogram, packing, potential
from atomsight.screen.features import KINDS, NAMES, describe
from atomsight.screen.molecules import Molecules, molecules_of, normalised
from atomsight.screen.packings import repacked
from atomsight.screen.plausibility.examples import TOO_CLOSE, bank_of, decoys_of, split_crystals
from atomsight.screen.plausibility.runtime import Networks
from atomsight.screen.tables import FILE, MODEL, Tables, shortest_distances
from atomsight.screen.volume import element_counts, fit_volumes

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

BATCH = 200


@dataclass
class Sample:
    """Features of real crystals and decoys of one kind."""

    kind: int
    unrelaxed: bool = False
    values: list[NDArray[np.float64]] = field(default_factory=list)
    real: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, structures: Sequence[Crystal], real: Sequence[bool], judge: Judge) -> None:
        """Describe structures; those that turn out to be of another kind are left out, decoys are not."""
        for start in range(0, len(structures), BATCH):
            part = structures[start : start + BATCH]
            truth = np.array(real[start : start + BATCH])
            described = judge.describe(part)
            keep = (described.kind == self.kind) | ~truth
            self.values.append(described.values[keep])
            self.real.append(truth[keep])

    def fit(self) -> tuple[NDArray[np.float64], float, NDArray[np.float64], str]:
        """Weights, bias, ascending scores of the real ones, and a line on how well it separates."""
        values, real = np.concatenate(self.values), np.concatenate(self.real)
        name = "unrelaxed" if self.unrelaxed else KINDS[self.kind]
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
            f"{KINDS[self.kind]}: {len(right)} real, {len(wrong)} decoys, AUC {1 - area / len(right):.4f}; "
            + " ".join(f"{name} {w:.3g}" for name, w in zip(NAMES, weights, strict=True) if w)
        )
        return weights, bias, right, line


@dataclass(frozen=True)
class Judge:
    """Networks and tables together."""

    model: Model
    networks: Networks
    tables: Tables

    def describe(self, crystals: Sequence[Crystal]):  # type: ignore[no-untyped-def]
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


def main() -> None:
    """The command line."""
    parser = arguments(__doc__)
    parser.add_argument("--most", type=int, default=300, help="frameworks of each archive")
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else []
    model = load_model(given.model or MODEL, threads=1)
    generator = np.random.default_rng(0)

    inorganic = list(split_crystals(given.dataset, given.small, "train", left))
    frameworks = list(split_crystals(given.dataset, given.large, "train", left, given.most))
    home, archive = given.molecular
    loose = molecular([c for split in ("train", "val") for c in split_crystals(home, [archive], split)])
    volumes = [
        fit_volumes(element_counts(crystals), np.array([crystal.volume for crystal in crystals]))
        for crystals in ([crystal for crystal, _ in loose], frameworks, inorganic)
    ]
    tables = Tables(
        np.array(volumes), shortest_distances(open_dataset(given.dataset)), np.zeros((PAIRS, BINS))
    )
    networks = Networks.load(threads=1)
    samples = [Sample(0), Sample(1), Sample(2), Sample(2, unrelaxed=True)]
    print("tables are made", flush=True)

    packed = [
        packings_of(crystal, parts, PACKINGS, generator) if crystal.n_atoms <= MOST_ATOMS else []
        for crystal, parts in loose
    ]
    seen = [
        (histogram(crystal, parts), [histogram(one, molecules_of(one)) for one in relaxed_of(packings)])
        for (crystal, parts), packings in zip(loose, packed, strict=True)
    ]
    for fold in range(FOLDS):
        folded = potential([pair for i, pair in enumerate(seen) if i % FOLDS != fold])
        judge = Judge(model, networks, replace(tables, potential=folded))
        for (crystal, _), packings in list(zip(loose, packed, strict=True))[fold::FOLDS]:
            samples[0].add([crystal, *packings], [True, *[False] * len(packings)], judge)
    tables = replace(tables, potential=potential(seen))
    judge = Judge(model, networks, tables)
    print("molecules are judged", flush=True)

    bank = bank_of(crystal for crystal in inorganic if crystal.n_atoms <= 80)
    for kind, archives, templates in ((2, given.small, bank), (1, given.large, {})):
        for crystal in split_crystals(
            given.dataset, archives, "val", left, given.most * (1 if kind == 1 else 5), 1
        ):
            others = [d for d in decoys_of(crystal, templates, tables.volumes[2], generator) if apart(d)]
            structures, real = [crystal, *others], [True, *[False] * len(others)]
            samples[kind].add(structures, real, judge)
            if kind == 2:
                factors = np.exp(3 * generator.normal(0, SIZES, len(structures)))
                blown = [decoys.scaled(s, s.volume * f) for s, f in zip(structures, factors, strict=True)]
                samples[3].add(blown, real, judge)
    fitted = [sample.fit() for sample in samples]
    for *_, line in fitted:
        print(line)
    combination = Combination(
        np.array([weights for weights, *_ in fitted]),
        np.array([bias for _, bias, *_ in fitted]),
        tuple(scores for _, _, scores, _ in fitted),
    )
    sorted_scores = [*combination.real, combination.real[0], combination.real[2]]
    tables.save(
        given.out,
        weights=combination.weights,
        bias=combination.bias,
        fingerprint=np.array(model.fingerprint),
        **{f"real_{place}": scores for place, scores in enumerate(sorted_scores)},
        **{f"margins_{place}": np.empty(0) for place in range(len(sorted_scores))},
        crowd=np.ones(len(sorted_scores)),
    )
    print("thresholds at 0.5 %:", combination.thresholds(0.005).round(3).tolist())


if __name__ == "__main__":
    main()
