"""Traits of sites: what a site or its crystal has or has not, counted among mistaken and right sites.

*Coordination* is the number of neighbours before the first wide gap: the place of the largest ratio between
one distance and the next among the first 17 (or k). It needs no radii, so that it does not presume the
element. A carbon with one hydrogen at 0.95 Å and two carbons at 1.39 Å has three, a cation in rock salt six.
The *neighbours* are the elements of those, such as ``C2H``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import MistakeTable
from atomsight.core.elements import SYMBOLS

MOST_NEIGHBOURS = 17
"""Distances that the coordination looks at: it is 16 at most."""

LEAST_SHARE = 0.02
"""Share of a pair's mistaken sites from which on their neighbours are told as a trait; there are many."""

Batch = dict[str, NDArray[Any]]


class Trait(NamedTuple):
    """How often a trait is met among the mistaken and among the right sites of one pair.

    Attributes:
        true, predicted: atomic numbers.
        trait, value: what, such as ``coordination`` ``4``.
        sites, crystals, groups: mistaken sites that have it, in how many crystals and groups.
        share, share_right: of the mistaken sites, and of the right sites of the true element; None where the
            split holds none that is right.
    """

    true: int
    predicted: int
    trait: str
    value: str
    sites: int
    crystals: int
    groups: int
    share: float
    share_right: float | None

    @property
    def ratio(self) -> float | None:
        """How many times more frequent among the mistaken sites; None where no right site has it."""
        return self.share / self.share_right if self.share_right else None


def coordination(distances: NDArray[np.floating]) -> NDArray[np.int64]:
    """(n,) neighbours before the widest relative gap in the first 17 of (n, k) ascending distances; k = 1
    gives 1."""
    d = np.maximum(np.asarray(distances, dtype=np.float64)[:, :MOST_NEIGHBOURS], 1e-3)
    if d.shape[1] < 2:
        return np.ones(len(d), dtype=np.int64)
    return (d[:, 1:] / d[:, :-1]).argmax(axis=1) + 1


_CODES = np.random.default_rng(0).integers(1, 2**63, 256, dtype=np.uint64)


