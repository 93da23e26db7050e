"""The set of elements that a site may be of: with a promised share of the sites it holds the true one.

Split conformal prediction (Vovk, Gammerman and Shafer 2005, 10.1007/b106715; Sadinle, Lei and Wasserman 2019,
10.1080/01621459.2017.1395341). An element is in the set when its probability reaches a threshold, and each
first choice has a threshold of its own (Mondrian categories), fitted on ``val``: of the sites that look like
zinc, 99 % are of an element in their set, and of those that look like carbon too. One threshold for all
would keep the promise on the many H and C and break it on metals; one for each true element would put rare
elements into the set of every carbon.

The promise holds for sites drawn like those of ``val``. The sites of a crystal are right or wrong together,
so that it is kept less exactly than the number of sites suggests; and crystals of another kind may break it.

A model file carries its thresholds in its metadata, ``sets``. For one that was made without, this writes
them beside it, bound to it by its fingerprint:

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
"""The promise."""

ENOUGH = 100
"""Sites of ``val`` with the same first choice that make a category; a threshold at 99 % needs 99."""

CALIBRATION_SITES = 500_000
"""Sites of ``val`` that temperature and thresholds are fitted to at most; bounds the memory."""


class Fitted(Protocol):
    """What `rule_of` needs to know of a `Model`."""

    elements: tuple[int, ...]
    metadata: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Identifies the model."""


@dataclass(frozen=True, eq=False)
class SetRule:
    """Thresholds that turn probabilities into sets.

    Attributes:
        coverage: share of the sites whose set holds the true element, as promised.
        thresholds: (elements,) float64; with this column as the first choice, elements of at least this
            probability are in the set.
        sites: sites of ``val`` that the thresholds were fitted to.
    """

    coverage: float
    thresholds: NDArray[np.float64]
    sites: int

    def members(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n, elements) whether an element is in the set of a site; the first choice always is.

        Args:
            probabilities: (n, elements), of blind prediction.
        """
        first = probabilities.argmax(axis=1)
        held = probabilities >= self.thresholds[first][:, None]
        held[np.arange(len(first)), first] = True
        return held

    def as_dict(self, elements: Sequence[int]) -> dict[str, Any]:
        """For JSON, thresholds by symbol."""
        numbers = {SYMBOLS[z]: float(t) for z, t in zip(elements, self.thresholds, strict=True)}
        return {"coverage": self.coverage, "sites": self.sites, "thresholds": numbers}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], elements: Sequence[int], source: str) -> SetRule:
        """From what `as_dict` gave.

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
    """Thresholds of the sets, from sites that the model has not learnt from.

    First choices with fewer than ``ENOUGH`` sites share a threshold; if they are too few together, it is that
    of all sites. With fewer sites than the coverage needs (99 for 99 %), the sets hold every element.

    Args:
        probabilities: (n, elements).
        truth: (n,) column of the true element.
        coverage: the share to promise, in (0, 1).

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
    """The largest that keeps the promise for one more site drawn like these: an order statistic."""
    rank = int(np.floor((len(own) + 1) * (1 - coverage) + 1e-9))
    if rank < 1:
        return 0.0
    # Rounded down, so that a probability stored in single precision still reaches its own threshold.
    return float(np.partition(own, rank - 1)[rank - 1]) * (1 - 1e-6)


def file_beside(model: Path) -> Path:
    """Where the thresholds of a model file lie that does not carry them itself."""
    return model.with_name(model.stem + ".sets.json")


def rule_of(model: Fitted, file: Path) -> SetRule | None:
    """The thresholds that a model file carries, or those beside it that belong to it; None without any.

    Raises:
        ModelError: they are damaged, or bundled and fitted with another model than the one present.
    """
    carried = model.metadata.get("sets")
    if carried is not None:
        return SetRule.from_dict(carried, model.elements, str(file))
    path = file_beside(file)
    if not path.is_file():
        return None
    fingerprint_of(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        bound = record["model"] == model.fingerprint
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}); remove it or fit the sets again") from error
    return SetRule.from_dict(record, model.elements, str(path)) if bound else None
