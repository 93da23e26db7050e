"""Unrelaxed inorganic candidates in order, against the energies of their relaxed forms.

    python benchmarks/rank_inorganic.py FOLDER

FOLDER holds ``energies.csv`` (columns composition, structure, energy_ev_per_atom) and a folder of CIFs for
each composition. For the score of `atomsight.rank`, for what it is made of, and for references: the mean over
compositions of Spearman's correlation with -energy, how often the ground state is among the ten best, in the
better half and first. All are given for each half of the compositions (every other by alphabet): what is
designed was chosen on the first half, so the second is the one to believe. The last lines learn from the
energies of one half and are judged on the other: weights of the features, and boosted trees (LightGBM) on the
features and on log p(element) of the default model at several volumes.
"""

from __future__ import annotations

import argparse
import csv
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from atomsight import load_model, read
from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import CLASSES
from atomsight.geometry.neighbours import site_surroundings
from atomsight.rank.features import NAMES
from atomsight.rank.rank import Ranker
from atomsight.rank.score import fit_logistic
from atomsight.rank.sites import LEAST
from atomsight.rank.volume import expected_volume

BATCH = 256
LENGTHS = (0.97, 1.0, 1.05, 1.1)
"""Times the lengths at the expected volume, where the trees see log p(element)."""

TREES = {
    "objective": "regression",
    "num_leaves": 8,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.4,
    "num_threads": 1,
    "verbose": -1,
}
ROUNDS, SEEDS = 200, 3
SAME = 0.001
"""eV an atom within which candidates are taken to have relaxed to the same structure."""

PAIRS = 200
"""Pairs of candidates drawn of each composition for the variant that learns from energies."""


def figures(score: NDArray, energy: NDArray, composition: NDArray, chosen: NDArray) -> str:
    """Spearman, in ten, better half, first."""
    rows = []
    for name in chosen:
        at = composition == name
        best = score[at][np.argmin(energy[at])]
        better = (score[at] > best).sum() + 0.5 * ((score[at] == best).sum() - 1)  # ties in random order
        correlation = spearmanr(score[at], -energy[at]).statistic if np.ptp(score[at]) > 0 else 0.0
        rows.append((correlation, better < 10, better < at.sum() / 2, better == 0))
    return " / ".join(f"{value:.2f}" for value in np.mean(rows, axis=0))


def of_structure(score: NDArray, energy: NDArray, composition: NDArray) -> tuple[float, float]:
    """How often one of the candidates of the lowest energy, within `SAME`, is among the ten best and in the
    better half."""
    rows = []
    for name in np.unique(composition):
        at = composition == name
        best = score[at][energy[at] <= energy[at].min() + SAME].max()
        rows.append(((score[at] > best).sum() < 10, (score[at] > best).sum() < at.sum() / 2))
    ten, half = np.mean(rows, axis=0)
    return float(ten), float(half)


def learnt(
    values: NDArray, energy: NDArray, composition: NDArray, chosen: NDArray, generator: np.random.Generator
) -> NDArray:
    """Weights of the features that tell the lower of two energies of one composition."""
    differences = []
    for name in chosen:
        at = np.flatnonzero(composition == name)
        one, other = generator.choice(at, PAIRS), generator.choice(at, PAIRS)
        lower = np.where((energy[one] < energy[other])[:, None], values[one] - values[other], 0)
        higher = np.where((energy[one] > energy[other])[:, None], values[other] - values[one], 0)
        differences.append(lower + higher)
    x = np.concatenate(differences)
    both = np.concatenate([x, -x])
    truth = np.repeat([True, False], len(x))
    free = np.ones(values.shape[1])
    positive, _ = fit_logistic(np.hstack([both, -both]), truth, np.hstack([free, free]))
    return positive[: len(free)] - positive[len(free) :]


def likelihoods(crystals: Sequence[Crystal], ranker: Ranker) -> NDArray:
    """(c, 4 * LENGTHS) mean over the atoms and least over the sites of log p(element), blindly and given the
    other elements."""
    model = load_model(threads=1)
    volumes = ranker.extractor.tables.volumes[CLASSES.index("inorganic")]
    expected = [expected_volume(c.numbers, volumes) for c in crystals]
    found = []
    for start in range(0, len(crystals), 64):
        some = crystals[start : start + 64]
        sizes = [crystal.n_sites for crystal in some]
        begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        weight = np.concatenate([crystal.multiplicities / crystal.n_atoms for crystal in some])
        around = [site_surroundings(crystal, model.k) for crystal in some]
        columns = {
            "neighbours": np.concatenate([one.neighbours for one in around]).astype(np.int64),
            "directions": np.concatenate([one.directions for one in around]),
            "site": np.concatenate([np.arange(size) for size in sizes]),
            "element": np.concatenate([crystal.site_numbers for crystal in some]),
        }
        row = []
        for length in LENGTHS:
            columns["distances"] = np.concatenate(
                [
                    one.distances * length * (volume / crystal.volume) ** (1 / 3)
                    for one, crystal, volume in zip(around, some, expected[start : start + 64], strict=True)
                ]
            ).astype(np.float32)
            for answer in (model.probabilities(columns), model.conditional_probabilities(columns)):
                own = np.log(np.maximum(model.own_probabilities(answer, columns["element"]), LEAST))
                row += [np.add.reduceat(weight * own, begins), np.minimum.reduceat(own, begins)]
        found.append(np.stack(row, axis=1))
    return np.concatenate(found)


