"""Traits of misclassified sites, for each pair (true, predicted), compared with the right sites.

A *trait* is a property that a site has or has not: its coordination, the elements of its neighbours, a flag
of its crystal, no hydrogen in the crystal, the source, a near duplicate. A trait is informative if a larger
share of the mistaken sites have it than of the right ones, in several different compounds. Every trait
therefore has its number of groups (crystals that share a formula or a family).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import MistakeTable
from atomsight.analyse.mistakes_traits import Trait, TraitCounts, coordination, shell_codes, shell_text
from atomsight.analyse.profiles import Profiles, distance_profiles
from atomsight.core.scores import none_if_nan

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

Batch = dict[str, NDArray[Any]]


class PairOfElements(NamedTuple):
    """One pair (true, predicted) over all its sites.

    Attributes:
        true, predicted: Atomic numbers.
        sites, crystals, groups: Mistaken sites, and the number of their crystals and groups.
        share_of_true: Share of the true element's sites in the split.
        repeated: Share of the mistaken sites in groups with more than one mistaken crystal. Near duplicates
            let one fault count many times.
        largest_group, largest_group_sites: The group with most mistaken sites.
        closer_to_predicted: Share of the sites whose distances are nearer to the medians of the predicted
            element than to those of the true one, by the mean over the model's k distances.
        deviation_true, deviation_predicted: The median over the sites of these means, Å. They and the share
            above are None where the reference split holds no site of the element.
        probability: Mean probability of the predicted element.
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
    """Result of `analyse_mistakes`.

    Attributes:
        table: The mistakes.
        columns: Values per mistake, in the order of the table: ``coordination``, ``nearest`` (atomic number),
            ``shell`` and ``neighbours`` (see `mistakes_traits`), ``distances`` (k of the model, Å),
            ``deviation_true``, ``deviation_predicted`` (Å), ``crystal_row``.
        crystals: Names, formulas, groups, flags and sources of the dataset's crystals by ``crystal_row``.
        pairs: Pairs of elements, most frequent first.
        traits: Traits of each pair, the most distinctive first.
        profiles: Distances of the elements, from the train split where there is one.
    """

    table: MistakeTable
    columns: Batch
    crystals: dict[str, list[Any]]
    pairs: list[PairOfElements]
    traits: list[Trait]
    profiles: Profiles

    def distances_of(self, pair: PairOfElements) -> NDArray[np.float32]:
        """Return the (sites, k) distances of the mistaken sites of a pair, Å."""
        chosen = (self.table.true == pair.true) & (self.table.predicted == pair.predicted)
        return np.asarray(self.columns["distances"][chosen])


def analyse_mistakes(
    table: MistakeTable, dataset: Dataset, near_duplicates: Mapping[str, set[str]] | None = None
) -> MistakeAnalysis:
    """Compare the mistaken sites of every pair with the right ones of the same element, in one stream.

    Args:
        table: The mistakes of an evaluation.
        dataset: The dataset of the evaluation.
        near_duplicates: Relations to near duplicates by name of the crystal, from
            `mistakes_duplicates.read_near_duplicates`. They become traits.

    Raises:
        InputError: The dataset holds fewer neighbours than the model takes.
    """
    elements = sorted({*table.true.tolist(), *table.predicted.tolist()})
    reference = "train" if dataset.n_sites("train") else table.split
    profiles = distance_profiles(dataset, elements, table.k, split=reference)
    medians = np.full((256, table.k), np.nan)
    for z in elements:
        medians[z] = profiles.quantile(z, 0.5)

    crystals: dict[str, list[Any]] = dataset.crystals(
        ["crystal", "formula", "group", "flags", "source"]
    ).to_pydict()
    tally = TraitCounts(crystals, near_duplicates)
    join = _Join(table, crystals["crystal"])
    n = len(table)
    columns: Batch = {
        "coordination": np.zeros(n, dtype=np.int64),
        "nearest": np.zeros(n, dtype=np.uint8),
        "shell": np.zeros(n, dtype=np.uint64),
        "neighbours": np.full(n, "", dtype=object),
        "distances": np.full((n, table.k), np.nan, dtype=np.float32),
        "deviation_true": np.full(n, np.nan),
        "deviation_predicted": np.full(n, np.nan),
        "crystal_row": np.zeros(n, dtype=np.int64),
    }
    read = ["crystal", "site", "element", "distances", "neighbour_elements"]
    for batch in dataset.batches(read, split=table.split, elements=sorted(set(table.true.tolist()))):
        row, mistake = join(batch["crystal"], batch["site"])
        count = coordination(batch["distances"])
        around = batch["neighbour_elements"]
        right = mistake < 0
        tally.add(batch["element"][right], count[right], around[right], row[right])
        wrong = np.flatnonzero(~right)
        place = mistake[wrong]
        columns["coordination"][place] = count[wrong]
        columns["nearest"][place] = around[wrong, 0]
        columns["shell"][place] = shell_codes(around[wrong], count[wrong])
        columns["neighbours"][place] = [shell_text(around[i], count[i]) for i in wrong]
        columns["crystal_row"][place] = row[wrong]
        d = batch["distances"][wrong, : table.k]
        columns["distances"][place] = d
        for name, z in (("true", table.true), ("predicted", table.predicted)):
            columns[f"deviation_{name}"][place] = np.abs(d - medians[z[place]]).mean(axis=1)
    pairs = _pairs(table, columns, crystals["group"], dataset.element_counts(table.split))
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
        return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)

    def __call__(
        self, crystal: NDArray[np.object_], site: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the (n,) row of each crystal and the (n,) index of the mistake, -1 for right sites."""
        rows = self._rows(crystal)
        keys = rows << 32 | site.astype(np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return rows, np.where(self._keys[place] == keys, self._order[place], -1)


def _pairs(
    table: MistakeTable, columns: Batch, groups: Sequence[str], of_element: Mapping[int, int]
) -> list[PairOfElements]:
    group = np.array(groups, dtype=object)
    pairs = []
    for true, predicted, sites in table.pairs():
        chosen = np.flatnonzero((table.true == true) & (table.predicted == predicted))
        rows = columns["crystal_row"][chosen]
        sites_of = Counter(group[rows].tolist())
        crystals_of = Counter(group[np.unique(rows)].tolist())
        largest = min(sites_of, key=lambda name: (-sites_of[name], str(name)))
        own, other = columns["deviation_true"][chosen], columns["deviation_predicted"][chosen]
        repeated = sum(n for name, n in sites_of.items() if crystals_of[name] > 1)
        numbers = (sites, len(np.unique(rows)), len(sites_of))
        shares = (sites / of_element[true], repeated / sites)
        closer = None if np.isnan(own + other).any() else float((other < own).mean())
        medians = (none_if_nan(np.median(own)), none_if_nan(np.median(other)))
        p = float(table.probability[chosen].mean())
        in_group = (str(largest), sites_of[largest])
        pairs.append(PairOfElements(true, predicted, *numbers, *shares, *in_group, closer, *medians, p))
    return pairs
