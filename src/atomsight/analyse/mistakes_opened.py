"""Distances and neighbours of many misclassified sites, and how unusual each distance is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import MistakeTable
from atomsight.analyse.mistakes import MistakeAnalysis

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


@dataclass(frozen=True)
class OpenedMistakes:
    """Some misclassified sites with their neighbours, in columns of length m.

    Attributes:
        chosen: (m,) rows of the mistakes in the table.
        distances: (m, k) float32, Å, with the k of the model.
        neighbour_elements: (m, k) uint8 atomic numbers.
        labels: Label of each neighbour in the crystal's file.
        nearer_true, nearer_predicted: (m, k) share of the sites of the true and of the predicted element
            whose n-th neighbour is nearer; NaN where the reference holds no site of the element.
    """

    chosen: NDArray[np.int64]
    distances: NDArray[np.float32]
    neighbour_elements: NDArray[np.uint8]
    labels: list[tuple[str, ...]]
    nearer_true: NDArray[np.float64]
    nearer_predicted: NDArray[np.float64]


def choose_mistakes(table: MistakeTable, most: int, of_each: int = 3) -> NDArray[np.int64]:
    """Choose at most ``most`` mistakes, in the order of the table.

    The first ``of_each`` of every pair of elements are taken, frequent pairs first, then the most confident.
    """
    if len(table) <= most:
        return np.arange(len(table))
    keys = table.true.astype(np.int64) * 256 + table.predicted
    parts = [np.flatnonzero(keys == true * 256 + predicted)[:of_each] for true, predicted, _ in table.pairs()]
    first = np.concatenate(parts)
    return np.sort(np.concatenate([first, np.setdiff1d(np.arange(len(table)), first)])[:most])


def open_mistakes(analysis: MistakeAnalysis, chosen: Sequence[int], dataset: Dataset) -> OpenedMistakes:
    """Read the neighbours of some mistakes of an analysis, in one stream over the split.

    Args:
        analysis: The analysis.
        chosen: (m,) rows in ``analysis.table``.
        dataset: The dataset that was analysed.
    """
    table, profiles = analysis.table, analysis.profiles
    places = np.asarray(chosen, dtype=np.int64)
    distances = analysis.columns["distances"][places]
    elements = np.zeros(distances.shape, dtype=np.uint8)
    labels: list[tuple[str, ...]] = [()] * len(places)
    wanted: dict[str, list[int]] = defaultdict(list)
    for at, place in enumerate(places.tolist()):
        wanted[str(table.crystal[place])].append(at)
    columns = ["crystal", "site", "label", "neighbours", "neighbour_elements"]
    for batch in dataset.batches(columns, split=table.split, whole_crystals=True):
        names = batch["crystal"]
        starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(names)], strict=True):
            asked = wanted.get(str(names[start]))
            if not asked:
                continue
            row_of = {int(site): start + i for i, site in enumerate(batch["site"][start:end])}
            for at in asked:
                row = row_of[int(table.site[places[at]])]
                around = batch["neighbours"][row, : table.k]
                elements[at] = batch["neighbour_elements"][row, : table.k]
                labels[at] = tuple(str(batch["label"][row_of[int(site)]]) for site in around)
    nearer = {
        name: np.array(
            [profiles.share_below(int(z), d) for z, d in zip(numbers[places], distances, strict=True)]
        ).reshape(distances.shape)
        for name, numbers in (("true", table.true), ("predicted", table.predicted))
    }
    return OpenedMistakes(places, distances, elements, labels, nearer["true"], nearer["predicted"])
