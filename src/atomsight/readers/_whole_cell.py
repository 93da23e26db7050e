"""A cell given atom by atom, every one of them full: all that is asked of it in one compiled call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.labels import Labels, gather
from atomsight.readers._block import PlainBlock
from atomsight.readers._contacts import close_pairs
from atomsight.readers._numbers import POWERS
from atomsight.readers._scan import ELEMENTS, HEAVY, NOT_PLAIN, roles_of, scan_rows
from atomsight.readers.quality import QualityPolicy
from atomsight.symmetry import (
    SEARCHED_AT_ONCE,
    determinant,
    fill_lattice,
    firsts_of,
    orbits_of,
    reduce_lattice,
)

FULL = 0.999
"""Occupancy from which on a site is full."""


class WholeCell(NamedTuple):
    """What was found of a cell.

    Attributes:
        fractional: (n, 3), in [0, 1).
        orbits: (n,) int32, see `symmetry.find_orbits`.
        firsts: (m,) int64, the first atom of each orbit.
        hydrogen: whether there is any.
    """

    fractional: NDArray[np.float64]
    orbits: NDArray[np.int32]
    firsts: NDArray[np.int64]
    hydrogen: bool


class PlainCell(NamedTuple):
    """A cell from its text.

    Attributes:
        lattice: (3, 3) rows of the cell vectors, Å.
        fractional, orbits, hydrogen: as those of `WholeCell`.
        numbers: (n,) uint8 atomic numbers.
        labels: of each orbit's first atom.
        deuterium: whether some hydrogen was given as D or T.
    """

    lattice: NDArray[np.float64]
    fractional: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    orbits: NDArray[np.int32]
    labels: Sequence[str]
    hydrogen: bool
    deuterium: bool


def whole_cell(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    occupancy: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    policy: QualityPolicy,
) -> WholeCell | None:
    """The orbits of a cell without symmetry operations; None where anything is to be looked at closer.

    Args:
        lattice: (3, 3) rows of the cell vectors, Å.
        fractional, occupancy, numbers: (n, 3), (n,) and (n,) of all atoms of the cell.
        policy: its limits on distances, volume and the lattice are those that must be kept.
    """
    points, orbits = np.array(fractional), np.empty(len(numbers), np.int32)
    verdict, firsts = _look(lattice, points, occupancy, numbers, orbits, *_limits(policy))
    return None if verdict == _DOUBTFUL else WholeCell(points, orbits, firsts, verdict == _HYDROGEN)


def plain_cell(block: PlainBlock, policy: QualityPolicy) -> PlainCell | None:
    """The same straight from the text of a block; None also where its list of atoms is not plain."""
    loop = block.find_loop("_atom_site_fract_x").get_loop()
    if loop is None or not 0 < loop.length() <= policy.max_atoms:
        return None
    roles = roles_of(loop.header)
    if roles is None:
        return None
    n = loop.length()
    lattice, fractional = np.empty((3, 3)), np.empty((n, 3))
    numbers, orbits = np.empty(n, np.uint8), np.empty(n, np.int32)
    verdict, heavy, data, bounds = _read(
        *(np.frombuffer(block.text, np.uint8), loop.begin, roles, ELEMENTS, POWERS, block.cell),
        *(lattice, fractional, numbers, orbits),
        *_limits(policy),
    )
    if verdict == _DOUBTFUL:
        return None
    return PlainCell(lattice, fractional, numbers, orbits, Labels(data, bounds), verdict == _HYDROGEN, heavy)


def _limits(policy: QualityPolicy) -> tuple[float, float, float, float, float]:
    return (
        *(policy.min_translation, policy.min_volume, policy.max_volume),
        *(policy.min_distance, policy.symprec),
    )


_DOUBTFUL, _FINE, _HYDROGEN = 0, 1, 2


@compiled
def _read(
    text: NDArray[np.uint8],
    start: int,
    roles: NDArray[np.int64],
    elements: NDArray[np.int64],
    powers: NDArray[np.float64],
    cell: NDArray[np.float64],
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    orbits: NDArray[np.int32],
    min_translation: float,
    min_volume: float,
    max_volume: float,
    min_distance: float,
    symprec: float,
) -> tuple[int, bool, NDArray[np.uint8], NDArray[np.int64]]:
    """Fill the arrays; a verdict, whether there is deuterium, and the labels of the sites."""
    n = len(numbers)
    occupancy = np.ones(n)
    spans = np.empty((n, 2), np.int64)
    doubtful = (_DOUBTFUL, False, np.empty(0, np.uint8), np.empty(0, np.int64))
    for i in range(6):
        if not 0.0 < cell[i] < (180.0 if i > 2 else 1e4):
            return doubtful
    if not fill_lattice(cell, lattice):
        return doubtful
    read = scan_rows(text, start, roles, elements, powers, fractional, occupancy, numbers, spans)
    if read == NOT_PLAIN:
        return doubtful
    verdict, firsts = _look(
        lattice, fractional, occupancy, numbers, orbits,
        min_translation, min_volume, max_volume, min_distance, symprec,
    )  # fmt: skip
    if verdict == _DOUBTFUL:
        return doubtful
    data, bounds = gather(text, spans, firsts)
    return verdict, read == HEAVY, data, bounds


@compiled
def _look(
    lattice: NDArray[np.float64],
    points: NDArray[np.float64],
    occupancy: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    orbits: NDArray[np.int32],
    min_translation: float,
    min_volume: float,
    max_volume: float,
    min_distance: float,
    symprec: float,
) -> tuple[int, NDArray[np.int64]]:
    """Bring the points into the cell and find their orbits; a verdict, and the first atoms."""
    n = len(numbers)
    doubtful = (_DOUBTFUL, np.empty(0, np.int64))
    if n == 0:
        return doubtful
    counts = np.zeros(256, np.int64)
    classes = np.empty(n, np.int64)
    for i in range(n):
        if not occupancy[i] >= FULL:
            return doubtful
        for axis in range(3):
            value = points[i, axis]
            if not math.isfinite(value):
                return doubtful
            value -= np.floor(value)
            points[i, axis] = value if value < 1.0 else 0.0
        classes[i] = numbers[i]
        counts[numbers[i]] += 1
    share = abs(determinant(lattice)) / n
    shortest = reduce_lattice(lattice)[0]
    if not min_volume <= share <= max_volume:
        return doubtful
    if not math.sqrt(shortest[0] ** 2 + shortest[1] ** 2 + shortest[2] ** 2) > min_translation * (1 + 1e-9):
        return doubtful
    rarest = n
    for z in range(256):
        if 0 < counts[z] < rarest:
            rarest = counts[z]
    if rarest > SEARCHED_AT_ONCE or len(close_pairs(lattice, points, min_distance, 1)[0]):
        return doubtful
    orbits[:] = orbits_of(lattice, points, classes, symprec)
    return (_HYDROGEN if counts[1] > 0 else _FINE), firsts_of(orbits)
