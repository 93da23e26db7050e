"""Training data of the networks for structures as given: real crystals and decoys of the same formula."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atomsight.rank.volume import element_counts, fit_volumes
from atomsight.training.plausibility.batch import Structures, batch_of
from workshop.plausibility.examples import Examples, bank_of, examples_of, inorganic_cells, split_crystals
from workshop.plausibility.exchange import Exchanges

Elements = NDArray[np.uint8]

Held = tuple[int, Elements | None, int]
"""A structure of a batch: its number, other elements than its own, and the number of its group."""

SITES_PER_STEP = 3000
STRAIN = 0.02
"""Standard deviation of the isotropic strain of real crystals and decoys."""

NOISE = 0.03
"""Å; largest standard deviation of the noise on the vector to each neighbour, along each axis. Small shifts
must not count against a crystal."""

REDECORATED = 2
"""Structures of a group with the real geometry and another formula's elements."""

LARGE_SHARE = 0.5
"""Share of the frameworks in an epoch: they have ten times the sites of inorganic cells."""


@dataclass(frozen=True)
class Choice:
    """Which crystals become examples.

    Attributes:
        most: frameworks of each archive and split.
        leave_out: formulas whose chemical systems are passed over.
        seed: of what is drawn.
        k: neighbours of a site.
    """

    most: int
    leave_out: Sequence[str]
    seed: int
    k: int


