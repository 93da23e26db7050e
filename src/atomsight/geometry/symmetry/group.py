"""Lists of symmetry operations: repeats taken out, and whether the rest is a group."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.jit import compiled, part


@part
def _same(
    rotations: NDArray[np.float64],
    translations: NDArray[np.float64],
    i: int,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    slack: float,
) -> bool:
    for a in range(3):
        for b in range(3):
            if rotations[i, a, b] != rotation[a, b]:
                return False
    for a in range(3):
        gap = translations[i, a] - translation[a]
        if abs(gap - math.floor(gap + 0.5)) > slack:
            return False
    return True


@compiled(small=600)
def distinct(
    rotations: NDArray[np.float64], translations: NDArray[np.float64], slack: float
) -> NDArray[np.int64]:
    """Indices of the operations (g, 3, 3), (g, 3) that no earlier one repeats.

    Translations count modulo 1 and within `slack`.
    """
    kept = np.empty(len(rotations), np.int64)
    count = 0
    for i in range(len(rotations)):
        fresh = True
        for j in kept[:count]:
            if _same(rotations, translations, j, rotations[i], translations[i], slack):
                fresh = False
                break
        if fresh:
            kept[count] = i
            count += 1
    return kept[:count].copy()


@compiled(small=600)
def is_group(rotations: NDArray[np.float64], translations: NDArray[np.float64], slack: float) -> bool:
    """Whether the product of any two operations is one of them, translations modulo 1 and within `slack`."""
    g = len(rotations)
    turned = np.empty((3, 3))
    moved = np.empty(3)
    for a in range(g):
        for b in range(g):
            for i in range(3):
                moved[i] = translations[a, i]
                for j in range(3):
                    moved[i] += rotations[a, i, j] * translations[b, j]
                    turned[i, j] = 0.0
                    for k in range(3):
                        turned[i, j] += rotations[a, i, k] * rotations[b, k, j]
            closed = False
            for c in range(g):
                if _same(rotations, translations, c, turned, moved, slack):
                    closed = True
                    break
            if not closed:
                return False
    return True


@compiled(small=2000)
def metric_misfit(lattice: NDArray[np.float64], rotations: NDArray[np.float64]) -> float:
    """Return the largest change of an entry of the metric tensor under rotations (g, 3, 3).

    It is in units of the tensor's largest entry, and 0 where all keep the lengths and angles of the cell.
    """
    metric = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            metric[i, j] = 0.0
            for k in range(3):
                metric[i, j] += lattice[i, k] * lattice[j, k]
    worst = 0.0
    for q in range(len(rotations)):
        for i in range(3):
            for j in range(3):
                turned = 0.0
                for k in range(3):
                    for m in range(3):
                        turned += rotations[q, k, i] * metric[k, m] * rotations[q, m, j]
                worst = max(worst, abs(turned - metric[i, j]))
    return float(worst / metric.max())
