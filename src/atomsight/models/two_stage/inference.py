"""The exported two-stage model at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import ModelError
from atomsight.models.base import Model
from atomsight.models.onnx.session import run

SITES_PER_CALL = 65536


@final
class TwoStageModel(Model):
    """Distances in, probabilities out; each site stands by itself."""

    columns = ("distances",)

    def probabilities(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """(n, elements) float32 from the column ``distances``, (n, k or more), Å ascending; see `Model`."""
        if "distances" not in columns:
            raise ModelError(
                f"the model {self.name} needs the column 'distances', got {', '.join(columns) or 'none'}"
            )
        distances = np.asarray(columns["distances"])
        if distances.ndim != 2 or distances.shape[1] < self.k:
            raise ModelError(
                f"the model {self.name} needs k = {self.k} distances a site, got shape {distances.shape}"
            )
        distances = np.ascontiguousarray(distances[:, : self.k], dtype=np.float32)
        if not np.isfinite(distances).all():
            raise ModelError(f"the model {self.name} was given distances that are not finite")
        parts = [
            run(self._session, {"distances": distances[start : start + SITES_PER_CALL]})
            for start in range(0, len(distances), SITES_PER_CALL)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.elements)), dtype=np.float32)

    def columns_of(self, crystal: Crystal) -> dict[str, NDArray[Any]]:
        """The k-NN distances of the crystal's sites."""
        from atomsight.geometry.neighbours import site_neighbours

        return {"distances": site_neighbours(crystal, self.k)[0]}


MODEL = TwoStageModel
