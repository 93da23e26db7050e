"""Numbers of a CIF from their bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled

POWERS: NDArray[np.float64] = np.array([10.0**n for n in range(23)])


@compiled
def number(data: NDArray[np.uint8], at: int, size: int, powers: NDArray[np.float64]) -> tuple[float, int]:
    """A decimal number, an uncertainty in parentheses left off, correctly rounded, and where its word ends.

    NaN for ``?`` and ``.``; -1 as the end for anything else than a plain number.
    """
    if (data[at] == 63 or data[at] == 46) and (at + 1 == size or data[at + 1] <= 32):
        return np.nan, at + 1
    negative = data[at] == 45
    if negative or data[at] == 43:
        at += 1
    mantissa, digits, decimals = 0, 0, 0
    begin = at
    while at < size and 48 <= data[at] <= 57:
        mantissa = mantissa * 10 + (data[at] - 48)
        at += 1
    digits = at - begin
    if at < size and data[at] == 46:
        at += 1
        begin = at
        while at < size and 48 <= data[at] <= 57:
            mantissa = mantissa * 10 + (data[at] - 48)
            at += 1
        decimals = at - begin
        digits += decimals
    # Up to 15 digits mantissa and power of ten are both exact, so that their quotient is rounded once.
    if digits == 0 or digits > 15:
        return 0.0, -1
    if at < size and data[at] == 40:  # (uncertainty)
        begin = at + 1
        at = begin
        while at < size and 48 <= data[at] <= 57:
            at += 1
        if at in (begin, size) or data[at] != 41:
            return 0.0, -1
        at += 1
    if at < size and data[at] > 32:
        return 0.0, -1
    value = mantissa / powers[decimals]
    return (-value if negative else value), at
