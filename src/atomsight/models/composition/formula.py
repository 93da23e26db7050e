"""Optimal assignment of elements to sites under a formula that may be incomplete.

A formula from a synthesis or a mass spectrum does not state the number of units in a cell. It often leaves
out hydrogens, or counts hydrogens and solvent that the site list lacks. One integer programme finds the
number of formula units and the assignment. Each atom of the formula that the sites lack has a cost, and so
has each hydrogen of the sites beyond the formula. The counts are exact where possible, and hydrogens deviate
first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS, atomic_number, formula_counts
from atomsight.core.errors import InputError, ModelError
from atomsight.models.composition.assignment import FLOOR, solve

HYDROGEN = 1

COST_OF_HYDROGEN = 2.0
"""Nats for each hydrogen of the cell that is missing, or beyond the formula."""

COST_OF_ATOM = 6.0
"""Nats for each other atom of the cell that is missing."""

MOST_MISSING = 0.5
"""Largest share of a formula's non-hydrogen atoms that the sites may lack."""

MOST_SECONDS = 60.0
"""Time limit of the solver."""


@dataclass(frozen=True, eq=False)
class FormulaFit:
    """Assignment of a formula to the sites of a crystal.

    Attributes:
        numbers: (sites,) uint8 atomic number of each site.
        units: formula units in the cell.
        missing: atoms of the cell, by symbol, that the formula names and the sites lack.
        extra_hydrogens: hydrogens of the cell beyond the formula.
    """

    numbers: NDArray[np.uint8]
    units: int
    missing: dict[str, int]
    extra_hydrogens: int


def parse_formula(text: str) -> dict[int, float]:
    """Return the atoms of a formula unit by atomic number, from ``C13H18O2`` or ``'C13 H18 O2'``.

    Raises:
        InputError: the text is no such formula: charges and parentheses are not understood.
    """
    counts = {atomic_number(symbol): n for symbol, n in formula_counts(text).items() if n > 0}
    if not counts:
        raise InputError(
            f"the formula {text!r} is not understood; write element by element, such as C13H18O2"
        )
    return counts


def fit_formula(
    formula: Mapping[int, float],
    elements: tuple[int, ...],
    probabilities: NDArray[np.floating],
    multiplicities: NDArray[np.integer],
) -> FormulaFit:
    """Return the best assignment of elements to sites, and the number of formula units.

    Maximises the sum over the atoms of the cell of ln p(element), less ``COST_OF_HYDROGEN`` for each hydrogen
    and ``COST_OF_ATOM`` for each other atom by which the cell misses the formula. Only hydrogens may be more
    than the formula says. Solved by HiGHS (Huangfu and Hall 2018, 10.1007/s12532-017-0130-5).

    Args:
        formula: atoms of a formula unit by atomic number; fractions are met to the nearest atom of the cell.
        elements: atomic numbers of the columns.
        probabilities: (sites, elements) of blind prediction.
        multiplicities: (sites,) copies of each site in the cell.

    Raises:
        InputError: no number of formula units fits the sites.
        ModelError: the model does not know an element of the formula, or the solver gave up.
    """
    unknown = [SYMBOLS[z] for z in formula if z not in elements]
    if unknown:
        raise ModelError(f"the model does not know {', '.join(unknown)}, which the formula names")
    with_hydrogen = {*formula, HYDROGEN} if HYDROGEN in elements else set(formula)
    chosen = np.array(sorted(with_hydrogen))
    amount = np.array([formula.get(int(z), 0.0) for z in chosen])
    copies = np.asarray(multiplicities, dtype=np.float64)
    heavy = chosen != HYDROGEN
    unit = float(amount[heavy].sum() or amount.sum())
    most_units = int(copies.sum() / ((1 - MOST_MISSING) * unit) + 1e-9)
    inside = np.log(np.maximum(probabilities[:, np.searchsorted(elements, chosen)].astype(np.float64), FLOOR))
    found = _solve(-copies[:, None] * inside, copies, amount, heavy, most_units) if most_units else None
    if found is None:
        raise InputError(_misfit(chosen, amount, copies))
    assigned, units = found
    counts = np.bincount(assigned, weights=copies, minlength=len(chosen))
    differs = np.trunc(counts - amount * units).astype(int)
    return FormulaFit(
        numbers=chosen[assigned].astype(np.uint8),
        units=units,
        missing={SYMBOLS[z]: -int(n) for z, n in zip(chosen, differs, strict=True) if n < 0},
        extra_hydrogens=int(differs[~heavy].clip(0).sum()),
    )


def _solve(
    cost: NDArray[np.float64],
    copies: NDArray[np.float64],
    amount: NDArray[np.float64],
    heavy: NDArray[np.bool_],
    most_units: int,
) -> tuple[NDArray[np.int64], int] | None:
    """Return (sites,) columns and the number of units of least cost, or None without a solution.

    Unknowns: a 0 or 1 for each site and element, the number of units, the missing atoms of each element, and
    the hydrogens beyond the formula.
    """
    from scipy.optimize import LinearConstraint
    from scipy.sparse import csr_array, diags_array, eye_array, hstack, kron

    sites, n = cost.shape
    one_each = hstack([kron(eye_array(sites), np.ones((1, n))), csr_array((sites, 2 * n + 1))], format="csr")
    counted = kron(copies[None, :], eye_array(n))
    beyond = diags_array(-(~heavy).astype(float))
    balance = hstack([counted, csr_array(-amount[:, None]), eye_array(n), beyond], format="csr")
    rounding = np.where(amount % 1 == 0, 0.0, 0.5)
    lack = np.concatenate([np.zeros(sites * n), [-MOST_MISSING * amount[heavy].sum()], heavy, np.zeros(n)])
    each_missing = np.where(heavy, COST_OF_ATOM, COST_OF_HYDROGEN)
    found = solve(
        np.concatenate([cost.ravel(), [0.0], each_missing, np.full(n, COST_OF_HYDROGEN)]),
        np.concatenate([np.ones(sites * n + 1), np.zeros(2 * n)]),
        (
            np.concatenate([np.zeros(sites * n), [1], np.zeros(2 * n)]),
            np.concatenate([np.ones(sites * n), [most_units], np.full(2 * n, np.inf)]),
        ),
        [
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(balance, -rounding, rounding),
            LinearConstraint(csr_array(lack[None, :]), -np.inf, 0),
        ],
        time_limit=MOST_SECONDS,
    )
    if found is None:
        return None
    return found[: sites * n].reshape(sites, n).argmax(axis=1), round(found[sites * n])


def _misfit(chosen: NDArray[np.integer], amount: NDArray[np.float64], copies: NDArray[np.float64]) -> str:
    named = " ".join(f"{SYMBOLS[z]}{n:g}" for z, n in zip(chosen, amount, strict=True) if n)
    copied = ", ".join(f"{int(m)}" for m in np.unique(copies))
    return (
        f"the formula {named} does not fit {len(copies)} sites with {int(copies.sum())} atoms in the cell "
        f"(multiplicities {copied}), whatever the number of its units: at least half of its atoms besides "
        "hydrogen must be there, and none but hydrogen may be left over; does it lack the solvent or an ion?"
    )
