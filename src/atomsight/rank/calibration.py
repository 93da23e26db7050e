"""What `rank` was calibrated to, and its file ``rank.npz``, which this module alone reads and writes.

The arrays of the file have names:

| array | shape | what it holds |
|---|---|---|
| ``format_version`` | () | `VERSION` |
| ``features`` | (f,) | names of the features, see `features.NAMES` |
| ``fitted_with``, ``fitted_with_sha256`` | (m,) | networks that it was fitted with, and their SHA-256 |
| ``volumes_CLASS`` | (128,) | Å³ of each element, by `CLASSES` |
| ``closest``, ``potential`` | | see `tables.Tables` |
| ``weights_SCORED``, ``bias_SCORED`` | (f,), () | of the score, by `SCORED` |
| ``real_JUDGED``, ``margins_JUDGED``, ``crowd_JUDGED`` | (n,), (m,), () | see `Limits`, by `JUDGED` |
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.geometry.crystal_class import CLASSES, VERDICT_CLASSES
from atomsight.models.artefacts import fingerprint_of
from atomsight.rank.features import NAMES
from atomsight.rank.score import Combination
from atomsight.rank.tables import Tables

FILE = Path(__file__).parent / "rank.npz"

MODEL = "masked-site"
"""The bundled model that predicts elements blindly for the score. It uses distances alone and is nearly twice
as fast as the default."""

VERSION = 1
"""Format of the file."""

SCORED = (*CLASSES, "unrelaxed")
"""Candidates with weights of their own. Unrelaxed ones are the inorganic candidates without ``--relaxed``."""

JUDGED = (*VERDICT_CLASSES, "unrelaxed")
"""Candidates with limits of their own."""


@dataclass(frozen=True)
class Limits:
    """Real crystals that the verdicts rest on.

    Attributes:
        real: ascending scores of real crystals that were in no training.
        margins: ascending margins of such crystals among decoys of their formula, see `combine.margin`; empty
            where candidates are not judged beside each other.
        crowd: median number of candidates that these margins were found among.
    """

    real: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    margins: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    crowd: float = 1.0


@dataclass(frozen=True)
class RankCalibration:
    """Everything that `rank` needs besides the networks.

    Attributes:
        tables: volumes, closest distances and contacts.
        weights: (f,) weights of the features, by `SCORED`.
        bias: by `SCORED`.
        limits: by `JUDGED`.
        fitted_with: SHA-256 of the networks' files that it was fitted with, by their names.
    """

    tables: Tables
    weights: dict[str, NDArray[np.float64]]
    bias: dict[str, float]
    limits: dict[str, Limits]
    fitted_with: dict[str, str]

    def combination(self, relaxed: bool) -> Combination:
        """Weights and limits for candidates.

        Args:
            relaxed: whether the volume of inorganic candidates can be trusted.
        """
        scored = [*CLASSES[:-1], "inorganic" if relaxed else "unrelaxed"]
        # Unrelaxed crystals of one element have no weights of their own and share the limits of the others.
        stands_for = {} if relaxed else {"inorganic": "unrelaxed", "element": "unrelaxed"}
        limits = {name: self.limits[stands_for.get(name, name)] for name in VERDICT_CLASSES}
        return Combination(
            np.array([self.weights[name] for name in scored]),
            np.array([self.bias[name] for name in scored]),
            {name: one.real for name, one in limits.items()},
            {name: one.margins for name, one in limits.items()},
            {name: one.crowd for name, one in limits.items()},
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
            arrays |= {f"real_{name}": one.real, f"margins_{name}": one.margins}
            arrays[f"crowd_{name}"] = np.array(one.crowd)
        np.savez_compressed(path, **arrays)

    @classmethod
    def read(cls, path: Path) -> RankCalibration:
        """Read a file that `save` wrote, without a check of the networks.

        Raises:
            ModelError: it is missing, damaged, or of another format or other features.
        """
        try:
            with np.load(path) as file:
                held = dict(file)
            if int(held["format_version"]) != VERSION or tuple(held["features"].tolist()) != NAMES:
                raise ValueError("another format or other features")
            return cls(
                Tables(
                    np.array([held[f"volumes_{name}"] for name in CLASSES]),
                    held["closest"],
                    held["potential"],
                ),
                {name: held[f"weights_{name}"] for name in SCORED},
                {name: float(held[f"bias_{name}"]) for name in SCORED},
                {
                    name: Limits(held[f"real_{name}"], held[f"margins_{name}"], float(held[f"crowd_{name}"]))
                    for name in JUDGED
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
        """The calibration that ships, read once per process.

        Raises:
            ModelError: it is damaged, or was fitted with other networks than those present.
        """
        return _shipped(FILE, fingerprint_of(FILE))


@lru_cache(maxsize=1)
def _shipped(path: Path, fingerprint: str) -> RankCalibration:
    return RankCalibration.read(path)
