"""Compounds that may well exist: a known one with an element exchanged for one that stands for it.

Crystals that were made are few beside those that could be, and a network learns the formulas of the few by
heart. Elements that take each other's place in isotypic crystals make more of them (data-mined substitution:
Hautier et al. 2011, 10.1021/ic102031h). Exchanged throughout, in the crystal and in its decoys, and with the
volume that the exchange leads to, they are no more like the real crystal than their like were: what tells
them apart is the geometry.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models import load_model
from atomsight.models.isotypes.bank import Isotypes, chemistry
from atomsight.rank.calibration import RankCalibration

OFTEN = 0.5
"""Chance of an exchange, where nothing is said."""

AGAIN = 0.3
"""Chance of a further one after each."""

LEAST = 0.2
"""Share of an element's exchanges that must lead to elements which the crystal does not hold."""

HEAVIEST = 94
"""Atomic number up to which elements come in."""

SMALLEST, LARGEST = 0.6, 1.7
"""Times the volume that an exchange may lead to."""


class Exchanges:
    """Draws exchanges.

    Args:
        isotypes: tell which elements stand for each other, and what each adds to the volume.
        volumes: (128,) Å³ of each element, see `volume.fit_volumes`.
        often: chance of an exchange.
    """

    def __init__(self, isotypes: Isotypes, volumes: NDArray[np.float64], often: float = OFTEN) -> None:
        self._stands = isotypes.stands.astype(np.float64)
        self._size = isotypes.size
        self._volumes = volumes
        self._often = often

    @classmethod
    def of_model(cls, model: str, often: float = OFTEN) -> Exchanges:
        """Those that a masked-site model with isotypes holds.

        Raises:
            ModelError: it holds none.
        """
        isotypes = getattr(load_model(model), "isotypes", None)
        if isotypes is None:
            raise ModelError(f"{model} holds no isotypes; masked-site-isotypes does")
        inorganic = RankCalibration.load().tables.volumes[-1]
        return cls(isotypes, inorganic, often)

    def apply(
        self,
        structures: Sequence[NDArray[np.uint8]],
        weight: NDArray[np.float32],
        generator: np.random.Generator,
    ) -> float:
        """Exchange elements in all structures of a formula, in place, or leave them.

        Args:
            structures: (n,) atomic numbers each, the crystal's first.
            weight: (n,) share of the crystal's atoms.
            generator: draws.

        Returns:
            What the lengths grow by.
        """
        factor, chance = 1.0, self._often
        while generator.random() < chance:
            found = self._one(structures[0], weight, generator)
            if found is None:
                break
            old, new, longer = found
            for element in structures:
                element[element == old] = new
            factor *= longer
            chance = AGAIN
        return factor

    def _one(
        self, element: NDArray[np.uint8], weight: NDArray[np.float32], generator: np.random.Generator
    ) -> tuple[int, int, float] | None:
        """The old element, the new one, and what the lengths grow by."""
        kinds = np.unique(element)
        old = int(generator.choice(kinds))
        beside = chemistry(set(kinds.tolist()) - {old})
        share = self._stands[beside, old].copy()
        share[kinds] = 0
        share[HEAVIEST + 1 :] = 0
        if share.sum() < LEAST:
            return None
        new = int(generator.choice(len(share), p=share / share.sum()))
        volume = (weight * self._volumes[element]).sum()
        grown = weight[element == old].sum() * (self._size[beside, new] - self._size[beside, old])
        return old, new, float(np.clip(1 + grown / volume, SMALLEST, LARGEST) ** (1 / 3))
