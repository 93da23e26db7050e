"""The k nearest neighbours of the points of one crystal: validation, then the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.errors import InputError

if TYPE_CHECKING:
    from atomsight.crystal import Crystal

Neighbours = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]

FARTHEST = 1e6
"""Fractional coordinates beyond this many cells from the origin have lost the digits that a distance needs."""


def nearest_neighbours(
    lattice: ArrayLike, fractional: ArrayLike, k: int, queries: ArrayLike | None = None
) -> Neighbours:
    """Exact k nearest neighbours in an infinite periodic point set.

    Every point counts, one at distance 0 too: a query that is a point of the set is left out by identity, never by
    distance. Definition: Widdowson and Kurlin, 10.46793/match.87-3.529W.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å. Any cell: skewed, flat and needle-like ones cost no more.
        fractional: (n, 3), positions in units of the rows, wrapped or not.
        k: how many neighbours, at least 1; may exceed n by far.
        queries: None: every point of the motif; (m,) integers: these points of the motif; (m, 3) floats: free
            fractional positions, of which nothing is left out.

    Returns:
        distances: (m, k) float64, Å, ascending.
        indices: (m, k) int64, the point of the motif that each neighbour is a copy of.
        images: (m, k, 3) int32, its cell shift: ``distance = |(fractional[index] + image - query) @ lattice|`` with
            the coordinates as they were given. Exactly equal distances are in order of index, then image.

    Raises:
        InputError: a singular lattice, a number that is not finite, no points, k < 1, or a query out of range.
    """
    from atomsight.neighbours.batch import solve

    cell = checked_lattices(lattice)
    if cell.shape != (3, 3):
        raise InputError(f"lattice: expected shape (3, 3), got {cell.shape}")
    points = checked_points(fractional, "fractional")
    n = len(points)
    if n == 0:
        raise InputError("fractional: a periodic set needs at least one point, got none")
    own, free = checked_queries(queries, n)
    m = len(free) if free is not None else len(own)
    return solve(cell.reshape(1, 3, 3), points, np.array([0, n]), checked_k(k), own, free, np.array([0, m]))


def site_neighbours(crystal: Crystal, k: int) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
    """The k nearest neighbours of each symmetry-unique site of a crystal.

    Returns:
        distances: (sites, k) float64, Å, ascending.
        neighbours: (sites, k) uint32, the site that each neighbour is a copy of.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    from atomsight.neighbours.batch import solve

    cell = checked_lattices(crystal.lattice)
    points = checked_points(crystal.fractional, "fractional")
    own, _ = checked_queries(crystal.representatives, len(points))
    distances, indices, _ = solve(
        cell.reshape(1, 3, 3),
        points,
        np.array([0, len(points)]),
        checked_k(k),
        own,
        None,
        np.array([0, len(own)]),
        images=False,
    )
    return distances, crystal.orbits.astype(np.uint32)[indices]


def checked_lattices(lattice: ArrayLike) -> NDArray[np.float64]:
    """A contiguous float64 array of shape (..., 3, 3); InputError names what is wrong with a lattice."""
    from atomsight.neighbours._lattice import SINGULAR

    cells = _floats(lattice, "lattice")
    if cells.shape[-2:] != (3, 3):
        raise InputError(f"lattice: expected three row vectors, shape (3, 3), got {cells.shape}")
    if not np.isfinite(cells).all():
        raise InputError("lattice: every component must be a finite number")
    edges = np.sqrt((cells * cells).sum(axis=-1)).prod(axis=-1)
    volume = np.abs((cells[..., 0, :] * np.cross(cells[..., 1, :], cells[..., 2, :])).sum(axis=-1))
    if not (volume > SINGULAR * edges).all():
        raise InputError("lattice: the three vectors lie in one plane (the cell has no volume)")
    return cells


def checked_points(points: ArrayLike, name: str) -> NDArray[np.float64]:
    """A contiguous float64 array of shape (n, 3) with finite entries; InputError names the argument."""
    array = _floats(points, name)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name}: expected shape (n, 3), got {array.shape}")
    if not (np.abs(array) <= FARTHEST).all():
        if np.isfinite(array).all():
            raise InputError(
                f"{name}: a coordinate lies over {FARTHEST:.0f} cells away; wrap it into the cell"
            )
        raise InputError(f"{name}: every coordinate must be a finite number")
    return array


def checked_k(k: int) -> int:
    """k as an int; InputError unless it is a whole number of at least 1."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k: must be a whole number of at least 1, got {k!r}")
    return int(k)


def checked_queries(
    queries: ArrayLike | None, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Queries as motif indices and None, or as an empty array and free positions."""
    if queries is None:
        return np.arange(n), None
    chosen = np.asarray(queries)
    if chosen.ndim == 2:
        return np.empty(0, np.int64), checked_points(chosen, "queries")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise InputError("queries: expected (m,) integers, indices of points, or (m, 3) fractional positions")
    if chosen.size and (chosen.min() < 0 or chosen.max() >= n):
        raise InputError(f"queries: indices must be from 0 to {n - 1}, got {chosen.min()} .. {chosen.max()}")
    return np.ascontiguousarray(chosen, dtype=np.int64), None


def _floats(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected an array of numbers ({error})") from None
