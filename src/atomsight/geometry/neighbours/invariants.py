"""Point-wise distance distributions (PDD) and average minimum distances (AMD), from the k-NN distances.

Both are invariants of a periodic set under isometry: Widdowson, Mosca, Pulido, Cooper and Kurlin, Average
    minimum distances of periodic point sets, 10.46793/match.87-3.529W; Widdowson and Kurlin, Resolving the
    data ambiguity for periodic crystals, NeurIPS 2022, arXiv:2108.04798.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.errors import InputError
from atomsight.geometry.neighbours.knn import site_neighbours

if TYPE_CHECKING:
    from atomsight.core.crystal import Crystal


def pdd(crystal: Crystal, k: int, *, collapse_tolerance: float = 1e-4) -> NDArray[np.float64]:
    """Point-wise distance distribution of a crystal.

    Args:
        crystal: the crystal; elements play no part.
        k: how many neighbours.
        collapse_tolerance: rows that agree within this in every distance, Å, become one row; negative: none
            do.

    Returns:
        (rows, k + 1) float64: in each row a weight (the share of the motif that has these distances; they sum
        to 1), then k ascending distances in Å. Rows are in lexicographic order of the distances.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    distances, _ = site_neighbours(crystal, k)
    return pdd_from_distances(distances, crystal.multiplicities, collapse_tolerance=collapse_tolerance)


def amd(crystal: Crystal, k: int) -> NDArray[np.float64]:
    """Average minimum distances of a crystal, (k,) float64, Å.

    The j-th is the mean over the motif of the distance to the j-th neighbour.

    Raises:
        InputError: as ``nearest_neighbours``.
    """
    distances, _ = site_neighbours(crystal, k)
    return amd_from_distances(distances, crystal.multiplicities)


def pdd_from_distances(
    distances: ArrayLike, multiplicities: ArrayLike, *, collapse_tolerance: float = 1e-4
) -> NDArray[np.float64]:
    """``pdd`` from the (sites, k) distances and the (sites,) multiplicities of one crystal.

    Rows are collapsed by single linkage: a chain of rows, each within the tolerance of the next, becomes one,
    their mean by weight.
    """
    rows, weights = _checked(distances, multiplicities)
    weights = weights / weights.sum()
    group = _groups(rows, collapse_tolerance)
    total = np.bincount(group, weights=weights)
    joined = np.zeros((len(total), rows.shape[1]))
    np.add.at(joined, group, rows * weights[:, None])
    joined /= total[:, None]
    order = np.lexsort(joined.T[::-1])
    return np.column_stack([total[order], joined[order]])


def amd_from_distances(distances: ArrayLike, multiplicities: ArrayLike) -> NDArray[np.float64]:
    """``amd`` from the (sites, k) distances and the (sites,) multiplicities of one crystal."""
    rows, weights = _checked(distances, multiplicities)
    mean: NDArray[np.float64] = weights @ rows / weights.sum()
    return mean


def amd_batch(distances: ArrayLike, multiplicities: ArrayLike, offsets: ArrayLike) -> NDArray[np.float64]:
    """AMD vectors of many crystals at once, from the columns of a dataset.

    Args:
        distances: (sites of all crystals, k), the sites of a crystal contiguous.
        multiplicities: (sites of all crystals,).
        offsets: (c + 1,), crystal i owns the rows ``offsets[i] : offsets[i + 1]``, at least one.

    Returns:
        (c, k) float64, Å.
    """
    rows, weights = _checked(distances, multiplicities)
    bounds = np.asarray(offsets)
    if bounds[0] != 0 or bounds[-1] != len(rows) or (np.diff(bounds) < 1).any():
        raise InputError(f"offsets: must ascend from 0 to {len(rows)}, at least one site to each crystal")
    sums = np.add.reduceat(rows * weights[:, None], bounds[:-1], axis=0)
    means: NDArray[np.float64] = sums / np.add.reduceat(weights, bounds[:-1])[:, None]
    return means


def _checked(
    distances: ArrayLike, multiplicities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, weights = np.asarray(distances, dtype=np.float64), np.asarray(multiplicities, dtype=np.float64)
    if rows.ndim != 2 or not len(rows):
        raise InputError(f"distances: expected shape (sites, k) with at least one site, got {rows.shape}")
    if weights.shape != (len(rows),) or not (weights > 0).all():
        raise InputError(f"multiplicities: expected {len(rows)} positive numbers, got shape {weights.shape}")
    return rows, weights


def _groups(rows: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """The group of each row: rows that agree within the tolerance in every column, and chains of them."""
    if tolerance < 0 or len(rows) == 1:
        return np.arange(len(rows))
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    pairs = KDTree(rows).query_pairs(tolerance, p=np.inf, output_type="ndarray")
    if not len(pairs):
        return np.arange(len(rows))
    from scipy.sparse import coo_array

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(rows), len(rows)))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels
