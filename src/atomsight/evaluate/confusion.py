"""The confusion matrix, and the confused pairs of elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def normalise_rows(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row by its sum: the share of a true element's sites with each predicted element.

    The diagonal is the recall. The row of an element without sites is NaN.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    out = np.full(matrix.shape, np.nan)
    np.divide(matrix, totals, out=out, where=totals > 0)
    return out


@dataclass(frozen=True)
class ConfusedPair:
    """Mistakes between two elements.

    Attributes:
        true: Column of the true element; of the smaller column where both directions are joined.
        predicted: Column of the predicted element.
        count: Number of mistaken sites, of both directions where they are joined.
        rate: ``count`` divided by the sites of ``true``, or of both elements where the directions are joined.
    """

    true: int
    predicted: int
    count: int
    rate: float


def confused_pairs(
    matrix: NDArray[np.int64], *, by: str = "count", symmetric: bool = False, minimum: int = 1
) -> list[ConfusedPair]:
    """Find every pair of elements that was confused, worst first.

    Args:
        matrix: (classes, classes) counts, rows true.
        by: Order by ``count``, the number of sites, or by ``rate``, the share of the sites. Equal pairs are
            ordered by the other of the two, then by their columns.
        symmetric: Join both directions, such as Al taken for Li and Li taken for Al.
        minimum: Leave out elements with fewer sites than this, whose rates are uncertain.

    Raises:
        ValueError: ``by`` is neither of the two.
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
