"""Candidates that are not relaxed: does a network tell a formula's own prototype from others?

    export PYTHONPATH=.    # for the package workshop
    python benchmarks/prototypes.py DATASET --small ARCHIVE [--leave-out FILE] [--network FILE ...]

For each inorganic crystal of ``val``: up to three geometries of other compounds of its prototype, taken
from ``train``, and up to 40 of other prototypes, all with its elements and at the volume that the formula
lets expect (`workshop.plausibility.prototypes`). For each network, those that ship if none is named: the mean
chance that one of the first is scored above one of the second, how often it is above all of them, and the
chance for the crystal's own, relaxed geometry.
"""

from __future__ import annotations

import argparse
import platform
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomsight.models.plausibility.inference import GENERAL, INORGANIC_UNRELAXED, Plausibility, crystal_logits
from atomsight.rank.volume import element_counts, expected_volume, fit_volumes
from workshop.plausibility.examples import SMALL, split_crystals
from workshop.plausibility.prototypes import Geometry, match_prototypes, with_elements

K = 16
LIKE, UNLIKE = 3, 40
FEWEST = 5
"""Geometries of other prototypes, below which a crystal is passed over."""

Structure = tuple[Geometry, NDArray[np.int64]]


def scores(network: Plausibility, structures: list[Structure], length: float) -> NDArray[np.float64]:
    """Of structures at one volume, which the length of an atom's cube gives."""
    sizes = np.array([len(element) for _, element in structures])
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    logits = network.site_logits(
        np.concatenate([geometry.distances * length for geometry, _ in structures]).astype(np.float32),
        np.concatenate([g.neighbours + begin for (g, _), begin in zip(structures, begins, strict=True)]),
        np.concatenate([element for _, element in structures]),
        begins,
        np.concatenate([geometry.directions for geometry, _ in structures]),
    )
    return crystal_logits(logits, np.concatenate([g.weight for g, _ in structures]), sizes)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one a line")
    parser.add_argument("--split", default="val")
    parser.add_argument("--network", type=Path, nargs="*", default=[INORGANIC_UNRELAXED, GENERAL])
    given = parser.parse_args()
    left = given.leave_out.read_text().split() if given.leave_out else []
    generator = np.random.default_rng(0)
    train = list(split_crystals(given.dataset, given.small, "train", left))
    volumes = fit_volumes(element_counts(train), np.array([crystal.volume for crystal in train]))
    asked = [c for c in split_crystals(given.dataset, given.small, given.split, left) if c.n_atoms <= SMALL]
    geometries = [Geometry.of(crystal, K) for crystal in (*train, *asked)]
    relations = match_prototypes(geometries)[len(train) :]
    small = np.array([number < len(train) and g.atoms <= SMALL for number, g in enumerate(geometries)])
    cases: list[tuple[float, list[Structure], int]] = []
    for crystal, own, relation in zip(asked, geometries[len(train) :], relations, strict=True):
        like = [pair for pair in relation.like if small[pair[0]]]
        unlike = [(int(n), way) for way, numbers in relation.unlike for n in numbers[small[numbers]]]
        if not like or len(unlike) < FEWEST:
            continue
        chosen = [like[i] for i in generator.permutation(len(like))[:LIKE]]
        others = [unlike[i] for i in generator.permutation(len(unlike))[:UNLIKE]]
        dressed = [
            (geometries[number], with_elements(geometries[number], own.elements, way))
            for number, way in (*chosen, *others)
        ]
        length = (expected_volume(crystal.numbers, volumes) / crystal.n_atoms) ** (1 / 3)
        cases.append((length, [(own, own.elements[own.role]), *dressed], len(chosen)))
    print(f"{date.today()}, {platform.machine()}, {given.split}: {len(cases)} crystals\n")
    print("| network | own prototype above another | above all | own geometry above another |")
    print("|---|---|---|---|")
    for path in given.network:
        network = Plausibility(path, threads=1)
        rows = []
        for length, structures, count in cases:
            score = scores(network, structures, length)
            right, wrong = score[1 : 1 + count], score[1 + count :]
            rows.append(
                (
                    (right[:, None] > wrong).mean(),
                    (right > wrong.max()).mean(),
                    (score[0] > wrong).mean(),
                )
            )
        print(
            f"| {path.name} | {' | '.join(f'{value:.3f}' for value in np.mean(rows, axis=0))} |", flush=True
        )


if __name__ == "__main__":
    main()
