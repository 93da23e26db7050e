"""`Model`, the interface of every trained model. It runs on ONNX Runtime, without PyTorch."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.elements import parse_elements
from atomsight.core.errors import InputError, ModelError
from atomsight.core.wording import counted
from atomsight.models.composition.constraint import CompositionConstraint, OnSkip
from atomsight.models.prediction import Prediction

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from atomsight.models.conformal import SetRule

Columns = dict[str, NDArray[Any]]

SITES_PER_RUN = 8192
"""Sites gathered over crystals before the network runs: enough for all cores, few enough for the cache."""


class Model(ABC):
    """A trained model in an ONNX session.

    Attributes:
        name: name of the bundled model, or of the run folder or file that it came from.
        kind: the architecture, e.g. ``two-stage``.
        k: neighbours of a site that it uses.
        elements: atomic numbers, in the order of the output columns.
        metadata: that of the file; values are parsed where they are JSON.
        fingerprint: hexadecimal SHA-256 of its file. A calibration stores that of the model it belongs to.
        set_rule: turns its probabilities into prediction sets; None if it was never fitted.
    """

    set_rule: SetRule | None = None

    columns: tuple[str, ...]
    """Columns of the dataset that :meth:`probabilities` needs."""

    def __init__(self, name: str, session: InferenceSession, fingerprint: str) -> None:
        raw = session.get_modelmeta().custom_metadata_map
        try:
            self.kind = raw["kind"]
            self.k = int(raw["k"])
            self.elements: tuple[int, ...] = parse_elements(raw["elements"])
        except (KeyError, ValueError) as error:
            raise ModelError(
                f"the model {name} lacks its metadata (kind, k, elements); train it again"
            ) from error
        self.name = name
        self.fingerprint = fingerprint
        self.metadata: dict[str, Any] = {key: _parsed(value) for key, value in raw.items()}
        self._session = session

    @abstractmethod
    def probabilities(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the probability of each element at each site.

        Args:
            columns: the dataset's columns named in :attr:`columns`, n rows each. The first k neighbours
                are used.

        Returns:
            (n, len(elements)) float32, rows sum to 1.

        Raises:
            ModelError: a column is missing, is too narrow, or holds numbers that are not finite.
        """

    @abstractmethod
    def columns_of(self, crystal: Crystal) -> dict[str, NDArray[Any]]:
        """Return the columns that :meth:`probabilities` needs, a row per site of the crystal."""

    def predict(
        self,
        crystals: Crystal | Iterable[Crystal],
        composition: bool = False,
        on_skip: Callable[[str, str], None] | None = None,
        formula: str | None = None,
    ) -> Iterator[Prediction]:
        """Predict the element of every site of crystals, in their order. Crystals share runs of the network.

        The crystals' own elements are not used, except with ``composition``. Then their counts are used: the
        probabilities are conditional on the elements of the formula, and `Prediction.predicted` is the most
        likely assignment in which the cell has the formula's counts (``assignment.py``). An external
        ``formula`` may leave out hydrogens, or name atoms that the sites lack (``formula.py``).

        Args:
            crystals: one crystal or an iterable.
            composition: use each crystal's formula, counted over its sites.
            on_skip: receives (source, reason) of a crystal whose formula holds an element that the model does
                not know, or does not fit its sites; without it such a crystal raises.
            formula: the formula of every crystal, such as ``C13H18O2``; or ``stated`` for the one that each
                file states in ``_chemical_formula_sum``.

        Raises:
            InputError: the formula is not understood; without ``on_skip``: it does not fit the sites.
            ModelError: without ``on_skip``: a formula names an element that the model does not know.
        """
        if composition and formula is not None:
            raise InputError("composition takes the formula from the sites; give it or a formula, not both")
        constraint = CompositionConstraint(self.name, self.elements, composition, formula)
        held: list[tuple[Crystal, Columns]] = []
        sites = 0
        for crystal in [crystals] if isinstance(crystals, Crystal) else crystals:
            if not constraint.applies_to(crystal, on_skip):
                continue
            held.append((crystal, self.columns_of(crystal)))
            sites += crystal.n_sites
            if sites >= SITES_PER_RUN:
                yield from self._predict_batch(held, constraint, on_skip)
                held, sites = [], 0
        if held:
            yield from self._predict_batch(held, constraint, on_skip)

    def _predict_batch(
        self, held: list[tuple[Crystal, Columns]], constraint: CompositionConstraint, on_skip: OnSkip | None
    ) -> Iterator[Prediction]:
        joined = {name: np.concatenate([rows[name] for _, rows in held]) for name in held[0][1]}
        answer = self.probabilities(joined)
        ends = np.cumsum([crystal.n_sites for crystal, _ in held])
        for (crystal, _), part in zip(held, np.split(answer, ends[:-1]), strict=True):
            members = None if self.set_rule is None else self.set_rule.members(part)
            prediction = constraint.apply(crystal, part, members, on_skip)
            if prediction is not None:
                yield prediction

    def checked_distances(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return (n, k) distances as the network takes them.

        Raises:
            ModelError: one of :attr:`columns` is missing, or the distances are too few or not finite.
        """
        if any(name not in columns for name in self.columns):
            raise ModelError(
                f"the model {self.name} needs the columns {', '.join(self.columns)}, got "
                f"{', '.join(columns) or 'none'}"
            )
        distances = np.asarray(columns["distances"])
        if distances.ndim != 2 or distances.shape[1] < self.k:
            raise ModelError(
                f"the model {self.name} needs k = {self.k} distances a site, got shape {distances.shape}"
            )
        distances = np.ascontiguousarray(distances[:, : self.k], dtype=np.float32)
        if not np.isfinite(distances).all():
            raise ModelError(f"the model {self.name} was given distances that are not finite")
        return distances

    def __repr__(self) -> str:
        return f"<{self.kind} model {self.name}: k = {self.k}, {counted(len(self.elements), 'element')}>"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
