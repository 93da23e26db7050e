"""Memory for results: large ones start on a huge page."""

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


def room(shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """An array without values, as ``np.empty`` gives, cheaper to fill for the first time.

    The system hands out memory zeroed, a page at the first touch: by 4 kB this takes half as long as the
    search itself. An allocation of at least `ADVISED` bytes gets 2 MB at a touch, from the first border of a
    huge page on; what lies beyond the shape is never touched and takes no memory.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < WORTH_IT:
        return np.empty(shape, dtype)
    block = np.empty(max(size, ADVISED) + HUGE_PAGE, np.uint8)
    start = -block.ctypes.data % HUGE_PAGE
    return block[start : start + size].view(dtype).reshape(shape)
