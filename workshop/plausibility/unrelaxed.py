"""Training data of the network for unrelaxed candidates: geometries of a formula's prototype among others.

All structures of a formula have the volume expected for it, so that the volume holds no information. The
crystal and the geometries of other compounds of its prototype with its elements count as real (`prototypes`).
These keep the cell shape and the free coordinates of the other compound.
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
from atomsight.training.plausibility.batch import Structures, batch_of
from workshop import decoys
from workshop.plausibility.examples import SMALL, TOO_CLOSE, inorganic_cells
from workshop.plausibility.prototypes import Geometry, Matches, match_prototypes, with_elements

Geometries = Sequence[Geometry]

LIKE, UNLIKE = 3, 7
"""Largest number of structures in a group of the same prototype and of other prototypes."""

GROUPS_PER_STEP = 48

SIZE = 0.03
"""Standard deviation of the logarithm of a formula's lengths relative to the expected ones."""

STRAIN = 0.015
"""Standard deviation of the logarithm of a structure's lengths relative to those of its formula."""

NOISE = 0.06
"""Å; largest standard deviation of the noise on the vector to each neighbour, along each axis."""

SHIFTS, SHEARS = (0.13, 0.6), (0.08, 0.25)
"""Displacement of the atoms of a decoy, Å, and strain of its cell: more than a relaxation removes."""


@dataclass(frozen=True)
class Candidate:
    """A geometry with elements."""

    geometry: Geometry
    element: NDArray[np.int64]
    real: bool


class Unrelaxed:
    """Training batches for unrelaxed candidates, see `train.Source`.

    Attributes:
        real_weight: see `train.Source`.
    """

    real_weight = 1.0

    def __init__(
        self, geometries: Geometries, lengths: NDArray[np.float64], distorted: Sequence[Geometries]
    ) -> None:
        self._geometries, self._lengths, self._distorted = geometries, lengths, distorted
        self._matches: list[Matches] = match_prototypes(geometries)

    @classmethod
    def prepared(
        cls, dataset: Path, archives: Sequence[Path], split: str, leave_out: Sequence[str], seed: int, k: int
    ) -> Unrelaxed:
        """Create from the inorganic crystals of archives that are in a split of a dataset."""
        generator = np.random.default_rng(seed)
        crystals = inorganic_cells(dataset, archives, split, leave_out)
        volumes = fit_volumes(element_counts(crystals), np.array([crystal.volume for crystal in crystals]))
        lengths = [(expected_volume(c.numbers, volumes) / c.n_atoms) ** (1 / 3) for c in crystals]
        geometries = [Geometry.of(crystal, k) for crystal in crystals]
        made = cls(geometries, np.array(lengths), [distorted(c, k, generator) for c in crystals])
        alone = np.mean([not one.same for one in made._matches])
        print(f"{split}: {len(crystals)} inorganic crystals, {alone:.0%} without another of their prototype")
        return made

    def batches(self, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """Yield one pass over all crystals in random order, each with newly drawn candidates."""
        order = generator.permutation(len(self._geometries))
        for start in range(0, len(order), GROUPS_PER_STEP):
            held, group, stretch = [], [], []
            for place, number in enumerate(order[start : start + GROUPS_PER_STEP].tolist()):
                candidates = self.candidates(number, generator)
                length = self._lengths[number] * np.exp(generator.normal(0, SIZE))
                held += candidates
                group += [place] * len(candidates)
                stretch += [length] * len(candidates)
            lengths = np.array(stretch) * np.exp(generator.normal(0, STRAIN, len(held)))
            distances, neighbours, directions = (
                np.concatenate([getattr(one.geometry, name) for one in held])
                for name in ("distances", "neighbours", "directions")
            )
            element = np.concatenate([one.element for one in held])
            weight = np.concatenate([one.geometry.weight for one in held])
            sizes = np.array([len(one.element) for one in held])
            structures = Structures(distances, neighbours, directions, element, weight, sizes)
            yield batch_of(structures, group, [one.real for one in held], lengths, NOISE, generator)

    def candidates(self, number: int, generator: np.random.Generator) -> list[Candidate]:
        """Return a crystal, geometries of its and other prototypes with its elements, and a distorted one."""
        own, matches = self._geometries[number], self._matches[number]
        answer = [Candidate(own, own.elements[own.role], True)]
        if matches.same:
            chosen = generator.choice(len(matches.same), min(LIKE, len(matches.same)), replace=False)
            for other, way in (matches.same[i] for i in chosen):
                geometry = self._geometries[other]
                answer.append(Candidate(geometry, with_elements(geometry, own.elements, way), True))
        others = [(way, numbers) for way, numbers in matches.other if len(numbers)]
        for _ in range(3 * UNLIKE if others else 0):
            way, numbers = others[generator.integers(len(others))]
            geometry = self._geometries[int(generator.choice(numbers))]
            if geometry.atoms <= SMALL:
                answer.append(Candidate(geometry, with_elements(geometry, own.elements, way), False))
            if len(answer) - sum(one.real for one in answer) == UNLIKE:
                break
        if distorted_ones := self._distorted[number]:
            geometry = distorted_ones[int(generator.integers(len(distorted_ones)))]
            answer.append(Candidate(geometry, geometry.elements[geometry.role], False))
        return answer


def distorted(crystal: Crystal, k: int, generator: np.random.Generator) -> list[Geometry]:
    """Return the crystal with displaced atoms, with random positions, and sheared; large ones give none."""
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
