"""What every trained model offers, whatever its architecture. Runs on ONNX Runtime; PyTorch is not needed."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.crystal import Crystal
from atomsight.elements import SYMBOLS, parse_elements
from atomsight.errors import ModelError
from atomsight.readers.quality import Reason

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SITES_PER_RUN = 8192
"""Sites gathered over crystals before the network runs: enough for all cores, few enough for the cache."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about the sites of one crystal.

    Attributes:
        crystal: the crystal.
        elements: atomic numbers, the order of the columns.
        probabilities: (sites, elements) float32, rows sum to 1.
        predicted: (sites,) uint8, atomic number given to each site: the most probable one, or under a given
            composition that of the best assignment as a whole.
    """

    crystal: Crystal
    elements: tuple[int, ...]
    probabilities: NDArray[np.float32]
    predicted: NDArray[np.uint8]

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """(sites,) whether the predicted element is the crystal's own."""
        return self.predicted == self.crystal.site_numbers

    def ranked(self, site: int, least: float = 0.0) -> dict[str, float]:
        """Probability by element symbol of one site, highest first, those of at least ``least``."""
        row = self.probabilities[site]
        order = np.argsort(-row, kind="stable")
        return {SYMBOLS[self.elements[j]]: float(row[j]) for j in order if row[j] >= least}


class Model(ABC):
    """A trained model in an ONNX session.

    Attributes:
        name: name of the bundled model, or of the run folder or file that it came from.
        kind: the architecture, e.g. ``two-stage``.
        k: neighbours that it looks at.
        elements: atomic numbers, the order of the columns of its output.
        metadata: what the training wrote into the file; the values are parsed JSON where they are JSON.
    """

    columns: tuple[str, ...]
    """Columns of the dataset that :meth:`probabilities` needs."""

    def __init__(self, name: str, session: InferenceSession) -> None:
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
        self.metadata: dict[str, Any] = {key: _parsed(value) for key, value in raw.items()}
        self._session = session

    @property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of what the file says of its training, the fitted temperature to its last digit
        included. What was calibrated on one model's answers says so, since it fits no other's.
        """
        told = [self.kind, self.k, list(self.elements)]
        told += [self.metadata.get(key) for key in ("temperature", "settings", "data")]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @abstractmethod
    def probabilities(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Probability of each element at each site.

        Args:
            columns: the dataset's columns named in :attr:`columns`, n rows each. Where the dataset's k is
                larger than the model's, the first k are taken.

        Returns:
            (n, len(elements)) float32, rows sum to 1.

        Raises:
            ModelError: a column is missing, is too narrow, or holds numbers that are not finite.
        """

    @abstractmethod
    def columns_of(self, crystal: Crystal) -> dict[str, NDArray[Any]]:
        """The columns that :meth:`probabilities` needs, a row per site of the crystal."""

    def predict(
        self,
        crystals: Crystal | Iterable[Crystal],
        composition: bool = False,
        on_skip: Callable[[str, str], None] | None = None,
    ) -> Iterator[Prediction]:
        """Predict the element of every site of crystals, in their order; crystals share runs of the network.

        The crystals' own elements are never looked at, except with ``composition``: then only their counts
        are, the probabilities are those given that the site's element is one of the formula's, and
        `Prediction.predicted` is the most likely assignment in which the cell holds as many atoms of each
        element as the formula says (``assignment.py``).

        Args:
            crystals: one crystal or any number, taken one by one.
            composition: use each crystal's formula.
            on_skip: receives (source, reason) of a crystal whose formula holds an element that the model does
                not know; without it such a crystal raises.

        Raises:
            ModelError: with ``composition`` and without ``on_skip``: an element that the model does not know.
        """
        held: list[Crystal] = []
        rows: list[dict[str, NDArray[Any]]] = []
        sites = 0
        for crystal in [crystals] if isinstance(crystals, Crystal) else crystals:
            unknown = sorted(set(crystal.site_numbers.tolist()) - set(self.elements)) if composition else []
            if unknown:
                text = f"the model {self.name} does not know {', '.join(SYMBOLS[z] for z in unknown)}"
                if on_skip is None:
                    raise ModelError(f"{crystal.source or crystal.name}: {text}; predict without composition")
                on_skip(crystal.source or crystal.name, Reason("unknown_to_model", text))
                continue
            held.append(crystal)
            rows.append(self.columns_of(crystal))
            sites += crystal.n_sites
            if sites >= SITES_PER_RUN:
                yield from self._answer(held, rows, composition)
                held, rows, sites = [], [], 0
        if held:
            yield from self._answer(held, rows, composition)

    def _answer(
        self, crystals: list[Crystal], rows: list[dict[str, NDArray[Any]]], composition: bool
    ) -> Iterator[Prediction]:
        joined = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        answer = self.probabilities(joined)
        ends = np.cumsum([crystal.n_sites for crystal in crystals])
        for crystal, part in zip(crystals, np.split(answer, ends[:-1]), strict=True):
            if composition:
                from atomsight.models.assignment import assign

                yield Prediction(crystal, self.elements, *assign(crystal, self.elements, part))
            else:
                best = np.asarray(self.elements, dtype=np.uint8)[part.argmax(axis=1)]
                yield Prediction(crystal, self.elements, part, best)

    def __repr__(self) -> str:
        return f"<{self.kind} model {self.name}: k = {self.k}, {len(self.elements)} elements>"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
