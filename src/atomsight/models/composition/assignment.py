"""The most likely elements of a crystal's sites when the formula is known: an exact optimal assignment."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError, ModelError

FLOOR = 1e-30
"""Probabilities are raised to this before the logarithm: an impossible site costs much, not infinitely."""


def assign(
    crystal: Crystal, elements: tuple[int, ...], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probabilities and elements of a crystal's sites under its own formula.

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
    """(sites, elements) probabilities given that the element is one of those columns, 0 in the others."""
    inside = np.maximum(probabilities[:, columns].astype(np.float64), FLOOR)
    inside /= inside.sum(axis=1, keepdims=True)
    conditional = np.zeros_like(probabilities)
    conditional[:, columns] = inside
    return conditional


def optimal_assignment(
    probabilities: NDArray[np.floating], multiplicities: NDArray[np.integer], counts: NDArray[np.integer]
) -> NDArray[np.int64]:
    """The assignment of one element per site that is most likely among those that give the cell its formula.

    Maximises the sum over the atoms of the cell of ln p(element), so that a site counts as often as it has
    copies and the answer does not depend on how much of the symmetry the file states. Solved exactly as an
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
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, eye_array, kron

    cost = -(multiplicities[:, None] * np.log(np.maximum(probabilities, FLOOR))).ravel()
    one_each = LinearConstraint(csr_array(kron(eye_array(sites), np.ones((1, n)))), 1, 1)
    formula = LinearConstraint(csr_array(kron(multiplicities[None, :], eye_array(n))), counts, counts)
    result = milp(
        cost,
        integrality=np.ones(sites * n),
        bounds=Bounds(0, 1),
        constraints=[one_each, formula],
        options={"mip_rel_gap": 0.0},
    )
    if result.status == 2:
        raise InputError("no assignment of one element per site gives the formula with these multiplicities")
    if not result.success:
        raise ModelError(f"the assignment under the formula was not solved: {result.message}")
    return np.asarray(result.x).reshape(sites, n).argmax(axis=1)
