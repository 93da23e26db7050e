"""Real crystals, each followed by decoys of the same formula, as arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import formula_counts
from atomsight.core.errors import InputError
from atomsight.dataset import open_dataset
from atomsight.geometry.neighbours import site_surroundings
from atomsight.io import crystals_of, iter_members
from atomsight.rank.volume import expected_volume
from workshop import decoys
from workshop.plausibility.prototypes import same_prototype

SMALL = 40
"""Largest number of atoms in the cell of a crystal with decoys from templates."""

LARGE = 160
"""Largest number of atoms for decoys without symmetry, in which every atom is a site."""

MOST_ATOMS = 80
"""Largest number of atoms in the cell of inorganic examples."""

TOO_CLOSE = 0.5
"""Å; decoys with shorter distances are dropped."""

SPLITS = ("train", "val")
"""Training and validation split of a dataset."""

Bank = dict[tuple[int, ...], list[Crystal]]
Volumes = NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """Structures one after another, those of one formula together, the real one first.

    Attributes:
        distances: (n, k) float32 Å.
        neighbours: (n, k) int32 site within the structure.
        directions: (n, k, 3) int8, see `neighbours.directions.Surroundings`.
        element: (n,) uint8 atomic number.
        weight: (n,) float32 share of the structure's atoms.
        structure: (n,) int32, which structure a site belongs to, ascending.
        group: (s,) int32, which real crystal a structure belongs to, ascending.
        real: (s,) bool.
        small: (s,) bool, whether it is one of the crystals with templates.
    """

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int32]
    directions: NDArray[np.int8]
    element: NDArray[np.uint8]
    weight: NDArray[np.float32]
    structure: NDArray[np.int32]
    group: NDArray[np.int32]
    real: NDArray[np.bool_]
    small: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Write as ``.npz``."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})


def system(formula: str) -> frozenset[str]:
    """Return the elements of a formula."""
    return frozenset(formula_counts(formula))


def split_crystals(
    dataset: Path,
    archives: Sequence[Path],
    split: str,
    leave_out: Iterable[str] = (),
    most: int | None = None,
    seed: int = 0,
) -> Iterator[Crystal]:
    """Yield the crystals of one split of a dataset, read again with their coordinates.

    Args:
        dataset: tells the split.
        archives: where the files are; the dataset's sources begin with their names.
        split: ``train``, ``val`` or ``test``.
        leave_out: formulas whose chemical systems are passed over.
        most: at most so many of each archive, chosen at random.
        seed: of that choice.
    """
    table = open_dataset(dataset).crystals(["source", "formula", "split"]).to_pydict()
    systems = {system(formula) for formula in leave_out}
    for archive in archives:
        wanted = [
            source
            for source, formula, where in zip(*table.values(), strict=True)
            if where == split and source.split("::")[0] == archive.name and system(formula) not in systems
        ]
        if most is not None and len(wanted) > most:
            chosen = np.random.default_rng(seed).choice(len(wanted), most, replace=False)
            wanted = [wanted[i] for i in chosen]
        names = set(wanted)
        for member in iter_members(archive):
            if f"{archive.name}::{member.source.partition('::')[2]}" in names:
                yield from crystals_of(member)


def inorganic_cells(
    dataset: Path, archives: Sequence[Path], split: str, leave_out: Iterable[str]
) -> list[Crystal]:
    """Return the inorganic crystals of one split for examples, see `split_crystals`.

    Raises:
        InputError: there are none.
    """
    found = [
        crystal
        for crystal in split_crystals(dataset, archives, split, leave_out)
        if crystal.n_atoms <= MOST_ATOMS and "missing_hydrogen" not in crystal.flags
    ]
    if not found:
        raise InputError(f"the {split} split of {dataset} holds no inorganic crystal of the archives")
    return found


def bank_of(crystals: Iterable[Crystal]) -> Bank:
    """Return crystals by their stoichiometry, as templates."""
    bank: Bank = defaultdict(list)
    for crystal in crystals:
        bank[decoys.stoichiometry(crystal)].append(crystal)
    return bank


def decoys_of(
    crystal: Crystal, bank: Bank, volumes: Volumes, generator: np.random.Generator
) -> list[Crystal]:
    """Return some decoys of one crystal, of every kind that is possible for it.

    Exchanges that reproduce the crystal up to scale are no decoys, nor are other crystals of the same
    formula.

    Args:
        crystal: the real one.
        bank: templates; empty for frameworks.
        volumes: of the elements, see `volume.fit_volumes`.
        generator: draws.
    """
    exchanged: list[Crystal | None] = []
    moved: list[Crystal] = []
    real = crystal.volume / crystal.n_atoms
    if crystal.n_atoms <= SMALL and bank:
        expected = expected_volume(crystal.numbers, volumes) / crystal.n_atoms
        formula = crystal.formula
        templates = [t for t in bank.get(decoys.stoichiometry(crystal), ()) if t.formula != formula]
        for _ in range(4 if templates else 0):
            template = templates[int(generator.integers(len(templates)))]
            if template.n_atoms <= SMALL:
                base = real if generator.random() < 0.5 else expected
                volume = base * np.exp(generator.normal(0, 0.1))
                exchanged.append(decoys.decorated(template, crystal, generator, volume))
        if crystal.n_sites > 1:
            exchanged.append(decoys.decorated(crystal, crystal, generator))
    else:
        exchanged += [decoys.swapped(crystal, generator, heavy=True) for _ in range(2)]
    exchanged.append(decoys.swapped(crystal, generator, heavy=bool(generator.random() < 0.5)))
    if crystal.n_atoms <= LARGE:
        moved.append(decoys.shifted(crystal, generator, float(np.exp(generator.uniform(-2.5, -0.7)))))
        moved.append(decoys.strained(crystal, generator, float(generator.uniform(0.04, 0.2))))
        if generator.random() < (1.0 if crystal.n_atoms <= SMALL else 0.3):
            moved.append(decoys.packed(crystal, generator))
    false = [decoy for decoy in exchanged if decoy is not None and not same_prototype(decoy, crystal)]
    return false + moved


def examples_of(
    crystals: Iterable[Crystal], bank: Bank, volumes: Volumes, k: int, generator: np.random.Generator
) -> Examples:
    """Return all crystals with their decoys as arrays, without decoys with distances below `TOO_CLOSE`."""
    columns: list[tuple[NDArray[Any], ...]] = []
    structures: list[tuple[int, bool, bool]] = []
    for group, crystal in enumerate(crystals):
        for place, structure in enumerate([crystal, *decoys_of(crystal, bank, volumes, generator)]):
            distances, neighbours, directions = site_surroundings(structure, k)
            if place and distances[:, 0].min() < TOO_CLOSE:
                continue
            around = distances.astype(np.float32), neighbours.astype(np.int32), directions
            weight = (structure.multiplicities / structure.n_atoms).astype(np.float32)
            columns.append((*around, structure.site_numbers, weight))
            structures.append((group, place == 0, crystal.n_atoms <= SMALL and bool(bank)))
    number = np.repeat(np.arange(len(columns), dtype=np.int32), [len(parts[-1]) for parts in columns])
    groups, real, small = map(np.array, zip(*structures, strict=True))
    arrays: list[NDArray[Any]] = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    arrays += [number, groups.astype(np.int32), real, small]
    return Examples(*arrays)
