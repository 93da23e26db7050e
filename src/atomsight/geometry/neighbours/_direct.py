"""The k-NN search in NumPy, with the bits of `_kernel`, for inputs that are not worth its compilation."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.cell import face_distances, invert_transform, reduce_cell
from atomsight.geometry.neighbours._kernel import ROUNDING, _first_reach, _verdict

Found = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def search_directly(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    queries: NDArray[Any],
    k: int,
    most: int = 1_000_000,
) -> Found | int | None:
    """Search one structure.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å.
        fractional: (n, 3).
        queries: (m,) atoms, or (m, 3) fractional positions.
        k: how many neighbours.
        most: distances that may be computed, and copies of points that may be made.

    Returns:
        Distances (m, k), indices (m, k) and images (m, k, 3); the verdict on a structure that cannot be
        searched (``knn.VERDICTS``); None where more than ``most`` are needed.
    """
    free = queries if queries.ndim == 2 else np.empty((0, 3))
    verdict = _verdict(lattice, fractional, free)
    if verdict:
        return verdict
    cell, height = np.empty((3, 3)), np.empty(3)
    transform, inverse = np.empty((3, 3), np.int64), np.empty((3, 3), np.int64)
    reduce_cell(lattice, cell, transform)
    invert_transform(transform, inverse)
    reach = _first_reach(len(fractional), face_distances(cell, height), cell, k)
    wrapped, taken = _wrap(fractional, transform, inverse)
    points = _times(wrapped, cell)
    if queries.ndim == 2:
        centres, moved = _wrap(queries, transform, inverse)
        centres = _times(centres, cell)
    else:
        centres, moved = points[queries], taken[queries]
    while True:
        cells = np.ceil(reach / height * (1.0 + 1e-9) + 1e-9).astype(np.int64)  # positions lie in [0, 1)
        if np.prod(2.0 * cells + 1.0) * len(points) > most:
            return None
        shifts = np.array(list(product(*(range(-r, r + 1) for r in cells.tolist()))))
        copies = (points[None] + _times(shifts, cell)[:, None]).reshape(-1, 3)
        wide = reach * (1.0 + ROUNDING) + ROUNDING
        lowest, highest = centres.min(axis=0) - wide, centres.max(axis=0) + wide
        kept = np.flatnonzero(((copies >= lowest) & (copies <= highest)).all(axis=1))
        if len(kept) * len(centres) > most:
            return None
        x, y, z = (copies[kept, axis] - centres[:, None, axis] for axis in range(3))
        squares = x * x + y * y + z * z
        if queries.ndim == 1:
            itself = len(shifts) // 2 * len(points) + queries
            squares[np.arange(len(queries)), np.searchsorted(kept, itself)] = np.inf
        near = squares <= reach * reach
        if (near.sum(axis=1) >= k).all():
            break
        reach *= 1.2
    query, place = np.nonzero(near)
    shift, atom = np.divmod(kept[place], len(points))
    squares = squares[near]
    images = shifts[shift] @ transform - taken[atom] + moved[query]
    order = np.lexsort((*images.T[::-1], atom, squares, query))
    first = np.searchsorted(query[order], np.arange(len(centres)))
    chosen = order[first[:, None] + np.arange(k)]
    return np.sqrt(squares[chosen]), atom[chosen], images[chosen]


def _times(rows: NDArray, matrix: NDArray) -> NDArray:
    """Matrix product of (n, 3) and (3, 3), summed in the order of the kernel."""
    product: NDArray = rows[:, :1] * matrix[0] + rows[:, 1:2] * matrix[1] + rows[:, 2:] * matrix[2]
    return product


def _wrap(
    positions: NDArray[np.float64], transform: NDArray[np.int64], inverse: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Positions in the reduced cell, [0, 1), and the cells of the given lattice that wrapping took off."""
    inside = _times(positions, inverse)
    cells = np.floor(inside)
    return inside - cells, cells.astype(np.int64) @ transform
