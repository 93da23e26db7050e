"""Arrays of known crystals as the compiled comparison takes them, and how they are compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COMPARED = 12
"""Distances of a site that are compared."""


class Scaled(NamedTuple):
    """A crystal's distances without its size.

    Attributes:
        rows: (n, COMPARED) float32 logarithms of the distances less their mean over all sites.
        means: (n,) of the rows, ascending.
        length: the mean; its differences are relative differences of length.
    """

    rows: NDArray[np.float32]
    means: NDArray[np.float32]
    length: float


class Scales(NamedTuple):
    """How alike, how long and how sure; chosen on ``val``, where neighbouring values do as well. They go with
    the file, so that a released one answers the same for ever.

    Attributes:
        most: largest difference of isotypic crystals, see `match.pairings`: so much of each distance.
        alike: the difference at which what an isotype says counts 1/e.
        spread: scale of the errors of an expected length, relative.
        same: chance that a crystal of an isotype's length is that isotype, beside that of an exchange: those
            that are asked about are new, as a rule. One that is not is named by the network all the same.
        heed: power of the network's opinion of a crystal's other sites in what an isotype says of one.
        least: added to the network's probabilities there.
        scarce: weight of not knowing; an isotype exactly alike, of exactly the length that an exchange leads
            to expect, has the share of that exchange.
        floor: added to each probability: no element is ruled out because no isotype has it.
        trust: power of the isotypes' answer in the pool.
        own: power of the network's answer where the isotypes know nothing of use.
        yields: share of that power that goes where they know much: the network learnt them by heart, and
            takes what is like them for one of them.
        much: weight of the isotypes at which half of that share is gone.
    """

    most: float = 0.03
    alike: float = 0.008
    spread: float = 0.005
    same: float = 0.01
    heed: float = 1.0
    least: float = 1e-3
    scarce: float = 1e-3
    floor: float = 3e-3
    trust: float = 0.7
    own: float = 0.85
    yields: float = 0.3
    much: float = 0.05


class Group(NamedTuple):
    """Crystals of as many sites.

    Attributes:
        rows: (c, n, COMPARED) float32, see `Scaled`.
        means: (c, n) of the rows, each crystal's ascending.
        lengths: (c,).
        elements: (c, n).
        shares: (c, n).
        volumes: (c,).
        company: (c, n) `chemistry` of the other elements beside each site's.
    """

    rows: NDArray[np.float32]
    means: NDArray[np.float32]
    lengths: NDArray[np.float32]
    elements: NDArray[np.uint8]
    shares: NDArray[np.float32]
    volumes: NDArray[np.float32]
    company: NDArray[np.uint8]
