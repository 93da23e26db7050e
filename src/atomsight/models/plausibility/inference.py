"""Inference with the plausibility networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models.artefacts import fingerprint_of
from atomsight.models.onnx.session import open_session, run_crystals, uses_directions

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Ways = NDArray[np.int8]

POOL = 1.0
"""Temperature of the soft minimum over the sites: a few implausible sites make a crystal implausible."""

FOLDER = Path(__file__).parents[1] / "pretrained" / "plausibility"

GENERAL = FOLDER / "general.onnx"
"""Network for all crystals. Its inputs are distances and directions."""

INORGANIC_RELAXED = FOLDER / "inorganic-relaxed.onnx"
"""Larger network for inorganic crystals, initialised from a network that predicts elements. The mean of this
network and the general one is more accurate than either."""

INORGANIC_UNRELAXED = FOLDER / "inorganic-unrelaxed.onnx"
"""Network of distances for inorganic candidates that are not relaxed. Their angles are not those of the
relaxed structure, and without directions the network orders their energies better
(docs/explanation/ranking.md)."""


class Plausibility:
    """A plausibility network in an ONNX session.

    Args:
        path: the ONNX file.
        threads: threads of the session; 0 uses all cores.

    Attributes:
        k: number of neighbours in its input.
        sees_directions: whether directions are part of its input.
        fingerprint: SHA-256 of its file.

    Raises:
        ModelError: the file cannot be opened, or is a shipped file that differs from the released one.
    """

    def __init__(self, path: Path = GENERAL, threads: int = 0) -> None:
        self.fingerprint = fingerprint_of(Path(path))
        self._session = open_session(path, threads)
        self.sees_directions = uses_directions(self._session)
        self.k = int(self._session.get_modelmeta().custom_metadata_map["k"])

    def site_logits(
        self, distances: Floats, neighbours: Rows, element: Rows, begins: Rows, directions: Ways | None = None
    ) -> NDArray[np.float32]:
        """Compute the log-odds of real against decoy for the sites of complete structures.

        Args:
            distances: (n, k) Å, ascending.
            neighbours: (n, k) row of each neighbour's site.
            element: (n,) atomic numbers.
            begins: (s,) first row of each structure.
            directions: (n, k, 3) int8, see `geometry.neighbours.site_surroundings`; required if
                `sees_directions`.

        Returns:
            (n,) log-odds.

        Raises:
            ModelError: the directions are missing.
        """
        if self.sees_directions and directions is None:
            raise ModelError("the plausibility network needs directions")
        ways = directions if self.sees_directions else None
        sites: dict[str, NDArray[Any]] = {"distances": distances, "neighbours": neighbours}
        return run_crystals(self._session, begins, 1, **sites, element=element, directions=ways)[:, 0]

    def assignment_logits(
        self,
        distances: Floats,
        neighbours: Rows,
        elements: Sequence[Rows],
        weight: NDArray[np.floating],
        directions: Ways | None = None,
    ) -> NDArray[np.float64]:
        """Compute the log-odds of one geometry with several assignments of elements.

        Args:
            distances: (n, k or more) Å, ascending.
            neighbours: (n, k or more) site of each neighbour.
            elements: v arrays of (n,) atomic numbers.
            weight: (n,) share of the structure's atoms.
            directions: (n, k or more, 3) int8, as in `site_logits`.

        Returns:
            (v,) log-odds.
        """
        n, v, k = len(weight), len(elements), self.k
        begins = n * np.arange(v)
        lengths = np.tile(distances[:, :k], (v, 1))
        rows = np.tile(neighbours[:, :k], (v, 1)) + np.repeat(begins, n)[:, None]
        ways = None if directions is None else np.tile(directions[:, :k], (v, 1, 1))
        logits = self.site_logits(lengths, rows, np.concatenate(elements), begins, ways)
        return crystal_logits(logits, np.tile(weight, v), np.full(v, n))


class Networks:
    """The plausibility networks that ship with the package. Each is opened at its first use.

    Args:
        threads: as in `Plausibility`.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads

    @cached_property
    def general(self) -> Plausibility:
        """Network for all candidates."""
        return Plausibility(GENERAL, self._threads)

    @cached_property
    def inorganic_relaxed(self) -> Plausibility:
        """Second network for inorganic candidates, averaged with `general`."""
        return Plausibility(INORGANIC_RELAXED, self._threads)

    @cached_property
    def inorganic_unrelaxed(self) -> Plausibility:
        """Network for inorganic candidates scaled to the volume expected for their formula."""
        return Plausibility(INORGANIC_UNRELAXED, self._threads)

    @staticmethod
    def fingerprints() -> dict[str, str]:
        """Compute the SHA-256 of the files, by name of the network."""
        return {path.stem: fingerprint_of(path) for path in (GENERAL, INORGANIC_RELAXED, INORGANIC_UNRELAXED)}


def first_rows(sizes: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the (s,) first row of each structure, from the number of sites of each."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def crystal_logits(
    logits: NDArray[np.floating], weight: NDArray[np.floating], sizes: Sequence[int] | NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compute the log-odds of structures: the average of mean and soft minimum over the atoms.

    Args:
        logits: (n,) log-odds of the sites, one structure after another.
        weight: (n,) share of the structure's atoms.
        sizes: (s,) sites of each structure.

    Returns:
        (s,) log-odds.
    """
    begins = first_rows(sizes)
    mean = np.add.reduceat(weight * logits, begins)
    power = np.add.reduceat(weight * np.exp(np.minimum(-logits.astype(np.float64) / POOL, 30)), begins)
    return 0.5 * (mean - POOL * np.log(power))
