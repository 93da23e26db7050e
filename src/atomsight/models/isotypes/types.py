"""Types of the compiled comparison: arrays of known crystals, and its hyperparameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COMPARED = 12
"""Number of distances of a site in the comparison."""


class Scaled(NamedTuple):
    """A crystal's distances, independent of its size.

    Attributes:
        rows: (n, COMPARED) float32 logarithms of the distances less their mean over all sites.
        means: (n,) of the rows, ascending.
        length: the mean; its differences are relative differences of length.
    """

    rows: NDArray[np.float32]
    means: NDArray[np.float32]
    length: float


class Scales(NamedTuple):
    """Hyperparameters of the comparison, tuned on ``val`` and insensitive to small changes.

    They are stored in the model file, so that a released model keeps its predictions.

    Attributes:
        most: largest difference of isotypic crystals, see `match.pairings`: so much of each distance.
        alike: the difference at which the weight of an isotype is 1/e.
        spread: scale of the errors of an expected length, relative.
        same: prior probability of an exact match relative to an element substitution; low because queries are
            usually new compounds. The network predicts the others all the same.
        heed: power of the network's probabilities of the other sites in the vote of an isotype for one.
        least: added to the network's probabilities there.
        scarce: pseudocount of the votes. An isotype of equal geometry and the length expected for a
            substitution has the weight of its frequency.
        floor: added to each probability, so that no element is excluded for lack of an isotype.
        trust: power of the isotypes' votes in the pool.
        own: power of the network's probabilities without votes.
        yields: share of that power that is removed with many votes, because the network overfits to the
            isotypes.
        much: sum of votes at which half of that share is removed.
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
    """Crystals with the same number of sites.

    Attributes:
        rows: (c, n, COMPARED) float32, see `Scaled`.
        means: (c, n) of the rows, each crystal's ascending.
        lengths: (c,).
        elements: (c, n).
        shares: (c, n).
        volumes: (c,).
        company: (c, n) `chemistry` of the elements other than each site's.
    """

    rows: NDArray[np.float32]
    means: NDArray[np.float32]
    lengths: NDArray[np.float32]
    elements: NDArray[np.uint8]
    shares: NDArray[np.float32]
    volumes: NDArray[np.float32]
    company: NDArray[np.uint8]
