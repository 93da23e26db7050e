"""Inference with the exported two-stage network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.models.base import Model
from atomsight.models.onnx.session import run

SITES_PER_CALL = 65536


@final
class TwoStageModel(Model):
    """Predicts each site from its own distances."""

    columns = ("distances",)

    def probabilities(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return (n, elements) float32 from ``distances``, (n, k or more), Å ascending; see `Model`."""
        distances = self.checked_distances(columns)
        parts = [
            run(self._session, {"distances": distances[start : start + SITES_PER_CALL]})
            for start in range(0, len(distances), SITES_PER_CALL)
        ]
        return np.concatenate([np.empty((0, len(self.elements)), np.float32), *parts])

    def columns_of(self, crystal: Crystal) -> dict[str, NDArray[Any]]:
        """Return the k-NN distances of the crystal's sites."""
        from atomsight.geometry.neighbours import site_neighbours

        return {"distances": site_neighbours(crystal, self.k)[0]}


MODEL = TwoStageModel
