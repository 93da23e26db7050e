"""Room to work in, made once for a batch: small cells then cost no allocation at all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from atomsight.neighbours._compiled import Floats, Ints, allocating_kernel
from atomsight.neighbours._simd import LANES

MOST_BINS, FEW_BINS = 8, 64
"""A grid has at most so many bins for each point, and so many more."""


class Workspace(NamedTuple):
    """Arrays for what is known of one structure; as long as the largest of a batch needs."""

    reduced: Floats
    height: Floats
    middle: Floats
    transform: Ints
    inverse: Ints
    digits: Ints
    shape: Ints
    lo: Ints
    hi: Ints
    numbers: Ints
    home: Ints
    start: Ints
    query_start: Ints
    wrapped: Floats
    taken: Ints
    atom: Ints
    tag_of: Ints
    xs: Floats
    ys: Floats
    zs: Floats
    tags: Ints
    query_wrapped: Floats
    query_taken: Ints
    query: Ints
    which: Ints
    qx: Floats
    qy: Floats
    qz: Floats


class Scratch(NamedTuple):
    """Arrays for the block around a bin (x, y, z, tags), and for the candidates of a query."""

    x: Floats
    y: Floats
    z: Floats
    tags: Ints
    near: Floats
    near_tags: Ints
    ordered: Floats
    ordered_tags: Ints
    bucket_of: Ints
    starts: Ints
    bucketed: Floats
    bucketed_tags: Ints


@allocating_kernel
def workspace(n: int, m: int) -> Workspace:
    """Room for structures of at most n points and m queries."""
    whole = np.int64
    bins = MOST_BINS * n + FEW_BINS + 2
    both = max(n, m)
    return Workspace(
        np.empty((3, 3)), np.empty(3), np.empty(3),
        np.empty((3, 3), whole), np.empty((3, 3), whole), np.empty((3, 3), whole),
        np.empty(3, whole), np.empty(3, whole), np.empty(3, whole),
        np.arange(both), np.empty(both, whole), np.empty(bins, whole), np.empty(bins, whole),
        np.empty((n, 3)), np.empty((n, 3), whole), np.empty(n, whole), np.empty(n, whole),
        np.empty(n + LANES), np.empty(n + LANES), np.empty(n + LANES), np.empty(n + LANES, whole),
        np.empty((m, 3)), np.empty((m, 3), whole), np.empty(m, whole), np.empty(m, whole),
        np.empty(m), np.empty(m), np.empty(m),
    )  # fmt: skip


@allocating_kernel
def scratch_for(room: int) -> Scratch:
    """Room for a block of so many points."""
    size, whole = room + 2 * LANES, np.int64
    return Scratch(
        np.empty(size), np.empty(size), np.empty(size), np.empty(size, whole),
        np.empty(size), np.empty(size, whole), np.empty(size), np.empty(size, whole),
        np.empty(size, whole), np.empty(size, whole), np.empty(size), np.empty(size, whole),
    )  # fmt: skip
