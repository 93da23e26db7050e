"""Numbers that the ranking learnt from the training crystals, kept beside the weights as ``rank.npz``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.bonds.radii import COVALENT
from atomsight.errors import ModelError
from atomsight.screen.combine import Combination

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

MODEL = "masked-site"
"""The bundled model that names elements blindly here: it sees distances alone and is nearly twice as quick as
the default."""

FILE = Path(__file__).parent / "rank.npz"

SHORTEST = 0.002
"""Quantile of the distances of a pair of elements that counts as what such pairs keep."""

FEWEST = 300
"""Pairs among the eight nearest neighbours, below which the covalent radii tell the shortest distance."""

FALLBACK = 0.85
"""Times the sum of the covalent radii."""


@dataclass(frozen=True)
class Tables:
    """What is known of volumes, closest distances and contacts.

    Attributes:
        volumes: (3, 128) Å³ of each element in crystals of each kind.
        closest: (128, 128) Å, the distance that pairs of elements keep.
        potential: (PAIRS, BINS) log-likelihood ratio of a contact, see `contacts`.
    """

    volumes: NDArray[np.float64]
    closest: NDArray[np.float64]
    potential: NDArray[np.float64]

    def save(self, path: Path, **more: NDArray) -> None:
        """Write as ``.npz``, with other arrays."""
        arrays: dict[str, Any] = {
            "volumes": self.volumes,
            "closest": self.closest,
            "potential": self.potential,
            **more,
        }
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path = FILE) -> Tables:
        """Read what `save` wrote.

        Raises:
            ModelError: it is not there or damaged.
        """
        try:
            with np.load(path) as file:
                return cls(file["volumes"], file["closest"], file["potential"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the tables of the ranking cannot be read from {path}: {error}") from error


def load_combination(relaxed: bool = False, path: Path = FILE) -> Combination:
    """The weights of the features and the scores of real crystals from the same file.

    Args:
        relaxed: the weights for inorganic structures whose volume can be trusted.
        path: the file.

    Raises:
        ModelError: it is not there or damaged.
    """
    try:
        with np.load(path) as file:
            sort = np.array([0, 1, 2 if relaxed else 3])  # the last two: inorganic, relaxed or not
            told = (*sort, 4, 5 if relaxed else 3)  # the last: `verdicts.SORTS` without weights of their own
            real = tuple(file[f"real_{kind}"] for kind in told)
            margins = tuple(file[f"margins_{kind}"] for kind in told)
            crowd = tuple(file["crowd"][list(told)].tolist())
            return Combination(file["weights"][sort], file["bias"][sort], real, margins, crowd)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the calibration of the ranking cannot be read from {path}: {error}") from error


def calibrated_for(path: Path = FILE) -> str:
    """Fingerprint of the model that the combination was fitted with."""
    with np.load(path) as file:
        return str(file["fingerprint"])


def shortest_distances(dataset: Dataset, split: str = "train") -> NDArray[np.float64]:
    """(128, 128) Å: what all but `SHORTEST` of the sites keep to their nearest neighbour of an element."""
    import duckdb

    shortest = FALLBACK * (COVALENT[:, None] + COVALENT[None, :])
    rows = duckdb.execute(
        """SELECT element, neighbour, quantile_disc(distance, ?), count(*) FROM (
               SELECT element, unnest(neighbour_elements[1:8]) AS neighbour, unnest(distances[1:8]) distance
               FROM read_parquet(?)) GROUP BY ALL""",
        [SHORTEST, [str(path) for path in dataset.shards(split)]],
    ).fetchall()
    for one, other, distance, pairs in sorted(rows):
        if pairs >= FEWEST and one <= other:
            shortest[one, other] = shortest[other, one] = distance
    return shortest
