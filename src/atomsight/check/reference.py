"""From a score to a suspicion that means the same in every crystal: conformal p-values from correct crystals
that no training saw (Vovk, Gammerman and Shafer 2005, 10.1007/b106715)."""

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
"""The bundled model that `FILE` belongs to."""

FILE = Path(__file__).parent / "check.json"

FLAGGED = 2.0
"""Suspicion from which a site is flagged: that of one correct crystal in a hundred."""

TAIL = 0.05
"""Share of the crystals beyond whose score the p-value is carried on as an exponential."""


@dataclass(frozen=True)
class Reference:
    """Largest scores of correct crystals of one reference class.

    Attributes:
        crystals: how many there were.
        scores: ascending quantiles of their largest scores, at `shares`.
        shares: of the crystals that reach the score.
        slope: by how much log10 of the share falls per unit of score, beyond the last `TAIL`.
    """

    crystals: int
    scores: tuple[float, ...]
    shares: tuple[float, ...]
    slope: float

    def suspicion(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """Minus log10 of the share of correct crystals with a site that scores as high; 0 is harmless, 2 is
        one crystal in a hundred."""
        logs = np.log10(self.shares)
        beyond = np.maximum(np.asarray(score, dtype=np.float64) - self.scores[-1], 0)
        return np.maximum(-np.interp(score, self.scores, logs) + self.slope * beyond, 0.0)


def reference(largest: NDArray[np.floating]) -> Reference:
    """What (n,) largest scores of n correct crystals say.

    Up to the last share `TAIL / 10` the quantiles are kept; beyond, log10 of the share falls as it does from
    `TAIL` on.
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
    """What `check` needs beside the model.

    Attributes:
        fingerprint: of the model.
        network: fingerprint of the plausibility network.
        weights: of the score, see `crystal_class.weights_class`.
        references: by reference class, see `crystal_class.reference_class`.
        told: what it was learned from, in words.
    """

    fingerprint: str
    network: str
    weights: dict[str, Weights]
    references: dict[str, Reference]
    told: str


def write(calibration: Calibration, path: Path = FILE) -> None:
    """Write as JSON."""
    held: dict[str, Any] = {
        "fingerprint": calibration.fingerprint,
        "network": calibration.network,
        "told": calibration.told,
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
        name: Weights(np.array([given[feature] for feature in FEATURES]), given["offset"])
        for name, given in held["weights"].items()
    }
    references = {
        name: Reference(r["crystals"], tuple(r["scores"]), tuple(r["shares"]), r["slope"])
        for name, r in held["references"].items()
    }
    return Calibration(held["fingerprint"], held["network"], weights, references, held["told"])


def calibration_of(model: Model, network: Plausibility, path: Path | None = None) -> Calibration:
    """The calibration that belongs to a model and a plausibility network.

    Args:
        model: the model.
        network: the network.
        path: a file that `calibrate_check` wrote; None takes the one that ships with the package.

    Raises:
        ModelError: it is missing, was made for another model or network, or is the shipped one and not as
            released.
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
