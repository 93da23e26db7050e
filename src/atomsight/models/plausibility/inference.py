"""Inference with the exported plausibility networks."""

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

POOL = 1.0
"""Softness of the minimum over the sites. A few implausible sites lower the score of a crystal."""

FOLDER = Path(__file__).parents[1] / "pretrained" / "plausibility"

GENERAL = FOLDER / "general.onnx"
"""Network for all structures as given. Uses distances and directions."""

INORGANIC_RELAXED = FOLDER / "inorganic-relaxed.onnx"
"""Network for inorganic structures as given: larger, and fine-tuned from a masked-site network. Its mean with
`GENERAL` is better than either, which was not the case for networks trained from random weights."""

INORGANIC_UNRELAXED = FOLDER / "inorganic-unrelaxed.onnx"
"""Network for unrelaxed inorganic structures. Uses distances alone, because angles change in a relaxation;
it ranks the energies of such candidates better."""


class Plausibility:
    """A plausibility network in an ONNX session.

    Attributes:
        k: neighbours of a site that it uses.
        sees_directions: whether it uses their directions.
        fingerprint: SHA-256 of its file.

    Raises:
        ModelError: the file cannot be opened, or is a shipped one that is not the one released.
    """

    def __init__(self, path: Path = GENERAL, threads: int = 0) -> None:
        self.fingerprint = fingerprint_of(Path(path))
        self._session = open_session(path, threads)
        self.sees_directions = uses_directions(self._session)
        self.k = int(self._session.get_modelmeta().custom_metadata_map["k"])

    def site_logits(
        self,
        distances: NDArray[np.float32],
        neighbours: NDArray[np.int64],
        element: NDArray[np.int64],
        begins: NDArray[np.int64],
        directions: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float32]:
        """Return (n,) log-odds of real against decoy for the sites of whole structures.

        Args:
            distances: (n, k) Å, ascending.
            neighbours: (n, k) row of each neighbour's site.
            element: (n,) atomic numbers.
            begins: (s,) row where each structure begins.
            directions: (n, k, 3) int8 as `geometry.neighbours.site_surroundings` gives them, for a network
                that uses them.
        """
        inputs: dict[str, NDArray[Any]] = {
            "distances": distances,
            "neighbours": neighbours,
            "element": element,
        }
        if self.sees_directions:
            if directions is None:
                raise ModelError("the plausibility network needs directions")
            inputs["directions"] = directions
        return run_crystals(self._session, inputs, begins, 1)[:, 0]

    def versions(
        self,
        distances: NDArray[np.float32],
        neighbours: NDArray[np.int64],
        elements: Sequence[NDArray[np.int64]],
        weight: NDArray[np.floating],
        directions: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float64]:
        """Return (v,) log-odds of one geometry with several assignments of elements.

        Args:
            distances: (n, k or more) of the structure's sites, as in `site_logits`.
            neighbours: (n, k or more).
            elements: v times (n,) atomic numbers.
            weight: (n,) share of the structure's atoms.
            directions: (n, k or more, 3).
        """
        n, v = len(weight), len(elements)
        begins = n * np.arange(v)
        ways = None
        if self.sees_directions and directions is not None:
            ways = np.tile(directions[:, : self.k], (v, 1, 1))
        logits = self.site_logits(
            np.tile(distances[:, : self.k], (v, 1)),
            np.tile(neighbours[:, : self.k], (v, 1)) + np.repeat(begins, n)[:, None],
            np.concatenate(elements),
            begins,
            ways,
        )
        return crystal_logits(logits, np.tile(weight, v), np.full(v, n))


class Networks:
    """The shipped plausibility networks, each opened at its first use.

    Args:
        threads: as in `Plausibility`.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads

    @cached_property
    def whole(self) -> Plausibility:
        """Network for all candidates as given."""
        return Plausibility(GENERAL, self._threads)

    @cached_property
    def cells(self) -> Plausibility:
        """Network for inorganic candidates as given, used with `whole`."""
        return Plausibility(INORGANIC_RELAXED, self._threads)

    @cached_property
    def pressed(self) -> Plausibility:
        """Network for inorganic candidates at the volume expected for their formula."""
        return Plausibility(INORGANIC_UNRELAXED, self._threads)

    @staticmethod
    def fingerprints() -> dict[str, str]:
        """Return the SHA-256 of the files by the names of the networks."""
        return {path.stem: fingerprint_of(path) for path in (GENERAL, INORGANIC_RELAXED, INORGANIC_UNRELAXED)}


def crystal_logits(
    logits: NDArray[np.floating], weight: NDArray[np.floating], sizes: Sequence[int] | NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return (s,) log-odds of each structure, midway between mean and soft minimum over its atoms.

    Args:
        logits: (n,) of the sites, one structure after another.
        weight: (n,) share of the structure's atoms.
        sizes: (s,) sites of each.
    """
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    mean = np.add.reduceat(weight * logits, begins)
    power = np.add.reduceat(weight * np.exp(np.minimum(-logits.astype(np.float64) / POOL, 30)), begins)
    return 0.5 * (mean - POOL * np.log(power))
