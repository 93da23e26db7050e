"""Expected cell volume of a formula: the sum of the volumes of its atoms."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal

RIDGE = 0.5
"""Strength of the prior on the volume of an element, in crystals. It matters for rare elements."""

ROUNDS = 6
"""Iterations of the reweighted least squares."""


def element_counts(crystals: Iterable[Crystal]) -> NDArray[np.float64]:
    """Count the atoms of each element in the cells, (crystals, 128)."""
    return np.array([np.bincount(crystal.numbers, minlength=128)[:128] for crystal in crystals], float)


def expected_volume(numbers: NDArray[np.integer], volumes: NDArray[np.float64]) -> float:
    """Compute the volume of a cell with these atoms, Å³, from (128,) volumes of the elements."""
    return float(volumes[numbers].sum())


def fit_volumes(counts: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the volumes of the elements, (128,) Å³, to cell volumes.

    Minimises the squared relative error by iteratively reweighted least squares with Huber weights, so that
    crystals with large errors (layers, cages, pores) have less influence.

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
