"""Element substitutions that augment the training crystals of plausibility networks.

Known compounds are few, and a network overfits to their formulas. Elements that substitute each other in
isotypic crystals give more compounds (data-mined substitution: Hautier et al. 2011, 10.1021/ic102031h). The
element is exchanged in the crystal and in its decoys, at the volume expected after the exchange, so that only
the geometry distinguishes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models import load_model
from atomsight.models.isotypes.bank import Isotypes, chemistry
from atomsight.rank.calibration import RankCalibration

Elements = NDArray[np.uint8]
Shares = NDArray[np.float32]

OFTEN = 0.5
"""Default probability of an exchange."""

AGAIN = 0.3
"""Probability of a further exchange after each."""

LEAST = 0.2
"""Smallest share of an element's substitutions by elements that the crystal lacks."""

HEAVIEST = 94
"""Largest atomic number of a new element."""

SMALLEST, LARGEST = 0.6, 1.7
"""Limits of the volume ratio of an exchange."""


class Exchanges:
    """Draws element substitutions.

    Args:
        isotypes: hold substitution frequencies and volumes of the elements.
        volumes: (128,) Å³ of each element, see `volume.fit_volumes`.
        often: probability of an exchange.
    """

    def __init__(self, isotypes: Isotypes, volumes: NDArray[np.float64], often: float = OFTEN) -> None:
        self._stands = isotypes.stands.astype(np.float64)
        self._size = isotypes.size
        self._volumes = volumes
        self._often = often

    @classmethod
    def of_model(cls, model: str, often: float = OFTEN) -> Exchanges:
        """Create from the isotypes of a masked-site model.

        Raises:
            ModelError: it has none.
        """
        isotypes = getattr(load_model(model), "isotypes", None)
        if isotypes is None:
            raise ModelError(f"{model} holds no isotypes; masked-site-isotypes does")
        inorganic = RankCalibration.load().tables.volumes[-1]
        return cls(isotypes, inorganic, often)

    def apply(self, structures: Sequence[Elements], weight: Shares, generator: np.random.Generator) -> float:
        """Exchange elements in all structures of a formula, in place.

        Args:
            structures: (n,) atomic numbers each, the crystal's first.
            weight: (n,) share of the crystal's atoms.
            generator: draws.

        Returns:
            Factor of the lengths.
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
        self, element: Elements, weight: Shares, generator: np.random.Generator
    ) -> tuple[int, int, float] | None:
        """Return the old element, the new one, and the factor of the lengths."""
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
