"""The k nearest neighbours of the points of one crystal: arguments in, the kernel, errors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.errors import InputError
from atomsight.geometry.neighbours._direct import search_directly
from atomsight.geometry.neighbours._kernel import room_for, search_many

if TYPE_CHECKING:
    from atomsight.core.crystal import Crystal

MOST_NEIGHBOURS = 1_000
"""The largest k of every function, dataset and model. A site then takes 28 kB, a cell of 20,000 atoms half a
gigabyte."""

Neighbours = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]


def nearest_neighbours(
    lattice: ArrayLike, fractional: ArrayLike, k: int, queries: ArrayLike | None = None
) -> Neighbours:
    """Exact k nearest neighbours in an infinite periodic point set.

    Every point counts, one at distance 0 too: a query that is a point of the set is left out by identity,
    never by distance. Definition: Widdowson and Kurlin, 10.46793/match.87-3.529W.

    Args:
        lattice: (3, 3), rows are the cell vectors, Å. Any cell: skewed, flat and needle-like ones too.
        fractional: (n, 3), positions in units of the rows, wrapped or not.
        k: how many neighbours, from 1 to `MOST_NEIGHBOURS`; may exceed n by far.
        queries: None: every point of the motif; (m,) integers: these points of the motif; (m, 3) floats:
            free fractional positions, of which nothing is left out.

    Returns:
        distances: (m, k) float64, Å, ascending.
        indices: (m, k) int64, the point of the motif that each neighbour is a copy of.
        images: (m, k, 3) int32, its cell shift: with the coordinates as they were given,
            ``distance = |(fractional[index] + image - query) @ lattice|``.

        Exactly equal distances are in order of index, then image, so the first k of a wider search are what
        a search for k returns.

    Raises:
        InputError: a singular lattice, a number that is not finite, no points, k or a query out of range.
    """
    return search(lattice, fractional, checked_k(k), queries)


def search(lattice: ArrayLike, fractional: ArrayLike, k: int, queries: ArrayLike | None = None) -> Neighbours:
    """Search as `nearest_neighbours` does, for any number of neighbours.

    Searches for all neighbours within a distance need it: how many these are is not known before.
    """
    cell = as_floats(lattice, "lattice")
    if cell.shape != (3, 3):
        raise InputError(f"lattice: expected three row vectors, shape (3, 3), got {cell.shape}")
    points = as_points(fractional, "fractional")
    n = len(points)
    if n == 0:
        raise InputError(VERDICTS[5])
    if queries is None:
        return solve(cell[None], points, _bounds(n), k, np.arange(n), None, _bounds(n))
    own, free = _checked_queries(queries, n)
    m = len(own) if free is None else len(free)
    return solve(cell[None], points, _bounds(n), k, own, free, _bounds(m))


def site_neighbours(crystal: Crystal, k: int) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
    """The k nearest neighbours of each symmetry-unique site of a crystal.

    Returns:
        distances: (sites, k) float64, Å, ascending.
        neighbours: (sites, k) uint32, the site that each neighbour is a copy of.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    cell, points = as_floats(crystal.lattice, "lattice"), as_points(crystal.fractional, "fractional")
    own = crystal.representatives
    queries = _bounds(len(own))
    found = solve(cell[None], points, _bounds(len(points)), checked_k(k), own, None, queries, images=False)
    return found[0], crystal.orbits.astype(np.uint32)[found[1]]


def solve(
    lattices: NDArray[np.float64],
    fractional: NDArray[np.float64],
    offsets: NDArray[np.int64],
    k: int,
    own: NDArray[np.int64],
    free: NDArray[np.float64] | None,
    query_offsets: NDArray[np.int64],
    images: bool = True,
    part: tuple[int, int] | None = None,
    out: Neighbours | None = None,
) -> Neighbours:
    """Run the kernel on arrays of the right shapes and types, and turn its verdict into an error.

    ``part`` and ``out`` let several threads fill slices of the same arrays.
    """
    first, last = part or (0, len(lattices))
    if out is None:
        m = int(query_offsets[-1])
        shapes = ((m, k), (m, k), (m if images else 0, k, 3))
        out = (np.empty(shapes[0]), np.empty(shapes[1], np.int64), np.empty(shapes[2], np.int32))
    free = np.empty((0, 3)) if free is None else free
    verdict, structure = 0, first
    while structure < last and search_many.interprets(0):
        p, q = query_offsets[structure : structure + 2]
        points = fractional[offsets[structure] : offsets[structure + 1]]
        chosen = free[p:q] if len(free) else own[p:q]
        found = search_many.interpret(search_directly, lattices[structure], points, chosen, k) if p < q else 0
        if found is None:
            break
        if isinstance(found, tuple):
            out[0][p:q], out[1][p:q] = found[:2]
            if images:
                out[2][p:q] = found[2]
        elif found:
            verdict = found
            break
        structure += 1
    block = 1024
    while verdict == 0 and (structure < last or first == last):
        room = room_for(_largest(offsets, first, last), _largest(query_offsets, first, last), block)
        verdict, structure = search_many(
            lattices, fractional, offsets, own, free, query_offsets, k, *out, structure, last, room
        )
        if verdict == 0:
            break
        if verdict < 0:
            verdict, block = 0, -verdict + -verdict // 2
    if verdict:
        which = f" (structure {structure} of the batch)" if len(lattices) > 1 else ""
        raise InputError(VERDICTS[verdict] + which)
    return out


def _largest(bounds: NDArray[np.int64], first: int, last: int) -> int:
    """Size of the largest structure from `first` to `last`."""
    if last - first == 1:
        return int(bounds[last] - bounds[first])
    return int(np.diff(bounds[first : last + 1]).max(initial=0))


VERDICTS = {
    1: "lattice: every component must be a finite number",
    2: "lattice: the three vectors lie in one plane (the cell has no volume)",
    3: "fractional: every coordinate must be a finite number",
    4: "fractional: a coordinate lies over a million cells away; wrap it into the cell",
    5: "fractional: a periodic set needs at least one point, got none",
    6: "queries: every coordinate must be a finite number",
    7: "queries: a coordinate lies over a million cells away; wrap it into the cell",
}


def checked_k(k: int) -> int:
    """k as an int; InputError unless it is a whole number from 1 to `MOST_NEIGHBOURS`."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= MOST_NEIGHBOURS:
        raise InputError(f"k: must be a whole number from 1 to {MOST_NEIGHBOURS}, not {k!r}")
    return int(k)


def as_floats(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """A contiguous float64 array, or an InputError that names the argument."""
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected an array of numbers ({error})") from None


def as_points(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """A contiguous float64 array of shape (n, 3), or an InputError that names the argument."""
    array = as_floats(values, name)
    if array.size == 0 and array.ndim == 1:
        return array.reshape(0, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name}: expected shape (n, 3), got {array.shape}")
    return array


def _bounds(n: int) -> NDArray[np.int64]:
    return np.array((0, n), np.int64)


def _checked_queries(queries: ArrayLike, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Queries as motif indices and None, or as an empty array and free positions."""
    chosen = np.asarray(queries)
    if chosen.ndim == 2:
        return np.empty(0, np.int64), as_points(chosen, "queries")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise InputError("queries: expected (m,) integers, indices of points, or (m, 3) fractional positions")
    if chosen.size and (chosen.min() < 0 or chosen.max() >= n):
        raise InputError(f"queries: indices must be from 0 to {n - 1}, got {chosen.min()} to {chosen.max()}")
    return np.ascontiguousarray(chosen, dtype=np.int64), None
