"""Many crystals in one call: flattened arrays in, one compiled loop, structures in parallel over threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.errors import InputError
from atomsight.geometry.neighbours.knn import Neighbours, as_floats, as_points, checked_k, solve

LONG = 0.9
"""Part of a thread's share that it does in one run."""


def nearest_neighbours_batch(
    lattices: ArrayLike,
    fractional: ArrayLike,
    offsets: ArrayLike,
    k: int,
    queries: ArrayLike | None = None,
    query_offsets: ArrayLike | None = None,
    *,
    threads: int = 1,
    images: bool = True,
    out: Neighbours | None = None,
) -> Neighbours:
    """``nearest_neighbours`` of c structures in one compiled call, with no Python cost per structure.

    Args:
        lattices: (c, 3, 3), rows of each are cell vectors, Å.
        fractional: (N, 3), the points of all structures, one structure after another.
        offsets: (c + 1,), structure i owns the points ``offsets[i] : offsets[i + 1]``.
        k: how many neighbours.
        queries: None: every point; else (M,) integers, for each query the index of a point *within its
            structure*.
        query_offsets: (c + 1,), structure i owns the queries ``query_offsets[i] : query_offsets[i + 1]``.
        threads: how many threads share the structures; the kernel runs without the GIL.
        images: False leaves out the cell shifts (their array is then empty), which saves time and memory.
        out: arrays to fill and return, of the shapes and types below, such as an earlier call's of the same
            size: memory that was touched before costs no time to get.

    Returns:
        distances (M, k) float64, indices (M, k) int64 within the structure, images (M, k, 3) int32: as
        ``nearest_neighbours`` gives for each structure.

    Raises:
        InputError: as ``nearest_neighbours``, or offsets or ``out`` that do not fit the arrays.
    """
    cells = as_floats(lattices, "lattices")
    if cells.ndim != 3 or cells.shape[1:] != (3, 3):
        raise InputError(f"lattices: expected shape (c, 3, 3), got {cells.shape}")
    points = as_points(fractional, "fractional")
    count = checked_k(k)
    bounds = _checked_offsets(offsets, len(cells), len(points), "offsets")
    sizes = np.diff(bounds)
    if queries is None:
        own = np.arange(len(points)) - np.repeat(bounds[:-1], sizes)
        query_bounds = bounds
    else:
        own = np.ascontiguousarray(queries)
        if own.ndim != 1 or (own.size and own.dtype.kind not in "iu"):
            raise InputError("queries: expected (M,) integers, indices of points within their structures")
        if query_offsets is None:
            raise InputError("query_offsets: needed to tell which queries belong to which structure")
        own = own.astype(np.int64, copy=False)
        query_bounds = _checked_offsets(query_offsets, len(cells), len(own), "query_offsets")
        if ((own < 0) | (own >= np.repeat(sizes, np.diff(query_bounds)))).any():
            raise InputError("queries: an index lies outside its structure")

    shapes = ((len(own), count), (len(own), count), (len(own) if images else 0, count, 3))
    if out is not None:
        _check_out(out, shapes)
    filled = out or (np.empty(shapes[0]), np.empty(shapes[1], np.int64), np.empty(shapes[2], np.int32))
    if threads <= 1 or len(cells) < 2:
        return solve(cells, points, bounds, count, own, None, query_bounds, images, None, filled)
    # Compiled once, here:
    solve(cells, points, bounds, count, own, None, query_bounds, images, (0, 0), filled)

    def do(part: tuple[int, int]) -> None:
        solve(cells, points, bounds, count, own, None, query_bounds, images, part, filled)

    _over_threads(do, _shares(query_bounds, threads))
    return filled


def _check_out(out: Neighbours, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays: tuple[NDArray[Any], ...] = out
    kinds = (np.float64, np.int64, np.int32)
    for name, array, shape, kind in zip(
        ("distances", "indices", "images"), arrays, shapes, kinds, strict=True
    ):
        if array.shape != shape or array.dtype != kind:
            raise InputError(f"out: {name} must be {shape} {np.dtype(kind)}, not {array.shape} {array.dtype}")
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise InputError(f"out: {name} must be contiguous and writeable")


def _checked_offsets(offsets: ArrayLike, structures: int, total: int, name: str) -> NDArray[np.int64]:
    bounds = np.asarray(offsets)
    if bounds.shape != (structures + 1,) or bounds.dtype.kind not in "iu":
        raise InputError(f"{name}: expected {structures + 1} integers, got shape {bounds.shape}")
    bounds = np.ascontiguousarray(bounds, dtype=np.int64)
    if bounds[0] != 0 or bounds[-1] != total or (np.diff(bounds) < 0).any():
        raise InputError(f"{name}: must ascend from 0 to {total}, the number of rows that it divides")
    return bounds


def _shares(query_bounds: NDArray[np.int64], threads: int) -> list[list[tuple[int, int]]]:
    """For each thread, runs of structures that follow one another and have about equally many queries in all.

    A share lies together, so that no two threads touch one page of fresh memory first: the system would zero
    it for both. Its last run is short, to be taken by whoever ends first.
    """
    total = query_bounds[-1]
    wanted = [total * (thread + part) / threads for thread in range(threads) for part in (0, LONG)]
    edges = np.searchsorted(query_bounds, [*wanted, total])
    edges[0], edges[-1] = 0, len(query_bounds) - 1
    runs = [(int(first), int(last)) for first, last in pairwise(edges)]
    return [[run for run in runs[2 * i : 2 * i + 2] if run[0] < run[1]] for i in range(threads)]


def _over_threads(do: Callable[[tuple[int, int]], None], shares: list[list[tuple[int, int]]]) -> None:
    """Do every run of every share: each thread its own first, then what the others have left.

    The caller's thread is one of them.
    """
    left = [deque(share) for share in shares]
    failed: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for place in range(len(left)):
                other = left[(thread + place) % len(left)]
                take = other.pop if place else other.popleft
                while other and not failed:
                    try:
                        run = take()
                    except IndexError:  # another thread was quicker
                        break
                    do(run)
        except BaseException as error:  # raised again in the caller's thread
            failed.append(error)

    others = [Thread(target=work, args=(thread,)) for thread in range(1, len(left))]
    for other in others:
        other.start()
    work(0)
    for other in others:
        other.join()
    if failed:
        raise failed[0]
