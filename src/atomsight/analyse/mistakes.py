"""What misclassified sites share: each pair (true, predicted) against the rightly predicted sites of the
element.

A *trait* is something that a site has or has not: its coordination, the elements of its neighbours, a flag of
its crystal, no hydrogen in the crystal, the source, a near duplicate. It tells something where a larger share
of the mistaken sites have it than of the right ones, in crystals that are not one compound over and over: so
every trait comes with the number of groups (crystals that share a formula or a family) that it was seen in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import MistakeTable
from atomsight.analyse.mistakes_traits import (
    Trait,
    TraitTally,
    coordination,
    shell_codes,
    shell_text,
)
from atomsight.analyse.profiles import Profiles, distance_profiles

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

Batch = dict[str, NDArray[Any]]


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
            ``shell`` and ``neighbours`` (see `mistakes_traits`), ``distances`` (k of the model, Å),
            ``deviation_true``, ``deviation_predicted`` (Å), ``crystal_row``.
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


def analyse_mistakes(
    table: MistakeTable, dataset: Dataset, near_duplicates: Mapping[str, set[str]] | None = None
) -> MistakeAnalysis:
    """Compare the mistaken sites of every pair with the right ones of the same element, in one stream.

    Args:
        near_duplicates: kinds of near duplicates by name of the crystal, as
            `mistakes_duplicates.read_near_duplicates` gives them; they become traits.

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
    tally = TraitTally(crystals, near_duplicates)
    join = _Join(table, crystals["crystal"])
    columns: Batch = {
        "coordination": np.zeros(len(table), dtype=np.int64),
        "nearest": np.zeros(len(table), dtype=np.uint8),
        "shell": np.zeros(len(table), dtype=np.uint64),
        "neighbours": np.full(len(table), "", dtype=object),
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
