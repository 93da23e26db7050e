"""What misclassified sites share: each pair (true, predicted) against the rightly predicted sites of the
element.

A *trait* is something that a site has or has not: its coordination, the element of its nearest neighbour, a
flag of its crystal, no hydrogen in the crystal, the source. It tells something where a larger share of the
mistaken sites have it than of the right ones, in crystals that are not one compound over and over: so every
trait comes with the number of groups (crystals that share a formula or a family) that it was seen in.

*Coordination* is the number of neighbours before the first wide gap: the place of the largest ratio between
one distance and the next among the first 17 (or k). It needs no radii, so that it does not presume the
element. A carbon with one hydrogen at 0.95 Å and two carbons at 1.39 Å has three, a cation in rock salt six.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import MistakeTable
from atomsight.analyse.profiles import Profiles, distance_profiles
from atomsight.elements import SYMBOLS

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

MOST_NEIGHBOURS = 17
"""Distances that the coordination looks at: it is 16 at most."""

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


class PairOfElements(NamedTuple):
    """One pair (true, predicted) over all its sites.

    Attributes:
        true, predicted: atomic numbers.
        sites, crystals, groups: mistaken, in how many crystals and groups.
        share_of_true: of the sites of the true element in the split.
        repeated: share of the mistaken sites that lie in a group with more than one mistaken crystal: near
            duplicates, which make one fault look like many.
        largest_group, largest_group_sites: the group with most mistaken sites.
        closer_to_predicted: share of the sites whose distances lie nearer to the medians of the predicted
            element than to those of the true one, by the mean over the model's k distances.
        deviation_true, deviation_predicted: the median over the sites of these means, Å. None, as the share
            above, where the reference split holds no site of the element.
        probability: mean of what the model gave to the wrong element.
    """

    true: int
    predicted: int
    sites: int
    crystals: int
    groups: int
    share_of_true: float
    repeated: float
    largest_group: str
    largest_group_sites: int
    closer_to_predicted: float | None
    deviation_true: float | None
    deviation_predicted: float | None
    probability: float


@dataclass(frozen=True)
class MistakeAnalysis:
    """What `analyse_mistakes` found.

    Attributes:
        table: the mistakes.
        columns: per mistake, in the order of the table: ``coordination``, ``nearest`` (atomic number),
            ``distances`` (k of the model, Å), ``deviation_true``, ``deviation_predicted`` (Å),
            ``crystal_row``.
        crystals: names, formulas, groups, flags and sources of the dataset's crystals by ``crystal_row``.
        pairs: most frequent first.
        traits: of each pair, the most telling first.
        profiles: distances of the elements, from the train split where there is one.
    """

    table: MistakeTable
    columns: Batch
    crystals: dict[str, list[Any]]
    pairs: list[PairOfElements]
    traits: list[Trait]
    profiles: Profiles

    def distances_of(self, pair: PairOfElements) -> NDArray[np.float32]:
        """(sites, k) distances of the mistaken sites of a pair, Å."""
        chosen = (self.table.true == pair.true) & (self.table.predicted == pair.predicted)
        return self.columns["distances"][chosen]


def coordination(distances: NDArray[np.floating]) -> NDArray[np.int64]:
    """(n,) neighbours before the widest relative gap in the first 17 of (n, k) ascending distances; k = 1
    gives 1."""
    d = np.maximum(np.asarray(distances, dtype=np.float64)[:, :MOST_NEIGHBOURS], 1e-3)
    if d.shape[1] < 2:
        return np.ones(len(d), dtype=np.int64)
    return (d[:, 1:] / d[:, :-1]).argmax(axis=1) + 1


def analyse_mistakes(table: MistakeTable, dataset: Dataset) -> MistakeAnalysis:
    """Compare the mistaken sites of every pair with the right ones of the same element, in one stream.

    Raises:
        InputError: the dataset holds fewer neighbours than the model takes.
    """
    elements = sorted({*table.true.tolist(), *table.predicted.tolist()})
    reference = "train" if dataset.n_sites("train") else table.split
    profiles = distance_profiles(dataset, elements, table.k, split=reference)
    medians = np.full((256, table.k), np.nan)
    for z in elements:
        medians[z] = profiles.quantile(z, 0.5)

    crystals = _crystals(dataset)
    tally = _Tally(crystals)
    join = _Join(table, crystals["crystal"])
    columns: Batch = {
        "coordination": np.zeros(len(table), dtype=np.int64),
        "nearest": np.zeros(len(table), dtype=np.uint8),
        "distances": np.full((len(table), table.k), np.nan, dtype=np.float32),
        "deviation_true": np.full(len(table), np.nan),
        "deviation_predicted": np.full(len(table), np.nan),
        "crystal_row": np.zeros(len(table), dtype=np.int64),
    }
    wanted = ["crystal", "site", "element", "distances", "neighbour_elements"]
    true = sorted(set(table.true.tolist()))
    for batch in dataset.batches(wanted, split=table.split, elements=true):
        row, mistake = join(batch["crystal"], batch["site"])
        count = coordination(batch["distances"])
        nearest = batch["neighbour_elements"][:, 0]
        right = mistake < 0
        tally.add(batch["element"][right], count[right], nearest[right], row[right])
        wrong = np.flatnonzero(~right)
        place = mistake[wrong]
        columns["coordination"][place] = count[wrong]
        columns["nearest"][place] = nearest[wrong]
        columns["crystal_row"][place] = row[wrong]
        d = batch["distances"][wrong, : table.k]
        columns["distances"][place] = d
        for name, z in (("true", table.true), ("predicted", table.predicted)):
            columns[f"deviation_{name}"][place] = np.abs(d - medians[z[place]]).mean(axis=1)
    pairs = _pairs(table, columns, crystals, dataset)
    return MistakeAnalysis(table, columns, crystals, pairs, tally.traits(table, columns), profiles)


class _Join:
    """Finds the mistakes among the sites of a batch."""

    def __init__(self, table: MistakeTable, names: Sequence[str]) -> None:
        import pyarrow as pa

        self._names = pa.array(names, pa.string())
        rows = self._rows(table.crystal)
        keys = rows << 32 | table.site.astype(np.int64)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def _rows(self, crystal: NDArray[np.object_]) -> NDArray[np.int64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pc.index_in(pa.array(crystal, pa.string()), self._names)
        return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)

    def __call__(
        self, crystal: NDArray[np.object_], site: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n,) row of each crystal, and (n,) index of the mistake, -1 where the site was predicted
        rightly."""
        rows = self._rows(crystal)
        keys = rows << 32 | site.astype(np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return rows, np.where(self._keys[place] == keys, self._order[place], -1)


def _crystals(dataset: Dataset) -> dict[str, list[Any]]:
    return dataset.crystals(["crystal", "formula", "group", "flags", "source"]).to_pydict()


class _Tally:
    """Counts of traits among the right sites, by element."""

    def __init__(self, crystals: dict[str, list[Any]]) -> None:
        self._groups = np.unique(np.array(crystals["group"], dtype=object).astype(str), return_inverse=True)[
            1
        ]
        self.names, self._has = _crystal_traits(crystals)
        self._sites = np.zeros(256, dtype=np.int64)
        self._coordination = np.zeros((256, MOST_NEIGHBOURS), dtype=np.int64)
        self._nearest = np.zeros((256, 256), dtype=np.int64)
        self._crystal = np.zeros((256, len(self.names)), dtype=np.int64)

    def add(
        self,
        element: NDArray[np.uint8],
        count: NDArray[np.int64],
        nearest: NDArray[np.uint8],
        row: NDArray[np.int64],
    ) -> None:
        """Add right sites."""
        self._sites += np.bincount(element, minlength=256)
        np.add.at(self._coordination, (element, count), 1)
        np.add.at(self._nearest, (element, nearest), 1)
        for z in np.unique(element):
            self._crystal[z] += self._has[row[element == z]].sum(axis=0)

    def traits(self, table: MistakeTable, columns: Batch) -> list[Trait]:
        """Every trait of every pair, the pairs by frequency, the traits by the difference of the shares."""
        traits: list[Trait] = []
        for true, predicted, total in table.pairs():
            chosen = (table.true == true) & (table.predicted == predicted)
            rows = columns["crystal_row"][chosen]
            right = int(self._sites[true])
            counts, nearest = columns["coordination"][chosen], columns["nearest"][chosen]
            seen = [
                *(
                    ("coordination", str(n), counts == n, self._coordination[true, n])
                    for n in np.unique(counts)
                ),
                *(
                    ("nearest neighbour", SYMBOLS[z], nearest == z, self._nearest[true, z])
                    for z in np.unique(nearest)
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


def _crystal_traits(crystals: dict[str, list[Any]]) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
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
    return traits, np.array(columns, dtype=bool).reshape(len(traits), -1).T


def _pairs(
    table: MistakeTable, columns: Batch, crystals: dict[str, list[Any]], dataset: Dataset
) -> list[PairOfElements]:
    of_element = dataset.element_counts(table.split)
    group = np.array(crystals["group"], dtype=object)
    pairs = []
    for true, predicted, sites in table.pairs():
        chosen = np.flatnonzero((table.true == true) & (table.predicted == predicted))
        rows = columns["crystal_row"][chosen]
        groups = group[rows]
        sites_of = Counter(groups.tolist())
        crystals_of = Counter(group[np.unique(rows)].tolist())
        largest = min(sites_of, key=lambda name: (-sites_of[name], str(name)))
        own, other = columns["deviation_true"][chosen], columns["deviation_predicted"][chosen]
        pairs.append(
            PairOfElements(
                true,
                predicted,
                sites,
                len(np.unique(rows)),
                len(sites_of),
                sites / of_element[true],
                sum(n for name, n in sites_of.items() if crystals_of[name] > 1) / sites,
                str(largest),
                sites_of[largest],
                None if np.isnan(own + other).any() else float((other < own).mean()),
                None if np.isnan(own).any() else float(np.median(own)),
                None if np.isnan(other).any() else float(np.median(other)),
                float(table.probability[chosen].mean()),
            )
        )
    return pairs
