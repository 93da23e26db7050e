"""`Prediction`, the result of a model for one crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import ModelError

if TYPE_CHECKING:
    from atomsight.models.composition.formula import FormulaFit


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of a model for the sites of one crystal.

    Attributes:
        crystal: the crystal.
        elements: atomic numbers, in the order of the columns.
        probabilities: (sites, elements) float32, rows sum to 1.
        predicted: (sites,) uint8, atomic number of each site: the most probable one, or under a composition
            that of the optimal assignment.
        members: (sites, elements) whether an element is in the site's prediction set, see :meth:`sets`; None
            if the model has no thresholds.
        fit: assignment of an external formula; None without one.
    """

    crystal: Crystal
    elements: tuple[int, ...]
    probabilities: NDArray[np.float32]
    predicted: NDArray[np.uint8]
    members: NDArray[np.bool_] | None = None
    fit: FormulaFit | None = None

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """(sites,) whether the predicted element is the crystal's own."""
        equal: NDArray[np.bool_] = self.predicted == self.crystal.site_numbers
        return equal

    def ranked(self, site: int, least: float = 0.0) -> dict[str, float]:
        """Return the probabilities of one site by element symbol, highest first, of at least ``least``."""
        row = self.probabilities[site]
        order = np.argsort(-row, kind="stable")
        return {SYMBOLS[self.elements[j]]: float(row[j]) for j in order if row[j] >= least}

    def sets(self) -> list[tuple[str, ...]]:
        """Return the prediction set of each site, most probable element first; 99 % contain the true one.

        ``conformal.py`` explains the coverage. Under a formula they are the sets of the blind prediction
        without the elements that the formula lacks, which keeps the coverage. The assigned element is always
        included.

        Raises:
            ModelError: the model has no thresholds for its sets.
        """
        if self.members is None:
            raise ModelError(
                "the model has no thresholds for its sets; fit them on its own dataset: "
                "python -m workshop.sets MODEL DATASET"
            )
        order = np.argsort(-self.probabilities, axis=1, kind="stable")
        symbols = [SYMBOLS[z] for z in self.elements]
        return [
            tuple(symbols[j] for j in row if held[j]) for row, held in zip(order, self.members, strict=True)
        ]
