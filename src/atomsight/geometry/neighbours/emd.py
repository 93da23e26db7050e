"""Earth mover's distance between two point-wise distance distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.errors import InputError

MOST_UNITS = 1024
"""Weights that are whole numbers of up to this many equal units are transported as an assignment."""


def earth_movers_distance(a: ArrayLike, b: ArrayLike) -> float:
    """How far one PDD is from another, Å: the least cost of moving the weights of its rows onto the other's.

    Moving a whole weight from one row to another costs the largest difference between their distances (the
    Chebyshev metric). Small moves of atoms change it little: by at most twice the largest move. Widdowson and
    Kurlin, Resolving the data ambiguity for periodic crystals, arXiv:2108.04798.

    Args:
        a: PDD as ``pdd`` gives it, (rows, k + 1).
        b: another, of the same k.

    Raises:
        InputError: no PDDs, or PDDs of different k.
    """
    from scipy.spatial.distance import cdist

    first, second = _checked(a, "a"), _checked(b, "b")
    if first.shape[1] != second.shape[1]:
        raise InputError(f"a and b: made with different k, {first.shape[1] - 1} and {second.shape[1] - 1}")
    cost = cdist(first[:, 1:], second[:, 1:], metric="chebyshev")
    return transport_cost(first[:, 0], second[:, 0], cost)


def transport_cost(supply: ArrayLike, demand: ArrayLike, cost: ArrayLike) -> float:
    """Least cost of a transport, exactly: an assignment of equal units where that is small, else a programme.

    Weights that come from the multiplicities of sites are whole numbers of a common unit. Solved by SciPy:
    the Jonker-Volgenant algorithm (10.1109/TAES.2016.140952), else HiGHS.

    Args:
        supply: (n,) positive weights.
        demand: (m,) positive weights; both are scaled to sum to 1.
        cost: (n, m), cost of moving a whole weight.
    """
    leaving, arriving = np.asarray(supply, dtype=np.float64), np.asarray(demand, dtype=np.float64)
    costs = np.asarray(cost, dtype=np.float64)
    leaving, arriving = leaving / leaving.sum(), arriving / arriving.sum()
    if len(leaving) == 1 or len(arriving) == 1:
        return float(leaving @ costs @ arriving)
    units = _common_units(np.concatenate([leaving, arriving]))
    if units is None:
        return _programme(leaving, arriving, costs)
    from scipy.optimize import linear_sum_assignment

    rows = np.repeat(np.arange(len(leaving)), np.rint(leaving * units).astype(int))
    columns = np.repeat(np.arange(len(arriving)), np.rint(arriving * units).astype(int))
    moved = costs[np.ix_(rows, columns)]
    return float(moved[linear_sum_assignment(moved)].mean())


def _checked(value: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2 or not len(array) or abs(array[:, 0].sum() - 1.0) > 1e-6:
        raise InputError(
            f"{name}: expected a PDD, (rows, k + 1) with weights that sum to 1, got {array.shape}"
        )
    return array


def _common_units(weights: NDArray[np.float64]) -> int | None:
    """The least number of equal units that all weights are whole numbers of; None above ``MOST_UNITS``."""
    lightest = weights.min()
    for units in range(max(1, round(1.0 / lightest)), MOST_UNITS + 1):
        # A sum of many floats divided by their total errs by far less than a thousandth of a unit.
        if abs(lightest * units - round(lightest * units)) < 1e-6:
            counts = weights * units
            if np.abs(counts - np.rint(counts)).max() < 1e-6:
                return units
    return None


def _programme(supply: NDArray[np.float64], demand: NDArray[np.float64], cost: NDArray[np.float64]) -> float:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = cost.shape
    leaving = kron(eye_array(n), np.ones((1, m)))
    arriving = kron(np.ones((1, n)), eye_array(m))
    # The last constraint follows from the others; without it, rounding of the sums cannot contradict them.
    constraints = vstack([leaving, arriving], format="csr")[:-1]
    amounts = np.concatenate([supply, demand])[:-1]
    answer = linprog(cost.ravel(), A_eq=constraints, b_eq=amounts, method="highs")
    if answer.status != 0:
        raise ArithmeticError(f"the transport problem was not solved: {answer.message}")
    return float(answer.fun)
