"""The calibration of `rank`, stored in ``rank.npz``. No other module reads or writes this file.

| array | shape | contents |
|---|---|---|
| ``format_version`` | () | `VERSION` |
| ``features`` | (f,) | names of the features, see `features.NAMES` |
| ``fitted_with``, ``fitted_with_sha256`` | (m,) | networks of the calibration, and their SHA-256 |
| ``volumes_CLASS`` | (128,) | Å³ of each element, by `CLASSES` |
| ``closest``, ``potential`` | | see `tables.Tables` |
| ``weights_CLASS``, ``bias_CLASS`` | (f,), () | the score, by `SCORE_CLASSES` |
| ``real_CLASS``, ``margins_CLASS``, ``crowd_CLASS`` | (n,), (m,), () | `Limits`, by `LIMIT_CLASSES` |
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.geometry.crystal_class import CLASSES, VERDICT_CLASSES
from atomsight.models.artefacts import fingerprint_of
from atomsight.rank.features import NAMES, SCORE_CLASSES
from atomsight.rank.score import Combination, Limits
from atomsight.rank.tables import Tables

FILE = Path(__file__).parent / "rank.npz"

MODEL = "masked-site"
"""Bundled model for the likelihood of the elements. It uses distances only and is nearly twice as fast as the
default model."""

VERSION = 1
"""Format version of the file."""

LIMIT_CLASSES = (*VERDICT_CLASSES, "unrelaxed")
"""Classes of candidates that have their own thresholds."""


@dataclass(frozen=True)
class RankCalibration:
    """Weights, thresholds and tables of `rank`.

    Attributes:
        tables: volumes, shortest distances and contacts.
        weights: (f,) weights of the features, by `SCORE_CLASSES`.
        bias: by `SCORE_CLASSES`.
        limits: by `LIMIT_CLASSES`.
        fitted_with: SHA-256 of the networks of the calibration, by name.
    """

    tables: Tables
    weights: dict[str, NDArray[np.float64]]
    bias: dict[str, float]
    limits: dict[str, Limits]
    fitted_with: dict[str, str]

    def combination(self, relaxed: bool) -> Combination:
        """Select weights and thresholds.

        Args:
            relaxed: whether the volume of inorganic candidates can be trusted.
        """
        scored = [*CLASSES[:-1], "inorganic" if relaxed else "unrelaxed"]
        # Unrelaxed crystals of one element share the weights and thresholds of other inorganic crystals.
        replaced = {} if relaxed else {"inorganic": "unrelaxed", "element": "unrelaxed"}
        return Combination(
            np.array([self.weights[name] for name in scored]),
            np.array([self.bias[name] for name in scored]),
            {name: self.limits[replaced.get(name, name)] for name in VERDICT_CLASSES},
        )

    def save(self, path: Path) -> None:
        """Write the file."""
        arrays: dict[str, Any] = {
            "format_version": np.array(VERSION),
            "features": np.array(NAMES),
            "fitted_with": np.array(list(self.fitted_with)),
            "fitted_with_sha256": np.array(list(self.fitted_with.values())),
            "closest": self.tables.closest,
            "potential": self.tables.potential,
        }
        arrays |= {f"volumes_{name}": row for name, row in zip(CLASSES, self.tables.volumes, strict=True)}
        arrays |= {f"weights_{name}": row for name, row in self.weights.items()}
        arrays |= {f"bias_{name}": np.array(value) for name, value in self.bias.items()}
        for name, one in self.limits.items():
            arrays |= {f"real_{name}": one.scores, f"margins_{name}": one.margins}
            arrays[f"crowd_{name}"] = np.array(one.group_size)
        np.savez_compressed(path, **arrays)

    @classmethod
    def read(cls, path: Path) -> RankCalibration:
        """Read a file that `save` wrote, without a check of the networks.

        Raises:
            ModelError: the file is missing, damaged, or has another format or other features.
        """
        try:
            with np.load(path) as file:
                held = dict(file)
            if int(held["format_version"]) != VERSION or tuple(held["features"].tolist()) != NAMES:
                raise ValueError("another format or other features")
            volumes = np.array([held[f"volumes_{name}"] for name in CLASSES])
            return cls(
                Tables(volumes, held["closest"], held["potential"]),
                {name: held[f"weights_{name}"] for name in SCORE_CLASSES},
                {name: float(held[f"bias_{name}"]) for name in SCORE_CLASSES},
                {
                    name: Limits(held[f"real_{name}"], held[f"margins_{name}"], float(held[f"crowd_{name}"]))
                    for name in LIMIT_CLASSES
                },
                dict(zip(held["fitted_with"].tolist(), held["fitted_with_sha256"].tolist(), strict=True)),
            )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"the calibration of rank cannot be read from {path} ({error}); install atomsight again, or "
                "fit it with: python -m workshop.calibrate_rank, then calibrate_verdicts"
            ) from error

    @classmethod
    def load(cls) -> RankCalibration:
        """Load the calibration that ships with the package; it is read once per process.

        Raises:
            ModelError: the file is damaged, or was fitted with other networks than those present.
        """
        return _shipped(FILE, fingerprint_of(FILE))


@lru_cache(maxsize=1)
def _shipped(path: Path, fingerprint: str) -> RankCalibration:
    return RankCalibration.read(path)
