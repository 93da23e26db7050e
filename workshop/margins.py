"""How real crystals stand beside decoys of their formula: what the limits of verdicts rest on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import CLASSES, verdict_class
from atomsight.rank.score import Combination, margin
from atomsight.rank.verdicts import LEAST

if TYPE_CHECKING:
    from workshop.calibrate_rank import Judge


@dataclass
class Beside:
    """How real crystals of a verdict class stand beside decoys of their formula; a crystal may have
    been looked at several times.

    Attributes:
        margins: see `combine.margin`.
        scores: of the real crystals.
        sizes: candidates in each group.
        archives: the file that each of these crystals is from.
        formulas: what each of them consists of.
    """

    margins: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)

    @property
    def crowd(self) -> float:
        """Median size of a group."""
        return float(np.median(self.sizes)) if self.sizes else 1.0

    def balanced(self, values: Sequence[float]) -> NDArray[np.float64]:
        """(n,) quantiles of the margins or scores, ascending: as many as there are compounds that tell
        something new.

        All archives count alike, and in each all formulas. Who asks may have crystals like those of any:
        computed covalent frameworks stand nearer to their decoys than measured metal-organic ones, of which
        there are twenty times as many. Crystals of one formula tend to be each other's relatives. Where
        formulas differ in weight, fewer count (Kish 1965, ISBN 0-471-10949-5).
        """
        if not values:
            return np.empty(0)
        looks = Counter(zip(self.archives, self.formulas, strict=True))
        kinds = Counter(archive for archive, _ in looks)
        weight = np.array(
            [1 / (kinds[place[0]] * looks[place]) for place in zip(self.archives, self.formulas, strict=True)]
        )
        _, which = np.unique(self.formulas, return_inverse=True)
        share = np.bincount(which, weight)
        count = max(1, round(float(share.sum() ** 2 / (share**2).sum())))
        order = np.argsort(values)
        reached = np.cumsum(weight[order]) / weight.sum()
        place = np.searchsorted(reached, (np.arange(count) + 0.5) / count)
        found: NDArray[np.float64] = np.asarray(values)[order[np.minimum(place, len(order) - 1)]]
        return found


def archive_of(crystal: Crystal) -> str:
    """The file that a crystal is from, where it is from within one."""
    return crystal.source.partition("::")[0]


def beside(
    groups: Iterable[Sequence[Crystal]], judge: Judge, combination: Combination
) -> defaultdict[str, Beside]:
    """How real crystals, the first of each group, stand beside the others, by verdict class."""
    found: defaultdict[str, Beside] = defaultdict(Beside)
    for group in groups:
        described = judge.describe(group)
        scores = combination.scores(described.classes, described.values)
        if len(scores) >= LEAST:
            own = found[verdict_class(CLASSES[described.classes[0]], group[0].formula)]
            own.margins.append(margin(float(scores[0]), float(scores.max())))
            own.scores.append(float(scores[0]))
            own.sizes.append(len(scores))
            own.archives.append(archive_of(group[0]))
            own.formulas.append(group[0].formula)
    return found
