"""Neighbours of a crystal's atoms, searched once and shared by all callers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atomsight.core.batch import Flat
from atomsight.core.crystal import Crystal
from atomsight.geometry.neighbours.knn import (
    Neighbours,
    as_floats,
    as_points,
    checked_k,
    search,
    solve,
)


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
    kept = _kept(crystal, k, atoms)
    if kept is not None:
        return kept
    found = search(crystal.lattice, crystal.fractional, k, atoms)
    if atoms is None:
        held: dict[str, Neighbours] = crystal.cached("neighbours", dict)
        held["all"] = found
    return found


def site_neighbours_of(crystals: Sequence[Crystal], k: int) -> Neighbours:
    """The k nearest neighbours of the sites of several crystals, the sites of one after those of another.

    A crystal whose neighbours `neighbours_of` has kept is not searched again. One call searches all others.

    Raises:
        InputError: as `nearest_neighbours`, or there is no crystal.
    """
    kept = [_kept(crystal, k, crystal.representatives) for crystal in crystals]
    missing = [crystal for crystal, found in zip(crystals, kept, strict=True) if found is None]
    if missing or not crystals:
        flat = Flat.of(missing)
        cells, points = as_floats(flat.lattices, "lattice"), as_points(flat.fractional, "fractional")
        found = solve(cells, points, flat.offsets, checked_k(k), flat.own, None, flat.site_offsets)
        if len(missing) == len(crystals):
            return found
        parts = zip(*(np.split(values, flat.site_offsets[1:-1]) for values in found), strict=True)
        kept = [next(parts) if one is None else one for one in kept]
    distances, indices, images = zip(*(one for one in kept if one is not None), strict=True)
    return np.concatenate(distances), np.concatenate(indices), np.concatenate(images)


def _kept(crystal: Crystal, k: int, atoms: NDArray[np.integer] | None) -> Neighbours | None:
    """Neighbours of atoms from the search that the crystal keeps; None if none is wide enough."""
    held: dict[str, Neighbours] = crystal.cached("neighbours", dict)
    found = held.get("all")
    if found is None or found[0].shape[1] < k:
        return None
    rows = slice(None) if atoms is None else atoms
    distances, indices, images = found
    return (
        np.ascontiguousarray(distances[rows, :k]),
        np.ascontiguousarray(indices[rows, :k]),
        np.ascontiguousarray(images[rows, :k]),
    )
