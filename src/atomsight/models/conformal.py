"""Prediction sets: a chosen share of them contains the true element.

Split conformal prediction (Vovk, Gammerman and Shafer 2005, 10.1007/b106715; Sadinle, Lei and Wasserman 2019,
10.1080/01621459.2017.1395341). An element is in the set if its probability reaches a threshold. Each
predicted element has its own threshold (Mondrian categories), fitted on ``val``: 99 % of the sites that are
predicted as zinc have their element in the set, and the same holds for carbon. One common threshold would
reach the coverage on the many H and C, but not on metals. One threshold per true element would put rare
elements into the set of every carbon.

The coverage holds for sites drawn like those of ``val``. Sites of one crystal are correlated, so coverage is
less precise than the number of sites suggests. For crystals of another class it may be lower.

A model file stores its thresholds in its metadata, ``sets``. For a file without them, this command writes a
file next to it that names the model's fingerprint:

    python -m workshop.sets MODEL DATASET
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.models.artefacts import fingerprint_of

COVERAGE = 0.99
"""Target coverage: share of prediction sets that contain the true element."""

ENOUGH = 100
"""Fewest ``val`` sites of a category, all with the same predicted element. A threshold at 99 % needs 99."""

CALIBRATION_SITES = 500_000
"""Largest number of ``val`` sites for the fit of temperature and thresholds. Limits the memory."""


class Fitted(Protocol):
    """The part of a `Model` that `rule_of` needs."""

    elements: tuple[int, ...]
    metadata: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model's file."""


@dataclass(frozen=True, eq=False)
class SetRule:
    """Thresholds that turn probabilities into sets.

    Attributes:
        coverage: target share of the sites whose set contains the true element.
        thresholds: (elements,) float64, by the column of the predicted element. Elements of at least this
            probability are in the set.
        sites: number of ``val`` sites in the fit.
    """

    coverage: float
    thresholds: NDArray[np.float64]
    sites: int

    def members(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return (n, elements) whether an element is in the set of a site. The predicted element always is.

        Args:
            probabilities: (n, elements), of blind prediction.
        """
        first = probabilities.argmax(axis=1)
        members: NDArray[np.bool_] = probabilities >= self.thresholds[first][:, None]
        members[np.arange(len(first)), first] = True
        return members

    def as_dict(self, elements: Sequence[int]) -> dict[str, Any]:
        """Return a record for JSON with the thresholds by symbol."""
        numbers = {SYMBOLS[z]: float(t) for z, t in zip(elements, self.thresholds, strict=True)}
        return {"coverage": self.coverage, "sites": self.sites, "thresholds": numbers}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], elements: Sequence[int], source: str) -> SetRule:
        """Create from a record of `as_dict`.

        Raises:
            ModelError: it is no such record, or about other elements.
        """
        try:
            by_number = {NUMBERS[symbol]: float(t) for symbol, t in record["thresholds"].items()}
            thresholds = np.array([by_number[z] for z in elements])
            return cls(float(record["coverage"]), thresholds, int(record["sites"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"the thresholds of the sets in {source} are damaged; fit them again: "
                "python -m workshop.sets MODEL DATASET"
            ) from error


def fit_sets(
    probabilities: NDArray[np.floating], truth: NDArray[np.integer], coverage: float = COVERAGE
) -> SetRule:
    """Fit the thresholds of the sets on sites that are not in the training set.

    Predicted elements with fewer than ``ENOUGH`` sites share a threshold. If they are too few together, it is
    that of all sites. With fewer sites than the coverage needs (99 for 99 %), the sets contain every element.

    Args:
        probabilities: (n, elements).
        truth: (n,) column of the true element.
        coverage: target coverage, in (0, 1).

    Raises:
        InputError: the coverage is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise InputError(f"coverage is {coverage}; it must lie between 0 and 1, such as 0.99")
    elements = probabilities.shape[1]
    first = probabilities.argmax(axis=1)
    own = np.take_along_axis(probabilities, np.asarray(truth, dtype=np.int64)[:, None], axis=1)[:, 0]
    count = np.bincount(first, minlength=elements)
    rare = count < ENOUGH
    pooled = own[rare[first]]
    shared = _threshold(pooled if len(pooled) >= ENOUGH else own, coverage)
    thresholds = np.full(elements, shared)
    for column in np.flatnonzero(~rare):
        thresholds[column] = _threshold(own[first == column], coverage)
    return SetRule(coverage, thresholds, len(own))


def _threshold(own: NDArray[np.floating], coverage: float) -> float:
    """Return the largest threshold with this coverage for one more site drawn like these."""
    rank = int(np.floor((len(own) + 1) * (1 - coverage) + 1e-9))
    if rank < 1:
        return 0.0
    # Rounded down, so that a probability stored in single precision still reaches its own threshold.
    return float(np.partition(own, rank - 1)[rank - 1]) * (1 - 1e-6)


def sets_file(model: Path) -> Path:
    """Return the file of thresholds for a model file that does not contain them."""
    return model.with_name(model.stem + ".sets.json")


def rule_of(model: Fitted, file: Path) -> SetRule | None:
    """Return the thresholds in a model file, or in the file next to it, or None without any.

    Raises:
        ModelError: they are damaged, or bundled and fitted with another model than the one present.
    """
    carried = model.metadata.get("sets")
    if carried is not None:
        return SetRule.from_dict(carried, model.elements, str(file))
    path = sets_file(file)
    if not path.is_file():
        return None
    fingerprint_of(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        bound = record["model"] == model.fingerprint
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}); remove it or fit the sets again") from error
    return SetRule.from_dict(record, model.elements, str(path)) if bound else None
