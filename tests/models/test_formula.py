from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atomsight
from atomsight.core.errors import InputError, ModelError
from atomsight.models.composition.assignment import optimal_assignment
from atomsight.models.composition.formula import FormulaFit, fit_formula, parse_formula

IBUPROFEN = Path(__file__).parents[2] / "examples" / "ibuprofen.cif"

H_C_O_ZN = (1, 6, 8, 30)


def sharp(numbers: list[int], p: float = 0.97) -> np.ndarray:
    """Probabilities that name these elements."""
    rows = np.full((len(numbers), 4), (1 - p) / 3)
    rows[np.arange(len(numbers)), [H_C_O_ZN.index(z) for z in numbers]] = p
    return rows


def fitted(formula: str, numbers: list[int], copies: list[int] | None = None, p: float = 0.97) -> FormulaFit:
    return fit_formula(
        parse_formula(formula), H_C_O_ZN, sharp(numbers, p), np.array(copies or [4] * len(numbers))
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_a_complete_formula_gives_the_exact_assignment(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sites, units = int(generator.integers(3, 9)), int(generator.integers(1, 4))
    p = generator.dirichlet(np.ones(4), sites)
    truth = np.append(generator.integers(1, 4, sites - 1), 1)
    copies = units * generator.choice([1, 2, 3], sites)
    counts = np.bincount(truth, weights=copies, minlength=4).astype(int)
    best = optimal_assignment(p, copies, counts)
    fit = fit_formula(dict(zip(H_C_O_ZN, counts / units, strict=True)), H_C_O_ZN, p, copies)
    chosen = np.searchsorted(H_C_O_ZN, fit.numbers)

    def cost(columns: np.ndarray) -> float:
        return float(-(copies * np.log(p[np.arange(sites), columns])).sum())

    slack = 2.0 * (fit.extra_hydrogens + fit.missing.get("H", 0)) + 6.0 * sum(
        n for symbol, n in fit.missing.items() if symbol != "H"
    )
    assert cost(chosen) + slack <= cost(best) + 1e-6
    if not slack:
        assert cost(chosen) == pytest.approx(cost(best), abs=1e-6)


def test_the_number_of_units_is_found() -> None:
    fit = fitted("C2H4O", [6, 1, 1, 8, 6, 1, 1])
    assert (fit.units, fit.missing, fit.extra_hydrogens) == (4, {}, 0)
    assert fit.numbers.tolist() == [6, 1, 1, 8, 6, 1, 1]


def test_counts_come_out_exactly_against_the_odds() -> None:
    """The least sure of three carbons gives way."""
    rows = sharp([6, 6, 6, 8])
    rows[2] = [0.01, 0.6, 0.38, 0.01]
    fit = fit_formula({6: 1, 8: 1}, H_C_O_ZN, rows, np.array([2, 2, 2, 2]))
    assert (fit.units, fit.missing) == (4, {})
    assert fit.numbers.tolist() == [6, 6, 8, 8]


def test_a_formula_without_hydrogens_takes_those_of_the_sites() -> None:
    fit = fitted("C2O", [6, 1, 1, 8, 6, 1, 1])
    assert (fit.units, fit.missing, fit.extra_hydrogens) == (4, {}, 16)
    assert fit.numbers.tolist() == [6, 1, 1, 8, 6, 1, 1]


def test_sites_without_hydrogens_miss_those_of_the_formula() -> None:
    fit = fitted("C2H4O", [6, 8, 6])
    assert (fit.units, fit.missing, fit.extra_hydrogens) == (4, {"H": 16}, 0)
    assert fit.numbers.tolist() == [6, 8, 6]


def test_a_solvent_that_is_not_there_is_missed() -> None:
    fit = fitted("ZnC4O4", [30, 6, 6, 6, 6, 8, 8, 8])
    assert (fit.units, fit.missing) == (4, {"O": 4})
    assert fit.numbers.tolist() == [30, 6, 6, 6, 6, 8, 8, 8]


def test_fractions_are_met_to_the_nearest_atom() -> None:
    fit = fitted("CO0.5", [6, 6, 8], [1, 1, 1])
    assert (fit.units, fit.missing) == (2, {})
    fit = fitted("CO0.6", [6, 6, 8], [1, 1, 1])
    assert (fit.units, fit.missing) == (2, {})


def test_a_formula_that_cannot_be_laid_over_the_sites_says_so() -> None:
    with pytest.raises(InputError, match=r"C3 O3 does not fit 1 sites with 4 atoms.*multiplicities 4"):
        fitted("C3O3", [6])
    with pytest.raises(InputError, match="does not fit 1 sites"):
        fitted("C12O12", [6])
    with pytest.raises(ModelError, match="does not know Xe"):
        fitted("CXe", [6, 6])
    for text in ("", "C2(OH)4", "water", "Xx2"):
        with pytest.raises(InputError, match="is not understood"):
            parse_formula(text)


def test_on_a_real_crystal() -> None:
    model = atomsight.load_model()
    crystal = next(atomsight.read(IBUPROFEN))
    (exact,) = model.predict(crystal, composition=True)
    (stated,) = model.predict(crystal, formula="stated")
    (bare,) = model.predict(crystal, formula="C13 O2")
    assert exact.agrees.all()
    assert exact.fit is None
    for prediction, extra in ((stated, 0), (bare, 72)):
        assert prediction.fit is not None
        assert (prediction.fit.units, prediction.fit.extra_hydrogens, prediction.fit.missing) == (
            4,
            extra,
            {},
        )
        assert prediction.predicted.tolist() == exact.predicted.tolist()
        np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-5)


def test_what_cannot_be_given_is_skipped_or_raised() -> None:
    model = atomsight.load_model()
    crystal = next(atomsight.read(IBUPROFEN))
    told: list[tuple[str, str]] = []
    for formula in ("C900", "C2Og"):
        assert not list(model.predict(crystal, formula=formula, on_skip=lambda *a: told.append(a)))
    assert [reason.split()[1] for _, reason in told] == ["formula", "model"]
    with pytest.raises(InputError, match=r"ibuprofen.*does not fit"):
        list(model.predict(crystal, formula="C900"))
    with pytest.raises(InputError, match="not both"):
        list(model.predict(crystal, composition=True, formula="C"))
    object.__setattr__(crystal, "formula_sum", None)
    with pytest.raises(InputError, match="states no formula"):
        list(model.predict(crystal, formula="stated"))
