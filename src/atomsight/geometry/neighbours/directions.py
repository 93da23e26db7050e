"""Where the neighbours of a site lie: unit vectors beside the k-NN distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.batch import Flat
from atomsight.core.crystal import Crystal
from atomsight.geometry.jit import compiled, part
from atomsight.geometry.neighbours.knn import Neighbours, as_floats, as_points, checked_k, solve
from atomsight.geometry.neighbours.shared import site_neighbours_of

UNIT = 127
"""Length of a direction: the components are whole numbers, which puts its error at a third of a degree."""


class Surroundings(NamedTuple):
    """The k nearest neighbours of each symmetry-unique site, with the way there.

    Attributes:
        distances: (sites, k) float64, Å, ascending.
        neighbours: (sites, k) uint32, the site that each neighbour is a copy of.
        directions: (sites, k, 3) int8, unit vectors towards the neighbours in the axes of the lattice's
            rows, times `UNIT` and rounded; zero where a neighbour lies on the site. They turn with the
            crystal: only what does not change when all turn together means anything.
    """

    distances: NDArray[np.float64]
    neighbours: NDArray[np.uint32]
    directions: NDArray[np.int8]


def site_surroundings(crystal: Crystal, k: int) -> Surroundings:
    """As `site_neighbours`, and in which direction each neighbour lies.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    return surroundings_of([crystal], k)


def surroundings_of(crystals: Sequence[Crystal], k: int) -> Surroundings:
    """`site_surroundings` of several crystals, the sites of one after those of another; ``neighbours`` counts
    within each crystal.

    Raises:
        InputError: as ``nearest_neighbours``, or there is no crystal.
    """
    return surroundings_in(Flat.of(crystals), k, site_neighbours_of(crystals, k))


def surroundings_in(crystals: Flat, k: int, known: Neighbours | None = None) -> Surroundings:
    """`surroundings_of` crystals that are flat arrays already.

    Args:
        crystals: the crystals.
        k: how many neighbours.
        known: the neighbours of all sites, if they were searched before.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    cells = as_floats(crystals.lattices, "lattice")
    points = as_points(crystals.fractional, "fractional")
    offsets, own, queries = crystals.offsets, crystals.own, crystals.site_offsets
    distances, indices, images = known or solve(cells, points, offsets, checked_k(k), own, None, queries)
    neighbours = np.empty(distances.shape, np.uint32)
    directions = np.empty((*distances.shape, 3), np.int8)
    found = distances, indices, images, neighbours, directions
    _fill(cells, points, crystals.orbits, offsets, own, queries, *found)
    return Surroundings(distances, neighbours, directions)


@part
def _component(share: float) -> np.int8:
    return np.int8(np.rint(UNIT * min(1.0, max(-1.0, share))))


@compiled(small=20_000)
def _fill(
    cells: NDArray[np.float64],
    points: NDArray[np.float64],
    orbits: NDArray[np.int32],
    offsets: NDArray[np.int64],
    own: NDArray[np.int64],
    queries: NDArray[np.int64],
    distances: NDArray[np.float64],
    indices: NDArray[np.int64],
    images: NDArray[np.int32],
    neighbours: NDArray[np.uint32],
    out: NDArray[np.int8],
) -> None:
    for structure in range(len(cells)):
        start = offsets[structure]
        a0, a1, a2 = cells[structure, 0]
        b0, b1, b2 = cells[structure, 1]
        c0, c1, c2 = cells[structure, 2]
        for site in range(queries[structure], queries[structure + 1]):
            here = start + own[site]
            for rank in range(distances.shape[1]):
                there, length = start + indices[site, rank], distances[site, rank]
                neighbours[site, rank] = orbits[there]
                a = points[there, 0] + images[site, rank, 0] - points[here, 0]
                b = points[there, 1] + images[site, rank, 1] - points[here, 1]
                c = points[there, 2] + images[site, rank, 2] - points[here, 2]
                if length > 0:
                    out[site, rank, 0] = _component((a * a0 + b * b0 + c * c0) / length)
                    out[site, rank, 1] = _component((a * a1 + b * b1 + c * c1) / length)
                    out[site, rank, 2] = _component((a * a2 + b * b2 + c * c2) / length)
                else:
                    out[site, rank] = 0