class Whole:
    """Training batches for structures as given, see `train.Source`.

    Args:
        examples: crystals with their decoys.
        large_share: of the frameworks in an epoch.
        exchanges: of elements in inorganic crystals and their decoys, drawn anew each time; None for none.

    Attributes:
        real_weight: see `train.Source`.
    """

    real_weight = 4.0

    def __init__(
        self, examples: Examples, large_share: float = LARGE_SHARE, exchanges: Exchanges | None = None
    ) -> None:
        self._examples = examples
        self._large_share = large_share
        self._exchanges = exchanges
        self._structures = np.searchsorted(examples.structure, np.arange(len(examples.real) + 1))
        self._groups = np.searchsorted(examples.group, np.arange(int(examples.group[-1]) + 2))
        self._donors = _Donors(examples, self._structures, self._groups)

    def batches(self, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """Yield one pass over all groups in random order, several in a batch, strained and with noise."""
        structures, groups = self._structures, self._groups
        held: list[Held] = []
        sites = number = 0
        for group in generator.permutation(len(groups) - 1):
            first, last = groups[group], groups[group + 1]
            if not self._examples.small[first] and generator.random() > self._large_share:
                continue
            held += [(s, None, number) for s in range(first, last)]
            sites += structures[last] - structures[first]
            for elements in self._donors.draw(group, generator):
                held.append((first, elements, number))
                sites += len(elements)
            number += 1
            if sites >= SITES_PER_STEP:
                yield self._batch(held, generator)
                held, sites, number = [], 0, 0
        if held:
            yield self._batch(held, generator)

    def _batch(self, held: list[Held], generator: np.random.Generator) -> dict[str, Tensor]:
        examples, structures = self._examples, self._structures
        rows = [np.arange(structures[s], structures[s + 1]) for s, _, _ in held]
        at = np.concatenate(rows)
        stretch = np.exp(generator.normal(0, STRAIN, len(held)))
        elements = [examples.element[r] if e is None else e for r, (_, e, _) in zip(rows, held, strict=True)]
        groups = np.array([g for _, _, g in held])
        if self._exchanges is not None:
            for group in range(groups[-1] + 1):
                first, last = np.searchsorted(groups, [group, group + 1])
                if examples.small[held[first][0]]:
                    own = [elements[i] for i in range(first, last) if held[i][1] is None]
                    weight = examples.weight[rows[first]]
                    stretch[first:last] *= self._exchanges.apply(own, weight, generator)
        around = (examples.distances[at], examples.neighbours[at], examples.directions[at])
        sizes = np.array([len(r) for r in rows])
        drawn = Structures(*around, np.concatenate(elements), examples.weight[at], sizes)
        real = [e is None and bool(examples.real[s]) for s, e, _ in held]
        return batch_of(drawn, groups.tolist(), real, stretch, NOISE, generator)


def examples_of_splits(
    dataset: Path, small: Sequence[Path], large: Sequence[Path], folder: Path, choice: Choice
) -> dict[str, Examples]:
    """Return crystals with their decoys by split, ``train`` and ``val``, from archives or an earlier call.

    Decoys of both splits are made with the templates and volumes of the ``train`` crystals.

    Args:
        dataset: tells the splits.
        small: archives of inorganic cells, which serve each other as templates.
        large: archives of frameworks.
        folder: takes ``train.npz`` and ``val.npz``; what an earlier call left there is read.
        choice: which crystals.

    Raises:
        InputError: a split holds no crystal.
    """
    files = {split: folder / f"{split}.npz" for split in ("train", "val")}
    if all(file.is_file() for file in files.values()):
        return {split: Examples.load(file) for split, file in files.items()}
    generator = np.random.default_rng(choice.seed)
    found: dict[str, Examples] = {}
    inorganic = {split: inorganic_cells(dataset, small, split, choice.leave_out) for split in files}
    train = inorganic["train"]
    bank = bank_of(train)
    volumes = fit_volumes(element_counts(train), np.array([crystal.volume for crystal in train]))
    for split, cells in inorganic.items():
        drawn = split_crystals(dataset, large, split, choice.leave_out, choice.most, choice.seed)
        frameworks = [crystal for crystal in drawn if crystal.n_sites <= 300]
        examples = examples_of(cells, bank, volumes, choice.k, generator)
        if frameworks:
            examples = joined(examples, examples_of(frameworks, {}, volumes, choice.k, generator))
        print(
            f"{split}: {len(cells)} inorganic crystals, {len(frameworks)} frameworks, "
            f"{len(examples.real)} structures, {len(examples.element)} sites"
        )
        found[split] = examples
    folder.mkdir(parents=True, exist_ok=True)
    for split, file in files.items():
        found[split].save(file)
    return found


def joined(one: Examples, other: Examples) -> Examples:
    """Return the examples of two sets one after another."""
    other = replace(other, structure=other.structure + len(one.real), group=other.group + one.group[-1] + 1)
    return Examples(
        **{name: np.concatenate([value, getattr(other, name)]) for name, value in vars(one).items()}
    )


class _Donors:
    """Elements of other formulas with the same stoichiometry, for the geometry of a real crystal."""

    def __init__(self, examples: Examples, structures: NDArray[np.int64], groups: NDArray[np.int64]) -> None:
        self.of_group: list[tuple[tuple[int, ...], Elements, Elements] | None] = []
        self.palette: dict[tuple[int, ...], list[Elements]] = {}
        for group in range(len(groups) - 1):
            first = groups[group]
            if not examples.small[first]:
                self.of_group.append(None)
                continue
            rows = slice(structures[first], structures[first + 1])
            element, weight = examples.element[rows], examples.weight[rows]
            kinds, place = np.unique(element, return_inverse=True)
            share = np.bincount(place, weight)
            units = np.rint(share / share.min() * 12).astype(int)
            order = np.lexsort((kinds, units))
            key = tuple((units[order]).tolist())
            self.palette.setdefault(key, []).append(kinds[order])
            self.of_group.append((key, kinds[order], element))

    def draw(self, group: int, generator: np.random.Generator) -> list[NDArray[np.uint8]]:
        entry = self.of_group[group]
        if entry is None:
            return []
        key, kinds, element = entry
        choices = self.palette[key]
        answer = []
        for _ in range(REDECORATED):
            other = choices[generator.integers(len(choices))]
            if set(other.tolist()) != set(kinds.tolist()):
                table = np.zeros(128, np.uint8)
                table[kinds] = other
                answer.append(table[element])
        return answer
