"""Optimal assignment of elements to sites under a known formula."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError, ModelError

FLOOR = 1e-30
"""Lower limit of probabilities before the logarithm, so that an impossible site has a finite cost."""


def assign(
    crystal: Crystal, elements: tuple[int, ...], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return probabilities and elements of a crystal's sites under its own formula.

    Args:
        crystal: only its multiplicities and the counts of its elements are used.
        elements: atomic numbers of the columns; hold all elements of the crystal.
        probabilities: (sites, elements).

    Returns:
        (sites, elements) float32 probabilities given that the element is one of the formula's, rows sum to 1;
        and the (sites,) uint8 atomic numbers of :func:`optimal_assignment`.
    """
    counts = Counter(crystal.numbers.tolist())
    formula = np.array(sorted(counts))
    chosen = np.searchsorted(np.array(elements), formula)
    conditional = among(probabilities, chosen)
    inside = np.maximum(conditional[:, chosen], FLOOR)
    column = optimal_assignment(inside, crystal.multiplicities, np.array([counts[z] for z in formula]))
    return conditional, formula[column].astype(np.uint8)


def among(probabilities: NDArray[np.float32], columns: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return (sites, elements) probabilities conditional on some columns, 0 in the others."""
    inside = np.maximum(probabilities[:, columns].astype(np.float64), FLOOR)
    inside /= inside.sum(axis=1, keepdims=True)
    conditional = np.zeros_like(probabilities)
    conditional[:, columns] = inside
    return conditional


def optimal_assignment(
    probabilities: NDArray[np.floating], multiplicities: NDArray[np.integer], counts: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return the most likely assignment of one element per site that gives the cell its formula.

    Maximises the sum over the atoms of the cell of ln p(element). A site counts as often as it has copies, so
    that the result does not depend on how much of the symmetry the file states. Solved exactly as an
    integer programme by HiGHS (Huangfu and Hall 2018, 10.1007/s12532-017-0130-5).

    Args:
        probabilities: (sites, elements), rows sum to 1.
        multiplicities: (sites,) copies of each site in the cell.
        counts: (elements,) atoms of each element in the cell.

    Returns:
        (sites,) int64 column of each site.

    Raises:
        InputError: no assignment gives these counts with these multiplicities.
        ModelError: the solver stopped without an optimum.
    """
    sites, n = probabilities.shape
    multiplicities = np.asarray(multiplicities)
    if multiplicities.sum() != np.sum(counts):
        raise InputError(
            f"the formula has {int(np.sum(counts))} atoms a cell, the sites {int(multiplicities.sum())}"
        )
    if n == 1:
        return np.zeros(sites, dtype=np.int64)
    from scipy.optimize import LinearConstraint
    from scipy.sparse import csr_array, eye_array, kron

    cost = -(multiplicities[:, None] * np.log(np.maximum(probabilities, FLOOR))).ravel()
    one_each = LinearConstraint(csr_array(kron(eye_array(sites), np.ones((1, n)))), 1, 1)
    formula = LinearConstraint(csr_array(kron(multiplicities[None, :], eye_array(n))), counts, counts)
    found = solve(cost, np.ones(sites * n), (0, 1), [one_each, formula])
    if found is None:
        raise InputError("no assignment of one element per site gives the formula with these multiplicities")
    columns: NDArray[np.int64] = found.reshape(sites, n).argmax(axis=1)
    return columns


def solve(
    cost: NDArray[np.float64],
    integrality: NDArray[np.float64],
    bounds: tuple[Any, Any],
    constraints: list[Any],
    **options: float,
) -> NDArray[np.float64] | None:
    """Solve a mixed-integer linear programme exactly, by HiGHS (Huangfu and Hall 2018).

    Args:
        cost: (n,) of the unknowns, to be minimised.
        integrality: (n,) 1 for integers, 0 for real numbers.
        bounds: lower and upper, of all unknowns or (n,) each.
        constraints: SciPy's linear constraints.
        **options: of `scipy.optimize.milp`.

    Returns:
        (n,) the solution, or None if there is none.

    Raises:
        ModelError: the solver stopped without an optimum.
    """
    from scipy.optimize import Bounds, milp

    result = milp(
        cost,
        integrality=integrality,
        bounds=Bounds(*bounds),
        constraints=constraints,
        options={"mip_rel_gap": 0.0, **options},
    )
    if result.status == 2:
        return None
    if not result.success:
        raise ModelError(f"the assignment under the formula was not solved: {result.message}")
    return np.asarray(result.x)
