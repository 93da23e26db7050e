"""Disjoint sets for compiled kernels: which points belong to one orbit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.jit import compiled, part


@part
def root(parent: NDArray[np.int64], i: int) -> int:
    """The representative of i's set in a union-find forest, with path halving."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@part
def join(parent: NDArray[np.int64], i: int, j: int) -> None:
    """Unite two sets; the smaller index represents the union."""
    a, b = root(parent, i), root(parent, j)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@part(allocates=True)
def numbered(parent: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sets of a union-find forest numbered in the order of their first members, which represent them."""
    out = np.empty(len(parent), np.int32)
    count = 0
    for i in range(len(parent)):
        a = root(parent, i)
        if a == i:
            out[i] = count
            count += 1
        else:
            out[i] = out[a]
    return out


@compiled(small=2000)
def in_order(labels: NDArray[np.int64]) -> NDArray[np.int32]:
    """Labels from 0 on numbered in the order of their first members."""
    out = np.empty(len(labels), np.int32)
    number = np.full(labels.max() + 1 if len(labels) else 0, -1, np.int32)
    count = 0
    for i in range(len(labels)):
        if number[labels[i]] < 0:
            number[labels[i]] = count
            count += 1
        out[i] = number[labels[i]]
    return out
