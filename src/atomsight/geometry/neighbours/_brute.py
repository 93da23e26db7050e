"""The oracle: k nearest neighbours by looking at every point of a block of cells. Slow, and plainly right."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray


def brute_force_neighbours(
    lattice: ArrayLike, fractional: ArrayLike, k: int, queries: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """As ``nearest_neighbours``, from the definition, with nothing clever in it.

    A block of cells ``-r .. r`` around the query's own holds every point closer than ``r`` times the least
    distance between opposite faces (less the cell that the points themselves may be apart), so the block
    grows until its k-th distance is below that.
    """
    lattice = np.asarray(lattice, dtype=np.float64)
    fractional = np.asarray(fractional, dtype=np.float64)
    chosen = np.arange(len(fractional)) if queries is None else np.asarray(queries)
    free = chosen.ndim == 2
    faces = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)

    found = []
    for query in chosen:
        position = np.asarray(query if free else fractional[query], dtype=np.float64)
        centre = np.floor(position - fractional)  # cell of each point that lies about the query
        reach = np.ones(3, dtype=int)
        while True:
            shifts = np.array(list(itertools.product(*(range(-r, r + 1) for r in reach))))
            images = (centre[:, None, :] + shifts).astype(np.int64)
            apart = (fractional[:, None, :] + images - position) @ lattice
            distances = np.sqrt((apart**2).sum(axis=2))
            indices = np.broadcast_to(np.arange(len(fractional))[:, None], distances.shape)
            keep = np.ones(distances.shape, dtype=bool)
            if not free:
                keep[query] = (images[query] != 0).any(axis=1)
            d, i, s = distances[keep], indices[keep], images[keep]
            order = np.lexsort((s[:, 2], s[:, 1], s[:, 0], i, d))[:k]
            if len(order) == k and d[order[-1]] < (reach * faces).min():
                found.append((d[order], i[order], s[order]))
                break
            reach = np.where(reach * faces <= (reach * faces).min() * 1.5, reach + 1, reach)
    return (
        np.array([f[0] for f in found]).reshape(-1, k),
        np.array([f[1] for f in found], dtype=np.int64).reshape(-1, k),
        np.array([f[2] for f in found], dtype=np.int64).reshape(-1, k, 3),
    )
