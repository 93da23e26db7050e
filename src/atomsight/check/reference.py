"""Calibration of the suspicion, so that a value has the same meaning in every crystal.

A suspicion is a conformal p-value, computed from correct crystals that were not used in training (Vovk,
Gammerman and Shafer 2005, 10.1007/b106715).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.suspicion import FEATURES, Weights
from atomsight.core.errors import ModelError
from atomsight.models.artefacts import fingerprint_of
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Plausibility

MODEL = "masked-site-angles-2"
"""Bundled model of the calibration in `FILE`."""

FILE = Path(__file__).parent / "check.json"

FLAGGED = 2.0
"""Suspicion from which a site is flagged; one correct crystal in a hundred has such a site."""

TAIL = 0.05
"""Share of the crystals to which an exponential tail is fitted."""


@dataclass(frozen=True)
class Reference:
    """Distribution of the largest score in correct crystals of one reference class.

    Attributes:
        crystals: number of crystals.
        scores: ascending quantiles of their largest scores, at `shares`.
        shares: share of the crystals that reach the score.
        slope: decrease of log10 of the share per unit of score in the tail.
    """

    crystals: int
    scores: tuple[float, ...]
    shares: tuple[float, ...]
    slope: float

    def suspicion(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute minus log10 of the share of correct crystals with a site that scores as high.

        Args:
            score: (n,) scores.

        Returns:
            (n,) suspicions. 0 is harmless, 2 is one crystal in a hundred.
        """
        logs = np.log10(self.shares)
        beyond = np.maximum(np.asarray(score, dtype=np.float64) - self.scores[-1], 0)
        return np.asarray(np.maximum(-np.interp(score, self.scores, logs) + self.slope * beyond, 0.0))


def fit_reference(largest: NDArray[np.floating]) -> Reference:
    """Fit the distribution to (n,) largest scores of n correct crystals.

    It keeps quantiles up to the last share `TAIL / 10`. Beyond, log10 of the share falls linearly, with the
    slope of the last share `TAIL`.
    """
    n = len(largest)
    ordered = np.sort(largest)
    shares = np.concatenate([np.linspace(1, 0.1, 10), np.geomspace(0.08, max(TAIL / 10, 2 / n), 14)])
    place = np.clip(n - np.ceil(shares * (n + 1)).astype(int), 0, n - 1)
    scores = np.maximum.accumulate(ordered[place])
    start = float(np.quantile(ordered, 1 - TAIL))
    excess = ordered[ordered > start] - start
    slope = float(1 / (np.log(10) * max(excess.mean(), 1e-3))) if len(excess) else 1.0
    return Reference(n, tuple(scores.round(4).tolist()), tuple(shares.round(5).tolist()), round(slope, 4))


@dataclass(frozen=True)
class Calibration:
    """Calibration of `check`.

    Attributes:
        fingerprint: fingerprint of the model.
        network: fingerprint of the plausibility network.
        weights: weights of the score, see `crystal_class.weights_class`.
        references: by reference class, see `crystal_class.reference_class`.
        description: the crystals of the calibration.
    """

    fingerprint: str
    network: str
    weights: dict[str, Weights]
    references: dict[str, Reference]
    description: str


def write(calibration: Calibration, path: Path = FILE) -> None:
    """Write a calibration as JSON."""
    held: dict[str, Any] = {
        "fingerprint": calibration.fingerprint,
        "network": calibration.network,
        "told": calibration.description,
        "weights": {
            name: {
                "offset": round(weights.offset, 5),
                **dict(zip(FEATURES, weights.values.round(5).tolist(), strict=True)),
            }
            for name, weights in calibration.weights.items()
        },
        "references": {name: asdict(r) for name, r in calibration.references.items()},
    }
    path.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


@lru_cache(maxsize=4)
def _read(path: Path) -> Calibration:
    held = json.loads(path.read_text(encoding="utf-8"))
    weights = {
        name: Weights(np.array([entry[feature] for feature in FEATURES]), entry["offset"])
        for name, entry in held["weights"].items()
    }
    references = {
        name: Reference(r["crystals"], tuple(r["scores"]), tuple(r["shares"]), r["slope"])
        for name, r in held["references"].items()
    }
    return Calibration(held["fingerprint"], held["network"], weights, references, held["told"])


def load_calibration(model: Model, network: Plausibility, path: Path | None = None) -> Calibration:
    """Load the calibration of a model and a plausibility network.

    Args:
        model: the model.
        network: the plausibility network.
        path: a file of `calibrate_check`; None takes the file that ships with the package.

    Raises:
        ModelError: the file is missing, belongs to another model or network, or is the shipped file and
            differs from the released one.
    """
    file = FILE if path is None else Path(path)
    remedy = "make one with: python -m workshop.calibrate_check DATASET --model MODEL --out FILE"
    if not file.is_file():
        raise ModelError(f"{file} does not exist; {remedy}")
    fingerprint_of(file)
    try:
        calibration = _read(file)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is no calibration of check ({error}); {remedy}") from error
    if calibration.fingerprint != model.fingerprint:
        else_ = f"name no model, which takes {MODEL}, or " if path is None else ""
        raise ModelError(f"{file} was calibrated for another model than {model.name}; {else_}{remedy}")
    if calibration.network != network.fingerprint:
        raise ModelError(f"{file} was calibrated with another plausibility network; {remedy}")
    return calibration