def boosted(values: NDArray, energy: NDArray, composition: NDArray, chosen: NDArray) -> NDArray:
    """Scores of all candidates by trees that learn the order of the energies within the chosen
    compositions; they see each feature as it is and against the mean of the composition."""
    import lightgbm

    centred, order = values.copy(), np.zeros(len(energy))
    for name in np.unique(composition):
        at = composition == name
        centred[at] -= values[at].mean(axis=0)
        order[at] = -np.argsort(np.argsort(energy[at])) / at.sum()
    seen, learnt_from = np.hstack([centred, values]), np.isin(composition, chosen)
    score = np.zeros(len(energy))
    for seed in range(SEEDS):
        data = lightgbm.Dataset(seen[learnt_from], order[learnt_from])
        score += lightgbm.train({**TREES, "seed": seed}, data, ROUNDS).predict(seen)
    return score


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with (folder / "energies.csv").open(newline="") as file:
        table = {
            (row["composition"], row["structure"]): float(row["energy_ev_per_atom"])
            for row in csv.DictReader(file)
        }
    crystals = list(read(folder))
    keys = [(Path(crystal.source).parent.name, crystal.name) for crystal in crystals]
    energy = np.array([table[key] for key in keys])
    composition = np.array([name for name, _ in keys])
    names = np.unique(composition)
    ranker = Ranker(threads=1)
    parts = [ranker.extractor.features(crystals[i : i + BATCH]) for i in range(0, len(crystals), BATCH)]
    classes = np.concatenate([part.classes for part in parts])
    values = np.concatenate([part.values for part in parts])
    score = ranker.combination.scores(classes, values)
    scores = {"**score**": score}
    scores["score, `--relaxed`"] = Ranker(relaxed=True, threads=1).combination.scores(classes, values)
    for name in ("pressed", "plausibility", "blind", "worst_blind", "closest"):
        scores[f"`{name}` alone"] = values[:, NAMES.index(name)]
    generator = np.random.default_rng(0)
    scores["random"] = generator.random(len(score))
    scores["smallest volume"] = -np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
    print(f"{date.today()}, {platform.machine()}, model {ranker.model.fingerprint[:12]}")
    print(
        f"{len(crystals)} candidates of {len(names)} compositions; Spearman / in ten / better half / first\n"
    )
    print("| score | first half | second half | all |\n|---|---|---|---|")
    for name, value in scores.items():
        cells = [figures(value, energy, composition, part) for part in (names[::2], names[1::2], names)]
        print(f"| {name} | {' | '.join(cells)} |")
    volume = np.log([crystal.volume / crystal.n_atoms for crystal in crystals])[:, None]
    wide = np.hstack([values, volume])
    halves = []
    for train, test in ((names[1::2], names[::2]), (names[::2], names[1::2])):
        weights = learnt(wide, energy, composition, train, generator)
        halves.append(figures(wide @ weights, energy, composition, test))
    print(f"| weights learnt from the other half's energies | {halves[0]} | {halves[1]} | |")
    wide = np.hstack([wide, likelihoods(crystals, ranker)])
    halves = [
        figures(boosted(wide, energy, composition, train), energy, composition, test)
        for train, test in ((names[1::2], names[::2]), (names[::2], names[1::2]))
    ]
    print(f"| trees learnt from the other half's energies | {halves[0]} | {halves[1]} | |")
    ground = [np.flatnonzero(composition == name)[np.argmin(energy[composition == name])] for name in names]
    threshold = ranker.combination.thresholds(0.005)["inorganic"]
    print(
        f"\nverdict at a risk of 0.5 %: {np.mean(score[ground] >= threshold):.2f} of the ground states kept, "
        f"{np.mean(score < threshold):.2f} of all candidates unlikely"
    )
    print(f"any candidate within {1000 * SAME:g} meV an atom of the lowest: in ten / better half")
    for name in ("**score**", "random"):
        print(f"{name}: " + " / ".join(f"{v:.3f}" for v in of_structure(scores[name], energy, composition)))


if __name__ == "__main__":
    main()
