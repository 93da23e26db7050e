"""A cell given atom by atom, every one of them full: all that is asked of it in one compiled call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.readers._contacts import close_pairs
from atomsight.readers.quality import QualityPolicy
from atomsight.symmetry import (
    SEARCHED_AT_ONCE,
    determinant,
    firsts_of,
    orbits_of,
    reduce_lattice,
)

FULL = 0.999
"""Occupancy from which on a site is full."""

FURTHEST = 1e6
"""Cells from the origin beyond which a coordinate is none: little of it would be left within the cell."""


def limits(policy: QualityPolicy) -> tuple[float, float, float, float, float]:
    """What `look` is to keep to."""
    return (
        *(policy.min_translation, policy.min_volume, policy.max_volume),
        *(policy.min_distance, policy.symprec),
    )


DOUBTFUL, _FINE, HYDROGEN = 0, 1, 2
"""Verdicts on a cell: to be looked at closer, fine, fine and with hydrogen."""


@compiled
def look(
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
    doubtful = (DOUBTFUL, np.empty(0, np.int64))
    if n == 0:
        return doubtful
    counts = np.zeros(256, np.int64)
    classes = np.empty(n, np.int64)
    for i in range(n):
        if not occupancy[i] >= FULL:
            return doubtful
        for axis in range(3):
            value = points[i, axis]
            if not abs(value) <= FURTHEST:
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
    return (HYDROGEN if counts[1] > 0 else _FINE), firsts_of(orbits)
