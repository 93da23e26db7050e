"""Words of a file's bytes as numbers, in compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled


@compiled(inline="always")
def lower(byte: int) -> int:
    """A letter in its small form, another byte as it is."""
    return byte + 32 if 65 <= byte <= 90 else byte


@compiled
def word_hash(data: NDArray[np.uint8], begin: int, end: int, folded: bool) -> np.uint64:
    """FNV-1a of the bytes from ``begin`` to ``end``, 64 bits; ``folded`` takes capitals for small letters."""
    value = np.uint64(14695981039346656037)
    for at in range(begin, end):
        byte = lower(data[at]) if folded else data[at]
        value = (value ^ np.uint64(byte)) * np.uint64(1099511628211)
    return value
