"""Volume per atom that a formula lets expect: a sum of volumes of its elements."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal

RIDGE = 0.5
"""Pull of rare elements towards the common start, in crystals."""

ROUNDS = 6


def element_counts(crystals: Iterable[Crystal]) -> NDArray[np.float64]:
    """(crystals, 128) atoms of each element in the cell."""
    return np.array([np.bincount(crystal.numbers, minlength=128)[:128] for crystal in crystals], float)


def expected_volume(numbers: NDArray[np.integer], volumes: NDArray[np.float64]) -> float:
    """Å³, of a cell with these atoms, from (128,) volumes of the elements."""
    return float(volumes[numbers].sum())


def fit_volumes(counts: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(128,) Å³ of each element, so that their sums come close to the cells' volumes.

    Least squares of the relative error, with crystals that are far off (layers, cages, pores) weighing less
    in each round (Huber).

    Args:
        counts: (c, 128) atoms in each cell.
        volumes: (c,) Å³.
    """
    share = counts / volumes[:, None]
    start = float(np.median(volumes / counts.sum(axis=1)))
    weight = np.ones(len(volumes))
    answer = np.full(128, start)
    for _ in range(ROUNDS):
        weighted = share * weight[:, None]
        ridge = RIDGE / start**2 * np.eye(128)
        answer = np.linalg.solve(weighted.T @ share + ridge, weighted.sum(axis=0) + ridge.sum(axis=1) * start)
        answer = np.clip(answer, 1.0, 120.0)
        error = np.abs(share @ answer - 1)
        weight = np.minimum(1, 0.1 / np.maximum(error, 1e-6))
    return answer
