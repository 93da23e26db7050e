"""What the network of unrelaxed candidates learns from: geometries of a formula's prototype beside others.

All structures of a formula stand at one volume, the one that the formula lets expect, so that it tells
nothing. Those that count as real are the crystal itself and the geometries of other compounds of its
prototype with its elements (`prototypes`): cell shape and free coordinates are still the other compound's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atomsight.core.crystal import Crystal
from atomsight.rank.volume import element_counts, expected_volume, fit_volumes
from atomsight.training.plausibility.batch import batch_of
from workshop import decoys
from workshop.plausibility.examples import SMALL, TOO_CLOSE, inorganic_cells
from workshop.plausibility.prototypes import Geometry, Kin, kin, with_elements

LIKE, UNLIKE = 3, 7
"""Structures a group: at most so many other compounds of the prototype, and so many of other prototypes."""

GROUPS_PER_STEP = 48

SIZE = 0.03
"""Deviation of the logarithm of a formula's lengths from the expected ones: the expectation errs."""

STRAIN = 0.015
"""Deviation of the logarithm of one structure's lengths from those of its formula."""

NOISE = 0.06
"""Å; largest deviation of the noise on the way to each neighbour, along each axis."""

SHIFTS, SHEARS = (0.13, 0.6), (0.08, 0.25)
"""Å and 1; how far the atoms of a decoy are moved, how much its cell is strained: more than a relaxation
would mend."""


@dataclass(frozen=True)
class Candidate:
    """A geometry with elements."""

    geometry: Geometry
    element: NDArray[np.int64]
    real: bool


class Unrelaxed:
    """Steps of training for candidates that are not relaxed, see `train.Source`.

    Attributes:
        real_weight: see `train.Source`.
    """

    real_weight = 1.0

    def __init__(
        self,
        geometries: Sequence[Geometry],
        lengths: NDArray[np.float64],
        broken: Sequence[Sequence[Geometry]],
    ) -> None:
        self._geometries, self._lengths, self._broken = geometries, lengths, broken
        self._kin: list[Kin] = kin(geometries)

    @classmethod
    def prepared(
        cls, dataset: Path, archives: Sequence[Path], split: str, leave_out: Sequence[str], seed: int, k: int
    ) -> Unrelaxed:
        """From the inorganic crystals of archives that are in a split of a dataset."""
        generator = np.random.default_rng(seed)
        crystals = inorganic_cells(dataset, archives, split, leave_out)
        volumes = fit_volumes(element_counts(crystals), np.array([crystal.volume for crystal in crystals]))
        lengths = [(expected_volume(c.numbers, volumes) / c.n_atoms) ** (1 / 3) for c in crystals]
        made = cls(
            [Geometry.of(crystal, k) for crystal in crystals],
            np.array(lengths),
            [spoilt(crystal, k, generator) for crystal in crystals],
        )
        alone = np.mean([not one.like for one in made._kin])
        print(f"{split}: {len(crystals)} inorganic crystals, {alone:.0%} without another of their prototype")
        return made

    def batches(self, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """One pass over all crystals in random order, each beside candidates that are drawn anew."""
        order = generator.permutation(len(self._geometries))
        for start in range(0, len(order), GROUPS_PER_STEP):
            held, group, stretch = [], [], []
            for place, number in enumerate(order[start : start + GROUPS_PER_STEP].tolist()):
                candidates = self.candidates(number, generator)
                length = self._lengths[number] * np.exp(generator.normal(0, SIZE))
                held += candidates
                group += [place] * len(candidates)
                stretch += [length] * len(candidates)
            sizes = np.array([len(one.element) for one in held])
            lengths = np.array(stretch) * np.exp(generator.normal(0, STRAIN, len(held)))
            yield batch_of(
                np.concatenate([one.geometry.distances for one in held]) * np.repeat(lengths, sizes)[:, None],
                np.concatenate([one.geometry.neighbours for one in held]),
                np.concatenate([one.geometry.directions for one in held]),
                np.concatenate([one.element for one in held]),
                np.concatenate([one.geometry.weight for one in held]),
                sizes,
                group,
                [one.real for one in held],
                NOISE * generator.random(len(held)) ** 2,
                generator,
            )

    def candidates(self, number: int, generator: np.random.Generator) -> list[Candidate]:
        """A crystal, others of its prototype and of others with its elements, and a spoilt one."""
        own, kin_of = self._geometries[number], self._kin[number]
        answer = [Candidate(own, own.elements[own.role], True)]
        if kin_of.like:
            chosen = generator.choice(len(kin_of.like), min(LIKE, len(kin_of.like)), replace=False)
            for other, way in (kin_of.like[i] for i in chosen):
                geometry = self._geometries[other]
                answer.append(Candidate(geometry, with_elements(geometry, own.elements, way), True))
        others = [(way, numbers) for way, numbers in kin_of.unlike if len(numbers)]
        for _ in range(3 * UNLIKE if others else 0):
            way, numbers = others[generator.integers(len(others))]
            geometry = self._geometries[int(generator.choice(numbers))]
            if geometry.atoms <= SMALL:
                answer.append(Candidate(geometry, with_elements(geometry, own.elements, way), False))
            if len(answer) - sum(one.real for one in answer) == UNLIKE:
                break
        if spoilt_ones := self._broken[number]:
            geometry = spoilt_ones[int(generator.integers(len(spoilt_ones)))]
            answer.append(Candidate(geometry, geometry.elements[geometry.role], False))
        return answer


def spoilt(crystal: Crystal, k: int, generator: np.random.Generator) -> list[Geometry]:
    """The crystal with its atoms moved, with them strewn anew, and sheared; none of a large one."""
    if crystal.n_atoms > SMALL:
        return []
    low, high = np.log(SHIFTS)
    made = (
        decoys.shifted(crystal, generator, float(np.exp(generator.uniform(low, high)))),
        decoys.packed(crystal, generator),
        decoys.strained(crystal, generator, float(generator.uniform(*SHEARS))),
    )
    found = [Geometry.of(decoy, k) for decoy in made]
    unit = (crystal.volume / crystal.n_atoms) ** (1 / 3)
    return [geometry for geometry in found if geometry.distances[:, 0].min() * unit >= TOO_CLOSE]
