"""Decoys: false structures with the formula of a real crystal, for training and evaluation.

| function | decoy |
|---|---|
| `swapped` | two orbits exchange their elements |
| `shifted` | every atom is moved randomly |
| `strained` | the cell is deformed at constant volume |
| `packed` | the atoms are placed randomly in a random cell and pushed apart |
| `decorated` | the geometry of another crystal with the elements of this one |

Random packings of molecules are in ``packings.py``. A NumPy generator makes all decoys reproducible.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.geometry.bonds.radii import COVALENT
from atomsight.geometry.neighbours import nearest_neighbours

PUSHES = 40
"""Number of steps in which the atoms of a random packing are pushed apart."""

CLOSEST = 0.95
"""Smallest distance in a random packing over the sum of covalent radii."""


def in_p1(
    crystal: Crystal,
    lattice: NDArray[np.float64] | None = None,
    fractional: NDArray[np.float64] | None = None,
    numbers: NDArray[np.uint8] | None = None,
) -> Crystal:
    """Return the crystal in P1, optionally with another cell, other positions or elements."""
    numbers = crystal.numbers if numbers is None else numbers
    points = crystal.fractional if fractional is None else fractional
    wrapped = points - np.floor(points)
    return replace(
        crystal,
        lattice=crystal.lattice if lattice is None else lattice,
        fractional=np.where(wrapped >= 1.0, 0.0, wrapped),
        numbers=numbers,
        orbits=np.arange(len(numbers), dtype=np.int32),
        labels=tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers.tolist())),
        space_group=None,
        bonds=None,
    )


def with_elements(crystal: Crystal, numbers: NDArray[np.uint8]) -> Crystal:
    """Return the same geometry and orbits with other elements, (n_atoms,) atomic numbers."""
    first = crystal.representatives
    labels = tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers[first].tolist()))
    return replace(crystal, numbers=numbers, labels=labels, bonds=None, formula_sum=None)


def scaled(crystal: Crystal, volume: float) -> Crystal:
    """Scale the crystal to another cell volume, Å³."""
    return replace(crystal, lattice=crystal.lattice * (volume / crystal.volume) ** (1 / 3), bonds=None)


def swapped(crystal: Crystal, generator: np.random.Generator, *, heavy: bool = False) -> Crystal | None:
    """Exchange the elements of two orbits of equal multiplicity.

    Args:
        crystal: the real crystal.
        generator: random numbers.
        heavy: exclude hydrogen if other pairs exist.

    Returns:
        The decoy; None if there is no such pair.
    """
    numbers, copies = crystal.site_numbers.astype(np.int64), crystal.multiplicities
    order = generator.permutation(crystal.n_sites)
    for choices in [order[numbers[order] != 1], order] if heavy else [order]:
        for place, one in enumerate(choices):
            rest = choices[place + 1 :]
            others = rest[(numbers[rest] != numbers[one]) & (copies[rest] == copies[one])]
            if len(others):
                new = numbers.copy()
                new[[one, others[0]]] = numbers[[others[0], one]]
                return with_elements(crystal, new[crystal.orbits].astype(np.uint8))
    return None


def shifted(crystal: Crystal, generator: np.random.Generator, deviation: float) -> Crystal:
    """Move every atom by normal errors of this standard deviation (Å) along each axis."""
    moves = generator.normal(0, deviation, crystal.fractional.shape)
    return in_p1(crystal, fractional=crystal.fractional + moves @ np.linalg.inv(crystal.lattice))


def strained(crystal: Crystal, generator: np.random.Generator, size: float) -> Crystal:
    """Deform the cell at constant volume by a symmetric strain whose largest eigenvalue is `size`."""
    strain = generator.normal(size=(3, 3))
    strain = strain + strain.T
    strain -= np.eye(3) * np.trace(strain) / 3
    strain *= size / np.abs(np.linalg.eigvalsh(strain)).max()
    lattice = crystal.lattice @ (np.eye(3) + strain)
    lattice *= (crystal.volume / abs(np.linalg.det(lattice))) ** (1 / 3)
    return in_p1(crystal, lattice=lattice)


def random_cell(generator: np.random.Generator, volume: float) -> NDArray[np.float64]:
    """Draw a random cell that is not too flat: (3, 3) rows in Å, for a volume in Å³."""
    while True:
        lengths = np.exp(generator.normal(0, 0.25, 3))
        cosines = np.cos(np.radians(generator.uniform(65, 115, 3)))
        square = 1 - (cosines**2).sum() + 2 * cosines.prod()
        if square > 0.3:
            break
    alpha, beta, gamma = cosines
    sine = np.sqrt(1 - gamma**2)
    rows = np.array(
        [[1, 0, 0], [gamma, sine, 0], [beta, (alpha - beta * gamma) / sine, np.sqrt(square) / sine]]
    )
    rows *= lengths[:, None]
    return np.asarray(rows * (volume / abs(np.linalg.det(rows))) ** (1 / 3))


def packed(crystal: Crystal, generator: np.random.Generator, volume: float | None = None) -> Crystal:
    """Place the atoms of a crystal randomly in a random cell, and push overlapping atoms apart.

    Args:
        crystal: the real crystal.
        generator: random numbers.
        volume: Å³; None keeps the crystal's.
    """
    lattice = random_cell(generator, crystal.volume if volume is None else volume)
    inverse = np.linalg.inv(lattice)
    points = generator.random((crystal.n_atoms, 3))
    radii = COVALENT[crystal.numbers] * CLOSEST
    k = 6
    for _ in range(PUSHES):
        distances, other, images = nearest_neighbours(lattice, points, k)
        short = radii[:, None] + radii[other] - distances
        if short.max() < 0.05:
            break
        apart = (points[:, None] - points[other] - images) @ lattice
        length = np.linalg.norm(apart, axis=-1, keepdims=True)
        push = (np.clip(short, 0, 1)[..., None] * apart / np.maximum(length, 1e-3)).sum(axis=1)
        points = points + 0.4 * push @ inverse
        points -= np.floor(points)
    return in_p1(crystal, lattice=lattice, fractional=points)


def stoichiometry(crystal: Crystal) -> tuple[int, ...]:
    """Return the ascending reduced counts of the elements: (1, 1, 3) for every ABX3."""
    counts = np.bincount(crystal.numbers)
    counts = np.sort(counts[counts > 0])
    return tuple((counts // np.gcd.reduce(counts)).tolist())


def decorated(
    template: Crystal, crystal: Crystal, generator: np.random.Generator, volume: float | None = None
) -> Crystal:
    """Give a template the elements of a crystal of the same `stoichiometry`.

    An element replaces one with the same count, chosen randomly if there are several.

    Args:
        template: crystal with the cell shape, positions and orbits.
        crystal: crystal with the elements.
        generator: random numbers.
        volume: volume per atom, Å³; None keeps the template's.
    """
    theirs, counts = np.unique(template.numbers, return_counts=True)
    ours, wanted = np.unique(crystal.numbers, return_counts=True)
    given = theirs[np.lexsort((generator.random(len(theirs)), counts))]
    taken = ours[np.lexsort((generator.random(len(ours)), wanted))]
    table = np.zeros(256, np.uint8)
    table[given] = taken
    new = with_elements(template, table[template.numbers])
    return new if volume is None else scaled(new, volume * template.n_atoms)
