"""Memory for results: large ones start on a huge page, and what an earlier result leaves is used again."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

HUGE_PAGE = 1 << 21
ADVISED = 1 << 22
"""Bytes from which on NumPy asks the system for huge pages (where it grants them on request)."""

WORTH_IT = 1 << 19
"""Bytes of a result from which on its pages are most of what a fresh array costs."""

KEPT = 1 << 26
"""Bytes that are kept in all when results are let go."""

ROOMIER = 2
"""A kept block serves results from its own size down to this part of it."""


def room(shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """An array without values, as ``np.empty`` gives, cheaper to fill for the first time.

    The system hands out memory zeroed, a page at the first touch: by 4 kB this takes half as long as the
    search itself. An allocation of at least `ADVISED` bytes gets 2 MB at a touch, from the first border of a
    huge page on; what lies beyond the shape is never touched and takes no memory. And memory that an earlier
    result has left, up to `KEPT` bytes, costs nothing to touch: two threads that fill fresh pages wait for
    each other in the system.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < WORTH_IT:
        return np.empty(shape, dtype)
    array: NDArray[Any] = np.asarray(_Lent(_taken(size) or _Block(size)))[:size].view(dtype)
    return array.reshape(shape)


class _Block:
    """Memory that begins on a huge page; it is compared by identity."""

    def __init__(self, size: int) -> None:
        whole = np.empty(max(size, ADVISED) + HUGE_PAGE, np.uint8)
        start = -whole.ctypes.data % HUGE_PAGE
        self.memory = whole[start : start + size]
        self.size = size


_kept: list[_Block] = []


class _Lent:
    """What an array is a view of: keeps the block when the last array in it has gone."""

    def __init__(self, block: _Block) -> None:
        self._block = block
        self.__array_interface__ = block.memory.__array_interface__

    def __del__(self) -> None:
        if self._block.size + sum(block.size for block in _kept) <= KEPT:
            _kept.append(self._block)


def _taken(size: int) -> _Block | None:
    """The smallest kept block that holds a result of this size and is not much larger."""
    fitting = [block for block in list(_kept) if size <= block.size <= ROOMIER * size]
    if not fitting:
        return None
    block = min(fitting, key=lambda block: block.size)
    try:
        _kept.remove(block)
    except ValueError:  # another thread took it
        return None
    return block
