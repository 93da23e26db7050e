"""`Prediction`, the result of a model for one crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import ModelError
from atomsight.core.results import Record

if TYPE_CHECKING:
    import pyarrow as pa

    from atomsight.models.composition.formula import FormulaFit

LEAST_SHOWN = 1e-3
"""Smaller probabilities are left out of `Prediction.as_dict`."""


@dataclass(frozen=True, eq=False)
class Prediction(Record):
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
        agrees: NDArray[np.bool_] = self.predicted == self.crystal.site_numbers
        return agrees

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

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight predict --json`` prints them.

        Returns:
            ``crystal``, ``source``, ``formula`` and ``sites``, one dictionary each with ``site``, ``label``,
            ``multiplicity``, ``element``, ``predicted``, ``set`` and the ``probabilities`` of at least 0.001.
            A given formula adds ``formula_units``, ``missing_atoms`` and ``extra_hydrogens``.
        """
        crystal, fit = self.crystal, self.fit
        sets = None if self.members is None else self.sets()
        columns = (crystal.multiplicities, crystal.site_numbers, self.predicted)
        rows = zip(crystal.labels, *(column.tolist() for column in columns), strict=True)
        record: dict[str, Any] = {"crystal": crystal.name, "source": crystal.source}
        record["formula"] = crystal.formula
        if fit is not None:
            record["formula_units"], record["missing_atoms"] = fit.units, fit.missing
            record["extra_hydrogens"] = fit.extra_hydrogens
        record["sites"] = [
            {
                "site": site,
                "label": label,
                "multiplicity": multiplicity,
                "element": SYMBOLS[element],
                "predicted": SYMBOLS[predicted],
                **({} if sets is None else {"set": list(sets[site])}),
                "probabilities": {name: round(p, 4) for name, p in self.ranked(site, LEAST_SHOWN).items()},
            }
            for site, (label, multiplicity, element, predicted) in enumerate(rows)
        ]
        return record

    @classmethod
    def schema(cls) -> pa.Schema:
        """The columns of `to_arrow`: a row for each site."""
        import pyarrow as pa

        text, whole = pa.string(), pa.int64()
        return pa.schema(
            {
                "crystal": text,
                "source": text,
                "formula": text,
                "formula_units": whole,
                "missing_atoms": pa.map_(text, whole),
                "extra_hydrogens": whole,
                "site": whole,
                "label": text,
                "multiplicity": whole,
                "element": text,
                "predicted": text,
                "set": pa.list_(text),
                "probabilities": pa.map_(text, pa.float64()),
            }
        )
