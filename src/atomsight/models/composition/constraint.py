"""Composition constraints: none, the counts over the sites, or an external formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.core.progress import OnSkip as OnSkip
from atomsight.io.policy import Reason
from atomsight.models.composition.assignment import among, assign
from atomsight.models.composition.formula import HYDROGEN, fit_formula, parse_formula
from atomsight.models.prediction import Prediction

Mask = NDArray[np.bool_]

STATED = "stated"
"""Stands for the formula that each file states."""


class CompositionConstraint:
    """Turns blind probabilities into a prediction under a composition; see `Model.predict`.

    Args:
        model: its name, for messages.
        elements: atomic numbers, the order of the columns of its probabilities.
        composition: use each crystal's own counts.
        formula: of all crystals, or `STATED`; None for none.

    Raises:
        InputError: the formula is not understood.
    """

    def __init__(self, model: str, elements: tuple[int, ...], composition: bool, formula: str | None) -> None:
        self.model = model
        self.elements = elements
        self.composition = composition
        self.stated = formula is not None and formula.strip().lower() == STATED
        self.formula = None if formula is None or self.stated else parse_formula(formula)

    def applies_to(self, crystal: Crystal, on_skip: OnSkip | None) -> bool:
        """Return whether the model knows all elements of the composition.

        A crystal to which this does not apply goes to ``on_skip``.

        Raises:
            ModelError: without ``on_skip``: the model does not know an element.
            InputError: without ``on_skip``: the file states no formula that is understood.
        """
        try:
            if self.composition:
                named = set(crystal.site_numbers.tolist())
                advice = "; predict without composition"
            else:
                named, advice = set(self._formula_of(crystal) or ()), ""
        except InputError as error:
            self._skip(crystal, Reason("no_formula", str(error)), InputError, "", on_skip)
            return False
        unknown = sorted(named - set(self.elements))
        if unknown:
            text = f"the model {self.model} does not know {', '.join(SYMBOLS[z] for z in unknown)}"
            self._skip(crystal, Reason("unknown_to_model", text), ModelError, advice, on_skip)
        return not unknown

    def apply(
        self, crystal: Crystal, blind: NDArray[np.float32], members: Mask | None, on_skip: OnSkip | None
    ) -> Prediction | None:
        """Return the prediction for a crystal, or None if it went to ``on_skip``.

        Raises:
            InputError: without ``on_skip``: the formula does not fit the sites.
        """
        elements = self.elements
        fit = None
        if self.composition:
            probabilities, predicted = assign(crystal, elements, blind)
        elif formula := self._formula_of(crystal):
            try:
                fit = fit_formula(formula, elements, blind, crystal.multiplicities)
            except InputError as error:
                self._skip(crystal, Reason("formula_misfit", str(error)), InputError, "", on_skip)
                return None
            predicted = fit.numbers
            named = {*formula, HYDROGEN} if fit.extra_hydrogens else set(formula)
            probabilities = among(blind, np.searchsorted(elements, sorted(named)))
        else:
            best = np.asarray(elements, dtype=np.uint8)[blind.argmax(axis=1)]
            return Prediction(crystal, elements, blind, best, members)
        if members is not None:
            members = members & (probabilities > 0).any(axis=0)
            members[np.arange(len(predicted)), np.searchsorted(elements, predicted)] = True
        return Prediction(crystal, elements, probabilities, predicted, members, fit)

    def _formula_of(self, crystal: Crystal) -> dict[int, float] | None:
        if not self.stated:
            return self.formula
        if crystal.formula_sum is None:
            raise InputError("the file states no formula in _chemical_formula_sum; give it by hand")
        return parse_formula(crystal.formula_sum)

    @staticmethod
    def _skip(
        crystal: Crystal, reason: Reason, error: type[Exception], advice: str, on_skip: OnSkip | None
    ) -> None:
        source = crystal.source or crystal.name
        if on_skip is None:
            raise error(f"{source}: {reason}{advice}")
        on_skip(source, reason)
