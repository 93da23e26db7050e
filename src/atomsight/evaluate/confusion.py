"""The confusion matrix: which element was taken for which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def normalise_rows(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each row divided by its sum: the share of the sites of a true element that was given each element.

    The diagonal is the recall. The row of an element without sites is NaN.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    out = np.full(matrix.shape, np.nan)
    np.divide(matrix, totals, out=out, where=totals > 0)
    return out


@dataclass(frozen=True)
class ConfusedPair:
    """One kind of mistake.

    Attributes:
        true: column of the element that it is (of the smaller column where the pair is symmetric).
        predicted: column of the element that it was taken for.
        count: sites so mistaken, in both directions where the pair is symmetric.
        rate: count divided by the sites that could have been so mistaken: those of ``true``, or of both
            elements where the pair is symmetric.
    """

    true: int
    predicted: int
    count: int
    rate: float


def confused_pairs(
    matrix: NDArray[np.int64], *, by: str = "count", symmetric: bool = False, minimum: int = 1
) -> list[ConfusedPair]:
    """Every pair of elements that was confused, worst first.

    Args:
        matrix: (classes, classes) counts, rows true.
        by: ``count`` ranks by the number of sites, ``rate`` by the share of the sites concerned. Ties go to
            the other of the two, then to the order of the columns.
        symmetric: join Al taken for Li with Li taken for Al.
        minimum: leave out elements with fewer sites than this, whose rates say little.

    Raises:
        ValueError: ``by`` is neither.
    """
    if by not in ("count", "rate"):
        raise ValueError(f"by={by!r}; use 'count' or 'rate'")
    support = matrix.sum(axis=1)
    counts = matrix.copy()
    np.fill_diagonal(counts, 0)
    base = np.broadcast_to(support[:, None], counts.shape)
    if symmetric:
        counts = np.triu(counts + counts.T)
        base = support[:, None] + support[None, :]
    pairs = [
        ConfusedPair(int(i), int(j), int(counts[i, j]), float(counts[i, j] / base[i, j]))
        for i, j in np.argwhere(counts)
        if base[i, j] >= minimum
    ]

    def key(pair: ConfusedPair) -> tuple[float, float, int, int]:
        first, second = (pair.count, pair.rate) if by == "count" else (pair.rate, pair.count)
        return (-first, -second, pair.true, pair.predicted)

    return sorted(pairs, key=key)
