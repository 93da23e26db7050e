"""Decoys: structures that have the formula of a real crystal and are not it, for training and for measuring.

| function | what it makes of a real crystal |
|---|---|
| `swapped` | two kinds of site exchange their elements |
| `shifted` | every atom moved at random |
| `strained` | the cell sheared and stretched at the same volume |
| `packed` | the same atoms strewn over a random cell, pushed apart |
| `decorated` | another crystal's geometry with this one's elements |

Molecules packed anew are in ``packings.py``. All of them draw from a NumPy generator, so a seed decides
everything.
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
"""Steps in which atoms of a random packing are pushed apart."""

CLOSEST = 0.95
"""Times the sum of covalent radii: how far apart a random packing tries to push its atoms."""


def in_p1(
    crystal: Crystal,
    lattice: NDArray[np.float64] | None = None,
    fractional: NDArray[np.float64] | None = None,
    numbers: NDArray[np.uint8] | None = None,
) -> Crystal:
    """The crystal with every atom a site of its own, in another cell or with other positions or elements."""
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
    """The same geometry and orbits with other elements, (n_atoms,) atomic numbers."""
    first = crystal.representatives
    labels = tuple(f"{SYMBOLS[z]}{i + 1}" for i, z in enumerate(numbers[first].tolist()))
    return replace(crystal, numbers=numbers, labels=labels, bonds=None, formula_sum=None)


def scaled(crystal: Crystal, volume: float) -> Crystal:
    """The crystal blown up or shrunk to another cell volume, Å³."""
    return replace(crystal, lattice=crystal.lattice * (volume / crystal.volume) ** (1 / 3), bonds=None)


def swapped(crystal: Crystal, generator: np.random.Generator, *, heavy: bool = False) -> Crystal | None:
    """Two orbits of equal multiplicity and different elements exchange these; None where there are none.

    Args:
        crystal: the real one.
        generator: draws the pair.
        heavy: spare the hydrogens where that leaves a pair.
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
    """Every atom moved by normal errors of this deviation (Å) along each axis."""
    moves = generator.normal(0, deviation, crystal.fractional.shape)
    return in_p1(crystal, fractional=crystal.fractional + moves @ np.linalg.inv(crystal.lattice))


def strained(crystal: Crystal, generator: np.random.Generator, size: float) -> Crystal:
    """The cell deformed at constant volume by a symmetric strain whose largest eigenvalue is `size`."""
    strain = generator.normal(size=(3, 3))
    strain = strain + strain.T
    strain -= np.eye(3) * np.trace(strain) / 3
    strain *= size / np.abs(np.linalg.eigvalsh(strain)).max()
    lattice = crystal.lattice @ (np.eye(3) + strain)
    lattice *= (crystal.volume / abs(np.linalg.det(lattice))) ** (1 / 3)
    return in_p1(crystal, lattice=lattice)


def random_cell(generator: np.random.Generator, volume: float) -> NDArray[np.float64]:
    """(3, 3) rows of a random cell that is not too flat, Å, of the volume given in Å³."""
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
    return rows * (volume / abs(np.linalg.det(rows))) ** (1 / 3)


def packed(crystal: Crystal, generator: np.random.Generator, volume: float | None = None) -> Crystal:
    """The atoms of the cell at random places of a random cell, pushed apart where they overlap.

    Args:
        crystal: gives the atoms.
        generator: draws cell and places.
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
    """The reduced counts of the elements, ascending and without the names: (1, 1, 3) for every ABX3."""
    counts = np.bincount(crystal.numbers)
    counts = np.sort(counts[counts > 0])
    return tuple((counts // np.gcd.reduce(counts)).tolist())


def decorated(
    template: Crystal, crystal: Crystal, generator: np.random.Generator, volume: float | None = None
) -> Crystal:
    """The template's geometry with the elements of a crystal of the same `stoichiometry`.

    Elements go to those of the template that are as many; where several are, at random.

    Args:
        template: gives cell shape, positions and orbits.
        crystal: gives the elements.
        generator: draws.
        volume: per atom, Å³; None keeps the template's.
    """
    theirs, counts = np.unique(template.numbers, return_counts=True)
    ours, wanted = np.unique(crystal.numbers, return_counts=True)
    given = theirs[np.lexsort((generator.random(len(theirs)), counts))]
    taken = ours[np.lexsort((generator.random(len(ours)), wanted))]
    table = np.zeros(256, np.uint8)
    table[given] = taken
    new = with_elements(template, table[template.numbers])
    return new if volume is None else scaled(new, volume * template.n_atoms)
