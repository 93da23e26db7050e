"""The one way from a lattice, an atom list and operations to a crystal, whatever format they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import NUMBERS, SYMBOLS, formula_counts
from atomsight.geometry.symmetry import (
    determinant,
    expand,
    find_symmetry,
    first_atoms,
    metric_misfit,
    renumber,
    shortest_translation,
)
from atomsight.io._atoms import AtomTable
from atomsight.io._contacts import close_pairs
from atomsight.io._operations import Operations
from atomsight.io.disorder import resolve
from atomsight.io.policy import DEFAULT, QualityPolicy, SkipError

FURTHEST = 1e6
"""Cells from the origin beyond which a coordinate is none: little of it would be left within the cell."""


@dataclass(frozen=True)
class Structure:
    """What a format says of one structure.

    Attributes:
        lattice: (3, 3), rows are the cell vectors, Å.
        table: the asymmetric unit, or all atoms of the cell where there is no symmetry.
        symmetry: gives the operations, None for the identity alone, and whether they were looked up by the
            group's name; asked once the atoms are known to be good. Default: none are given.
        space_group: Hermann-Mauguin symbol as the source states it.
        formula_sum: formula as the source states it.
        flags: what was noted while it was read, see `quality`.
    """

    lattice: NDArray[np.float64]
    table: AtomTable
    symmetry: Callable[[], tuple[Operations | None, bool]] = lambda: (None, False)
    space_group: str | None = None
    formula_sum: str | None = None
    flags: frozenset[str] = frozenset()


class Assembled(NamedTuple):
    """A crystal, the atoms that it was made of, and for each atom of its motif the row of these."""

    crystal: Crystal
    table: AtomTable
    rows: NDArray[np.integer]


def assemble(structure: Structure, name: str, source: str, policy: QualityPolicy = DEFAULT) -> Assembled:
    """The crystal of a structure, by the one policy on imperfect crystals.

    Raises:
        SkipError: the structure is turned away; `reason` says by which rule.
    """
    lattice, table = structure.lattice, structure.table
    _check_columns(lattice, table)
    if len(table) > policy.max_atoms:
        raise SkipError("too_many_atoms", f"{len(table)} atoms; the limit is {policy.max_atoms}")
    noted = set(structure.flags)
    noted |= {"deuterium"} if table.deuterium else set()
    table, more = _located(table)
    noted |= more
    table, resolved = resolve(table, lattice, policy)
    noted |= resolved
    if not len(table):
        raise SkipError("no_sites", "no atom is left of the atom list")
    ops, by_name = structure.symmetry()
    if ops is None:
        noted.add("from_p1")
        fractional = table.fractional - np.floor(table.fractional)
        fractional[fractional >= 1.0] = 0.0
        orbits = None
    else:
        noted |= {"symmetry_from_name"} if by_name else set()
        _check_metric(lattice, ops[0])
        tolerance = np.where(table.occupancy > 0.999, policy.special_distance, policy.merge_distance)
        filled = expand(lattice, table.fractional, *ops, tolerance, policy.max_atoms)
        if filled is None:
            raise SkipError("too_many_atoms", f"more than {policy.max_atoms} atoms in the cell")
        fractional, orbits = filled.fractional, filled.orbits
    _check_cell(lattice, policy)
    rows = np.arange(len(table)) if orbits is None else orbits
    numbers = table.numbers[rows]
    _check_density(lattice, len(numbers), policy)
    keep = _apart(lattice, fractional, numbers, rows, table, policy)
    if keep is not None:
        noted.add("duplicates_merged")
        fractional, numbers, rows = fractional[keep], numbers[keep], rows[keep]
    in_p1 = orbits is None
    if in_p1:
        sites, primitive = find_symmetry(lattice, fractional, numbers, policy.symprec)
    else:
        sites, primitive = renumber(rows), None
    labels = table.labels_at(rows[first_atoms(sites)])
    formula = structure.formula_sum
    if (numbers == 1).any():
        noted.add("has_hydrogen")
    if formula and lacks_hydrogen(formula, numbers):
        noted.add("missing_hydrogen")
    group = None if in_p1 else structure.space_group
    crystal = Crystal(
        name, lattice, fractional, numbers, sites, labels, source, group, formula, frozenset(noted)
    )
    if primitive is not None:
        crystal.cached(("primitive atoms", policy.symprec), lambda: primitive)
    return Assembled(crystal, table, rows)


def lattice_of(parameters: Sequence[float]) -> NDArray[np.float64]:
    """(3, 3) rows of the cell vectors, Å: a along x, b in the xy plane.

    Args:
        parameters: three lengths, Å, and three angles, °.

    Raises:
        SkipError: ``bad_cell`` where there is no such cell, or one without volume.
    """
    a, b, c, *angles = parameters
    stated = " ".join(f"{value:g}" for value in parameters)
    if min(a, b, c) <= 0 or max(a, b, c) > 1e4 or not all(0 < angle < 180 for angle in angles):
        raise SkipError("bad_cell", f"cell parameters {stated} make no cell")
    cos_a, cos_b, cos_g = (0.0 if angle == 90.0 else math.cos(math.radians(angle)) for angle in angles)
    square = 1 - cos_a * cos_a - cos_b * cos_b - cos_g * cos_g + 2 * cos_a * cos_b * cos_g
    if not square >= 1e-8:
        raise SkipError("bad_cell", f"cell angles {' '.join(stated.split()[3:])} close to no volume")
    sin_g = math.sqrt(1 - cos_g * cos_g)
    along = cos_a - cos_b * cos_g
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * cos_g, b * sin_g, 0.0],
            [c * cos_b, c * along / sin_g, c * math.sqrt(square) / sin_g],
        ]
    )


def _check_columns(lattice: NDArray[np.float64], table: AtomTable) -> None:
    """Everything that compiled code relies on, for it does not look again: shapes, types and element numbers.

    Raises:
        SkipError: ``syntax``.
    """
    n = len(table)
    columns = (table.labels, table.fractional, table.occupancy, table.groups, table.assemblies)
    lengths = [n, *(len(column) for column in columns if column is not None)]
    if len(set(lengths)) > 1:
        raise SkipError("syntax", f"columns of {' and '.join(map(str, sorted(set(lengths))))} atoms")
    arrays: tuple[NDArray[Any], ...] = (lattice, table.fractional, table.occupancy, table.numbers)
    shapes, types = zip(*((array.shape, array.dtype.char) for array in arrays), strict=True)
    if shapes != ((3, 3), (n, 3), (n,), (n,)) or types != ("d", "d", "d", "B"):
        raise SkipError("syntax", "the cell, the positions or the occupancies are no columns of numbers")
    if not np.isfinite(lattice).all():
        raise SkipError("bad_cell", "a component of the cell is no finite number")
    if n and not (table.numbers.min() > 0 and table.numbers.max() < len(SYMBOLS)):
        raise SkipError("unknown_element", "an atomic number is that of no element")


def _located(table: AtomTable) -> tuple[AtomTable, set[str]]:
    """The atoms that have coordinates, with the flags.

    A hydrogen without coordinates is left out; any other such atom is an error.
    """
    known: NDArray[np.bool_] = np.asarray((np.abs(table.fractional) <= FURTHEST).all(axis=1))
    if known.all():
        return table, set()
    lost = np.flatnonzero(~known & (table.numbers != 1))
    if len(lost):
        told = "no coordinates" if np.isnan(table.fractional[lost[0]]).any() else "impossible coordinates"
        raise SkipError("missing_coordinates", f"atom {table.labels[lost[0]]!r} has {told}")
    return table.take(known), {"missing_hydrogen"}


def _check_cell(lattice: NDArray[np.float64], policy: QualityPolicy) -> None:
    a, b, c = lattice.tolist()
    faces = max(math.hypot(*_cross(a, b)), math.hypot(*_cross(b, c)), math.hypot(*_cross(c, a)))
    # No translation is shorter than the smallest distance of lattice planes, which needs no reduction.
    if abs(determinant(lattice)) > 1.001 * policy.min_translation * faces:
        return
    shortest = math.hypot(*shortest_translation(lattice).tolist())
    if shortest < policy.min_translation:
        limit = f"(limit {policy.min_translation:g})"
        raise SkipError("bad_cell", f"the lattice repeats after {shortest:.3g} Å {limit}")


def _cross(u: list[float], v: list[float]) -> tuple[float, float, float]:
    return u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]


def _check_metric(lattice: NDArray[np.float64], rotations: NDArray[np.float64]) -> None:
    """The operations keep the lengths and angles of the cell; a slip in a cell angle shows here."""
    if metric_misfit(lattice, rotations) > 0.02:
        raise SkipError("bad_symmetry", "the cell parameters do not have the symmetry of the operations")


def _check_density(lattice: NDArray[np.float64], n_atoms: int, policy: QualityPolicy) -> None:
    share = abs(determinant(lattice)) / n_atoms
    if not policy.min_volume <= share <= policy.max_volume:
        limits = f"{policy.min_volume:g} to {policy.max_volume:g}"
        raise SkipError("density", f"{share:.3g} Å³ per atom, outside of {limits}")


def _apart(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    rows: NDArray[np.integer],
    table: AtomTable,
    policy: QualityPolicy,
) -> NDArray[np.bool_] | None:
    """Which atoms are kept, None for all.

    Of an atom that is listed twice one is kept, with its orbit. Other close contacts are an error.
    """
    keep = np.ones(len(numbers), bool)
    while True:
        at = np.flatnonzero(keep)
        pairs, distances = close_pairs(lattice, fractional[at], policy.min_distance, 4 * len(at) + 16)
        if not len(pairs):
            return None if keep.all() else keep
        first, second = at[pairs[:, 0]], at[pairs[:, 1]]
        copies = (numbers[first] == numbers[second]) & (distances <= policy.merge_distance)
        copies &= rows[first] != rows[second]
        if not copies.all():
            k = int(np.flatnonzero(~copies)[np.argmin(distances[~copies])])
            one, other = table.labels[rows[first[k]]], table.labels[rows[second[k]]]
            text = f"atoms {one!r} and {other!r} are {distances[k]:.3f} Å apart"
            raise SkipError("close_contact", f"{text} (limit {policy.min_distance:g})")
        keep &= ~np.isin(rows, np.maximum(rows[first], rows[second]))


def lacks_hydrogen(formula: str, numbers: NDArray[np.uint8]) -> bool:
    """Whether the formula promises more hydrogens than there are, measured against the other elements.

    The number of formula units is the median over the other elements; half a hydrogen of a formula unit is
    granted to rounding.
    """
    stated = formula_counts(formula)
    promised = stated.pop("H", 0.0)
    if not promised:
        return False
    present = np.bincount(numbers, minlength=2)
    units = [
        present[NUMBERS[symbol]] / count
        for symbol, count in stated.items()
        if count and NUMBERS[symbol] < len(present) and present[NUMBERS[symbol]]
    ]
    if not units:
        return False
    return bool((promised - 0.5) * median(units) > present[1])