def shell_codes(neighbour_elements: NDArray[np.uint8], count: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(n,) a number for the elements of the first ``count`` of (n, k) neighbours, the same whatever their
    order: sums of random 63-bit numbers, so that two shells share one with a chance of about 1e-19."""
    elements = neighbour_elements[:, :MOST_NEIGHBOURS]
    inside = np.arange(elements.shape[1]) < count[:, None]
    return np.where(inside, _CODES[elements], np.uint64(0)).sum(axis=1, dtype=np.uint64)


def shell_text(neighbour_elements: NDArray[np.uint8], count: int) -> str:
    """The elements of the first ``count`` of (k,) neighbours as a formula, in alphabetical order: ``C2H``."""
    held = Counter(SYMBOLS[z] for z in neighbour_elements[:count])
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in sorted(held.items()))


class TraitTally:
    """Counts of traits among the right sites, by element; compared with the mistaken ones in the end.

    Args:
        crystals: columns ``crystal``, ``group``, ``flags`` and ``source`` of the dataset's crystals.
        near_duplicates: for names of crystals, what kind of near duplicate they have (see
            `mistakes_duplicates`); crystals that are not named have none. None where it is not known.
    """

    def __init__(
        self, crystals: Mapping[str, list[Any]], near_duplicates: Mapping[str, set[str]] | None = None
    ) -> None:
        groups = np.array(crystals["group"], dtype=object).astype(str)
        self._groups = np.unique(groups, return_inverse=True)[1]
        self.names, self._has = _crystal_traits(crystals, near_duplicates)
        self._sites = np.zeros(256, dtype=np.int64)
        self._coordination = np.zeros((256, MOST_NEIGHBOURS), dtype=np.int64)
        self._nearest = np.zeros((256, 256), dtype=np.int64)
        self._crystal = np.zeros((256, len(self.names)), dtype=np.int64)
        self._shells: Counter[tuple[int, int]] = Counter()

    def add(
        self,
        element: NDArray[np.uint8],
        count: NDArray[np.int64],
        neighbour_elements: NDArray[np.uint8],
        row: NDArray[np.int64],
    ) -> None:
        """Add right sites: (n,) element, coordination, (n, k) elements of neighbours, (n,) row of the
        crystal."""
        self._sites += np.bincount(element, minlength=256)
        np.add.at(self._coordination, (element, count), 1)
        np.add.at(self._nearest, (element, neighbour_elements[:, 0]), 1)
        codes = shell_codes(neighbour_elements, count)
        for z in np.unique(element):
            chosen = element == z
            self._crystal[z] += self._has[row[chosen]].sum(axis=0)
            found, counts = np.unique(codes[chosen], return_counts=True)
            for code, n in zip(found.tolist(), counts.tolist(), strict=True):
                self._shells[int(z), code] += n

    def traits(self, table: MistakeTable, columns: Batch) -> list[Trait]:
        """Every trait of every pair, the pairs by frequency, the traits by the difference of the shares.

        Args:
            columns: of the mistakes: ``coordination``, ``nearest``, ``shell`` (`shell_codes`), ``neighbours``
                (`shell_text`) and ``crystal_row``.
        """
        traits: list[Trait] = []
        for true, predicted, total in table.pairs():
            chosen = (table.true == true) & (table.predicted == predicted)
            own = {name: values[chosen] for name, values in columns.items()}
            rows, right = own["crystal_row"], int(self._sites[true])
            counts, nearest, shells = own["coordination"], own["nearest"], own["shell"]
            codes, first, held = np.unique(shells, return_index=True, return_counts=True)
            seen = [
                *(
                    ("coordination", str(n), counts == n, self._coordination[true, n])
                    for n in np.unique(counts)
                ),
                *(
                    ("nearest neighbour", SYMBOLS[z], nearest == z, self._nearest[true, z])
                    for z in np.unique(nearest)
                ),
                *(
                    ("neighbours", own["neighbours"][i], shells == code, self._shells[true, int(code)])
                    for code, i, n in zip(codes, first, held, strict=True)
                    if n >= LEAST_SHARE * total
                ),
                *((*name, self._has[rows, i], self._crystal[true, i]) for i, name in enumerate(self.names)),
            ]
            found = []
            for trait, value, has, right_count in seen:
                n, where = int(has.sum()), rows[has]
                spread = (len(np.unique(where)), len(np.unique(self._groups[where])))
                if n:
                    share_right = int(right_count) / right if right else None
                    found.append(Trait(true, predicted, trait, value, n, *spread, n / total, share_right))
            traits += sorted(found, key=lambda t: ((t.share_right or 0) - t.share, t.trait, t.value))
        return traits


def _crystal_traits(
    crystals: Mapping[str, list[Any]], near_duplicates: Mapping[str, set[str]] | None
) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
    """Traits that belong to crystals, and (crystals, traits) whether each has it."""
    flags = sorted({flag for found in crystals["flags"] for flag in found} - {"has_hydrogen"})
    sources = [source.split("::")[0].split("/")[0] for source in crystals["source"]]
    # A folder of single files names each of them as its source: no trait, and too many to count.
    names = sorted(set(sources)) if len(set(sources)) <= 50 else []
    columns = [[flag in found for found in crystals["flags"]] for flag in flags]
    columns.append(["has_hydrogen" not in found for found in crystals["flags"]])
    columns += [[source == name for source in sources] for name in names]
    traits = [("flag", flag) for flag in flags] + [("hydrogen", "none in the crystal")]
    traits += [("source", name) for name in names]
    kinds = sorted(set().union(*near_duplicates.values())) if near_duplicates else []
    for kind in kinds:
        traits.append(("near duplicate", kind))
        columns.append([kind in (near_duplicates or {}).get(name, ()) for name in crystals["crystal"]])
    return traits, np.array(columns, dtype=bool).reshape(len(traits), -1).T
