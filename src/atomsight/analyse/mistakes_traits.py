"""Traits of sites and their crystals, counted among mistaken and right sites.

*Coordination* is the number of neighbours before the widest gap: the position of the largest ratio between
one distance and the next among the first 17 (or k). It needs no radii, so that it does not depend on the
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
"""Number of distances for the coordination, which is 16 at most."""

LEAST_SHARE = 0.02
"""Smallest share of a pair's mistaken sites with the same neighbours for a trait; there are many."""

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Batch = dict[str, NDArray[Any]]


class Trait(NamedTuple):
    """Frequency of a trait among the mistaken and among the right sites of one pair.

    Attributes:
        true, predicted: Atomic numbers.
        trait, value: The trait, such as ``coordination`` ``4``.
        sites, crystals, groups: Mistaken sites with the trait, and the number of their crystals and groups.
        share, share_right: Share of the mistaken sites, and of the right sites of the true element; None
            where the split holds no right site.
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
        """Ratio of both shares; None where no right site has the trait."""
        return self.share / self.share_right if self.share_right else None


def coordination(distances: NDArray[np.floating]) -> NDArray[np.int64]:
    """Count the neighbours before the widest relative gap in the first 17 distances.

    Args:
        distances: (n, k) ascending, Å.

    Returns:
        (n,) counts; 1 for k = 1.
    """
    d = np.maximum(np.asarray(distances, dtype=np.float64)[:, :MOST_NEIGHBOURS], 1e-3)
    if d.shape[1] < 2:
        return np.ones(len(d), dtype=np.int64)
    return np.asarray((d[:, 1:] / d[:, :-1]).argmax(axis=1) + 1, dtype=np.int64)


_CODES = np.random.default_rng(0).integers(1, 2**63, 256, dtype=np.uint64)


def shell_codes(neighbour_elements: NDArray[np.uint8], count: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the elements of the first neighbours, independent of their order.

    The hash is a sum of random 63-bit numbers. Two different shells have the same one with a probability of
    about 1e-19.

    Args:
        neighbour_elements: (n, k) atomic numbers.
        count: (n,) number of neighbours.
    """
    elements = neighbour_elements[:, :MOST_NEIGHBOURS]
    inside = np.arange(elements.shape[1]) < count[:, None]
    codes = np.where(inside, _CODES[elements], np.uint64(0))
    return np.asarray(codes.sum(axis=1), dtype=np.uint64)


def shell_text(neighbour_elements: NDArray[np.uint8], count: int) -> str:
    """Return the elements of the first ``count`` of (k,) neighbours, in alphabetical order: ``C2H``."""
    held = Counter(SYMBOLS[z] for z in neighbour_elements[:count])
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in sorted(held.items()))


class TraitCounts:
    """Counts of traits among the right sites, by element, to compare with the mistaken ones.

    Args:
        crystals: Columns ``crystal``, ``group``, ``flags`` and ``source`` of the dataset's crystals.
        near_duplicates: Relations to near duplicates by name of the crystal (see `mistakes_duplicates`);
            crystals without a name there have none. None where they are unknown.
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

    def add(self, element: Bytes, count: Ints, neighbour_elements: Bytes, row: Ints) -> None:
        """Add right sites.

        Args:
            element: (n,) atomic numbers.
            count: (n,) coordination.
            neighbour_elements: (n, k) atomic numbers.
            row: (n,) row of the crystal.
        """
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
        """Return every trait of every pair, pairs by frequency, traits by the difference of the shares.

        Args:
            table: The mistakes.
            columns: Columns of the mistakes: ``coordination``, ``nearest``, ``shell`` (`shell_codes`),
                ``neighbours`` (`shell_text`) and ``crystal_row``.
        """
        traits: list[Trait] = []
        for true, predicted, total in table.pairs():
            chosen = (table.true == true) & (table.predicted == predicted)
            own = {name: values[chosen] for name, values in columns.items()}
            rows, right = own["crystal_row"], int(self._sites[true])
            counts, nearest, shells = own["coordination"], own["nearest"], own["shell"]
            of_count, of_nearest = self._coordination[true], self._nearest[true]
            codes, first, held = np.unique(shells, return_index=True, return_counts=True)
            seen = [
                *(("coordination", str(n), counts == n, of_count[n]) for n in np.unique(counts)),
                *(("nearest neighbour", SYMBOLS[z], nearest == z, of_nearest[z]) for z in np.unique(nearest)),
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
    """Return the traits of crystals, and a (crystals, traits) mask of the crystals that have them."""
    flags = sorted({flag for found in crystals["flags"] for flag in found} - {"has_hydrogen"})
    sources = [source.split("::")[0].split("/")[0] for source in crystals["source"]]
    # In a folder of single files each file is a source. Those are no traits, and too many to count.
    names = sorted(set(sources)) if len(set(sources)) <= 50 else []
    relations = sorted(set().union(*near_duplicates.values())) if near_duplicates else []
    related = [(near_duplicates or {}).get(name, ()) for name in crystals["crystal"]]
    traits = {("flag", flag): [flag in found for found in crystals["flags"]] for flag in flags}
    traits["hydrogen", "none in the crystal"] = ["has_hydrogen" not in found for found in crystals["flags"]]
    traits |= {("source", name): [source == name for source in sources] for name in names}
    traits |= {("near duplicate", word): [word in found for found in related] for word in relations}
    return list(traits), np.array(list(traits.values()), dtype=bool).reshape(len(traits), -1).T
