"""Many crystals in one call: flattened arrays in, one compiled loop, structures in parallel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.neighbours.knn import Neighbours

_ready = False


def solve(
    lattices: NDArray[np.float64],
    fractional: NDArray[np.float64],
    offsets: NDArray[np.int64],
    k: int,
    own: NDArray[np.int64],
    free: NDArray[np.float64] | None,
    query_offsets: NDArray[np.int64],
    images: bool = True,
) -> Neighbours:
    """Run the kernel on checked arguments."""
    from atomsight.neighbours._compiled import announced
    from atomsight.neighbours._grid import search_many

    global _ready
    m = int(query_offsets[-1])
    distances = np.empty((m, k))
    indices = np.empty((m, k), np.int64)
    shifts = np.empty((m if images else 0, k, 3), np.int32)
    if free is None:
        free = np.empty((0, 3))
    args = (
        lattices,
        fractional,
        offsets,
        own,
        free,
        query_offsets,
        k,
        distances,
        indices,
        shifts,
        0,
        len(lattices),
    )
    if _ready:
        search_many(*args)
    else:
        with announced():
            search_many(*args)
        _ready = True
    return distances, indices, shifts
