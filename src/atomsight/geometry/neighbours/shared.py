"""Neighbours of a crystal's atoms, searched once for all who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.neighbours.knn import Neighbours, search

if TYPE_CHECKING:
    from atomsight.core.crystal import Crystal


def neighbours_of(crystal: Crystal, k: int, atoms: NDArray[np.integer] | None = None) -> Neighbours:
    """The k nearest neighbours of atoms of the motif, see `nearest_neighbours`.

    A search for all atoms is kept with the crystal (`Crystal.cached`). Later calls for as many neighbours or
    fewer take theirs from it.

    Args:
        crystal: any crystal.
        k: how many neighbours.
        atoms: (m,) indices; None for all.

    Raises:
        InputError: as `nearest_neighbours`.
    """
    held: dict[str, Neighbours] = crystal.cached("neighbours", dict)
    found = held.get("all")
    if found is None or found[0].shape[1] < k:
        found = search(crystal.lattice, crystal.fractional, k, atoms)
        if atoms is None:
            held["all"] = found
        return found
    rows = slice(None) if atoms is None else atoms
    distances, indices, images = found
    return (
        np.ascontiguousarray(distances[rows, :k]),
        np.ascontiguousarray(indices[rows, :k]),
        np.ascontiguousarray(images[rows, :k]),
    )
