"""The most similar sites of a dataset, or of a bundled sample of the training data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.reference_sites import COMPARED, nearest_rows
from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.web.tables import shipped

if TYPE_CHECKING:
    from atomsight.check.reference_sites import ReferenceSites
    from atomsight.dataset import Dataset

MOST_NAMED = 5
"""Number of similar sites to return."""

SAMPLED = 3.0
"""Sample size of an element, divided by the square root of its number of sites."""


@dataclass(frozen=True, eq=False)
class Precedents:
    """Sites to compare with.

    Attributes:
        distances: (n, k) neighbour distances in Å, ascending.
        elements: (n,) atomic numbers.
        labels: (n,) labels of the sites in their files.
        crystal: returns the name of the crystal of a row.
        description: what the sites are.
    """

    distances: NDArray[np.float32]
    elements: NDArray[np.uint8]
    labels: NDArray[Any]
    crystal: Callable[[int], str]
    description: str

    def nearest(self, distances: NDArray[np.floating], name: str) -> list[dict[str, Any]]:
        """Find the sites with the most similar distances, at most one per crystal.

        Args:
            distances: (k,) neighbour distances of a site in Å.
            name: name of its crystal, which is left out.

        Returns:
            ``crystal``, ``label``, ``element``, and the mean difference of the distances, ``apart``, in Å.
        """
        found = nearest_rows(self.distances, distances, self.crystal, name, MOST_NAMED)
        return [
            {
                "crystal": self.crystal(row),
                "label": str(self.labels[row]),
                "element": SYMBOLS[self.elements[row]],
                "apart": round(apart, 4),
            }
            for row, apart in found
        ]


def dataset_precedents(sites: ReferenceSites, name: str) -> Precedents:
    """Return all sites of a dataset with this name."""
    description = f"{len(sites.element):,} sites of {name}"
    return Precedents(sites.distances, sites.element, sites.labels, sites.crystal_of, description)


@lru_cache(maxsize=1)
def training_precedents() -> Precedents:
    """Return the bundled sample of the training data."""
    table = shipped("precedents")
    names, crystals = table["names"], table["crystals"]
    return Precedents(
        (np.array(table["distances"]) / 1000).astype(np.float32),
        np.array([NUMBERS[symbol] for symbol in table["elements"]], dtype=np.uint8),
        np.array(table["labels"], dtype=object),
        lambda row: str(names[crystals[row]]),
        f"{len(crystals):,} sites drawn from the training data",
    )


def precedents_table(dataset: Dataset, *, split: str | None = None, seed: int = 0) -> dict[str, Any]:
    """Draw a random sample of sites, `SAMPLED` times the square root of the number of sites per element.

    Rare elements therefore have a larger share than in the dataset.

    Args:
        dataset: a dataset.
        split: name of a split; None uses all.
        seed: seed of the random numbers.

    Returns:
        Columns with one entry per site. ``crystals`` are indices into ``names``; ``distances`` are in
        thousandths of an Å.
    """
    columns = ("crystal", "label", "element", "distances")
    generator = np.random.default_rng(seed)
    drawn: list[tuple[str, str, int, list[int]]] = []
    counts = dataset.element_counts(split)
    for z, n in sorted(counts.items()):
        wanted = set(generator.choice(n, min(n, round(SAMPLED * n**0.5)), replace=False).tolist())
        place = 0
        for batch in dataset.batches(columns, split=split, elements=[z]):
            for row in range(len(batch["element"])):
                if place in wanted:
                    near = (1000 * batch["distances"][row, :COMPARED]).round().astype(int).tolist()
                    drawn.append((str(batch["crystal"][row]), str(batch["label"][row]), z, near))
                place += 1
    names = sorted({crystal for crystal, *_ in drawn})
    places = {name: i for i, name in enumerate(names)}
    drawn.sort()
    return {
        "names": names,
        "crystals": [places[crystal] for crystal, *_ in drawn],
        "labels": [label for _, label, *_ in drawn],
        "elements": [SYMBOLS[z] for *_, z, _ in drawn],
        "distances": [near for *_, near in drawn],
    }
