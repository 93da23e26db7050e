"""Score margins of real crystals against decoys of their formula, to calibrate thresholds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import CLASSES, verdict_class
from atomsight.rank.features import FeatureExtractor
from atomsight.rank.score import Combination, margin
from atomsight.rank.verdicts import LEAST


@dataclass
class Margins:
    """Margins of real crystals of a verdict class. A crystal may occur several times.

    Attributes:
        margins: see `score.margin`.
        scores: scores of the real crystals.
        sizes: number of candidates in each group.
        archives: file of each crystal.
        formulas: formula of each crystal.
    """

    margins: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)

    @property
    def group_size(self) -> float:
        """Median size of the groups."""
        return float(np.median(self.sizes)) if self.sizes else 1.0

    def balanced(self, values: Sequence[float]) -> NDArray[np.float64]:
        """Compute weighted quantiles of the margins or scores, ascending.

        All archives have equal weight, and in each archive all formulas. Otherwise the twenty times more
        frequent metal-organic frameworks would hide computed covalent frameworks, which lie closer to their
        decoys. Crystals of one formula are often related.

        Returns:
            As many quantiles as the effective number of formulas (Kish 1965, ISBN 0-471-10949-5).
        """
        if not values:
            return np.empty(0)
        counts = Counter(zip(self.archives, self.formulas, strict=True))
        formulas = Counter(archive for archive, _ in counts)
        weight = np.array(
            [1 / (formulas[key[0]] * counts[key]) for key in zip(self.archives, self.formulas, strict=True)]
        )
        _, which = np.unique(self.formulas, return_inverse=True)
        share = np.bincount(which, weight)
        count = max(1, round(float(share.sum() ** 2 / (share**2).sum())))
        order = np.argsort(values)
        reached = np.cumsum(weight[order]) / weight.sum()
        place = np.searchsorted(reached, (np.arange(count) + 0.5) / count)
        return np.asarray(values)[order[np.minimum(place, len(order) - 1)]]


def archive_of(crystal: Crystal) -> str:
    """Return the file or archive of a crystal."""
    return crystal.source.partition("::")[0]


def margins_of(
    groups: Iterable[Sequence[Crystal]], extractor: FeatureExtractor, combination: Combination
) -> defaultdict[str, Margins]:
    """Compute the margins of real crystals by verdict class.

    Args:
        groups: candidates of one formula each, the real crystal first. Small groups are ignored.
        extractor: computes the features.
        combination: computes the scores.
    """
    found: defaultdict[str, Margins] = defaultdict(Margins)
    for group in groups:
        features = extractor.features(group)
        scores = combination.scores(features.classes, features.values)
        if len(scores) >= LEAST:
            own = found[verdict_class(CLASSES[features.classes[0]], group[0].formula)]
            own.margins.append(margin(float(scores[0]), float(scores.max())))
            own.scores.append(float(scores[0]))
            own.sizes.append(len(scores))
            own.archives.append(archive_of(group[0]))
            own.formulas.append(group[0].formula)
    return found
