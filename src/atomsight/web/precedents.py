"""The sites most like a given one: of a dataset, else of a sample of the training data that ships."""

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

NAMED = 5

EACH = 3.0
"""Of an element with n sites, this times the square root of n are shipped: rare elements are not drowned."""


@dataclass(frozen=True, eq=False)
class Precedents:
    """Sites to compare with.

    Attributes:
        distances: (n, k) Å, ascending.
        elements: (n,) atomic numbers.
        labels: n, of the sites in their files.
        crystal: names the crystal of a row.
        told: what they are, in words.
    """

    distances: NDArray[np.float32]
    elements: NDArray[np.uint8]
    labels: NDArray[Any]
    crystal: Callable[[int], str]
    told: str

    def nearest(self, distances: NDArray[np.floating], name: str) -> list[dict[str, Any]]:
        """Sites whose first distances differ least from a (k,) row, of as many crystals; none of ``name``.

        Returns:
            ``crystal``, ``label``, ``element``, and ``apart``: the mean difference of the distances, Å.
        """
        found = nearest_rows(self.distances, distances, self.crystal, name, NAMED)
        return [
            {
                "crystal": self.crystal(row),
                "label": str(self.labels[row]),
                "element": SYMBOLS[self.elements[row]],
                "apart": round(apart, 4),
            }
            for row, apart in found
        ]


def of_witnesses(witnesses: ReferenceSites, name: str) -> Precedents:
    """All sites of a dataset of that name."""
    told = f"{len(witnesses.element):,} sites of {name}"
    return Precedents(witnesses.distances, witnesses.element, witnesses.labels, witnesses.crystal_of, told)


@lru_cache(maxsize=1)
def of_training() -> Precedents:
    """The shipped ones."""
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
    """Sites drawn by chance, of each element `EACH` times the square root of how many there are.

    Args:
        dataset: any.
        split: None takes all.
        seed: of the draw.

    Returns:
        Columns, a row a site: ``crystals`` points into ``names``; ``distances`` are in thousandths of an Å.
    """
    columns = ("crystal", "label", "element", "distances")
    generator = np.random.default_rng(seed)
    drawn: list[tuple[str, str, int, list[int]]] = []
    counts = dataset.element_counts(split)
    for z, n in sorted(counts.items()):
        wanted = set(generator.choice(n, min(n, round(EACH * n**0.5)), replace=False).tolist())
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
