"""Comparison with the crystals of a dataset: similar sites, and equal geometries with other elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from atomsight.check.findings import Finding
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.dataset import Dataset

COMPARED = 8
"""Number of distances of a site that are compared."""

TOLERANCE = 0.02
"""Å; largest earth mover's distance between the distances of crystals with the same geometry."""

NAMED = 3
"""Maximum number of sites in a sentence."""


def nearest_rows(
    table: NDArray[np.floating],
    distances: NDArray[np.floating],
    crystal_of: Callable[[int], str],
    name: str,
    most: int,
) -> list[tuple[int, float]]:
    """Find the rows most similar to a site by their first `COMPARED` distances, one row per crystal.

    Args:
        table: (n, k) Å, ascending.
        distances: (k,) Å, of the site.
        crystal_of: returns the name of a row's crystal.
        name: name of a crystal to leave out.
        most: maximum number of rows.

    Returns:
        Rows and mean absolute differences, Å, most similar first.
    """
    width = min(COMPARED, table.shape[1], len(distances))
    apart = np.abs(table[:, :width] - distances[:width].astype(np.float32)).mean(axis=1)
    closest = np.argpartition(apart, min(50, len(apart) - 1))[:50]
    found: dict[str, tuple[int, float]] = {}
    for row in closest[np.argsort(apart[closest], kind="stable")].tolist():
        crystal = crystal_of(row)
        if crystal != name and crystal not in found:
            found[crystal] = (row, float(apart[row]))
        if len(found) == most:
            break
    return list(found.values())


class ReferenceSites:
    """The sites of a dataset in memory, about 60 bytes per site at k = 12.

    Args:
        dataset: any dataset.
        split: ``train``, ``val`` or ``test``; None takes all crystals.
    """

    def __init__(self, dataset: Dataset, split: str | None = None) -> None:
        columns = ("crystal", "site", "label", "element", "multiplicity", "distances")
        parts = list(dataset.batches(columns, split=split, whole_crystals=True))
        site = np.concatenate([part["site"] for part in parts])
        self.k = dataset.k
        self.begins = np.append(np.flatnonzero(site == 0), len(site))
        self.names = np.concatenate([part["crystal"][part["site"] == 0] for part in parts]).astype(str)
        self.labels = np.concatenate([part["label"] for part in parts])
        self.element = np.concatenate([part["element"] for part in parts])
        self.multiplicity = np.concatenate([part["multiplicity"] for part in parts])
        self.distances = np.concatenate([part["distances"] for part in parts])
        self._means: NDArray[np.float64] | None = None

    def crystal_of(self, row: int) -> str:
        """Return the name of a row's crystal."""
        return str(self.names[np.searchsorted(self.begins, row, side="right") - 1])

    def nearest_sites(self, distances: NDArray[np.floating], name: str) -> str:
        """List the sites most similar to a site.

        Args:
            distances: (k,) Å, of the site.
            name: name of its crystal, which is left out.
        """
        found = nearest_rows(self.distances, distances, self.crystal_of, name, NAMED)
        return ", ".join(
            f"{SYMBOLS[self.element[row]]} ({self.crystal_of(row)} {self.labels[row]}, {apart:.3f} Å)"
            for row, apart in found
        )

    def same_geometry(self, crystal: Crystal, distances: NDArray[np.floating]) -> Iterator[Finding]:
        """Find crystals of the same geometry with other elements.

        Args:
            crystal: the crystal.
            distances: (sites, self.k or more) its k-NN distances, Å.
        """
        from atomsight.geometry.neighbours import transport_cost

        if self._means is None:
            sums = np.add.reduceat(self.distances * self.multiplicity[:, None], self.begins[:-1], axis=0)
            atoms = np.add.reduceat(self.multiplicity.astype(np.int64), self.begins[:-1])
            self._means = sums / atoms[:, None]
        share = crystal.multiplicities / crystal.multiplicities.sum()
        own = distances[:, : self.k]
        near = np.flatnonzero(np.abs(self._means - share @ own).max(axis=1) <= TOLERANCE)
        for place in near.tolist():
            rows = slice(self.begins[place], self.begins[place + 1])
            if self.names[place] == crystal.name:
                continue
            costs = np.abs(own[:, None] - self.distances[rows][None]).max(axis=2).astype(np.float64)
            weights = self.multiplicity[rows] / self.multiplicity[rows].sum()
            if transport_cost(share, weights, costs) > TOLERANCE:
                continue
            theirs = self.element[rows][costs.argmin(axis=1)]
            # A site may match several sites equally well. It differs if none of them has its element.
            alike = costs <= costs.min(axis=1, keepdims=True) + TOLERANCE
            agrees = (alike & (self.element[rows] == crystal.site_numbers[:, None])).any(axis=1)
            sites = np.flatnonzero(~agrees)
            if len(sites):
                listed = ", ".join(
                    f"{crystal.labels[s]} is {SYMBOLS[theirs[s]]} there" for s in sites[:NAMED]
                )
                text = f"{self.names[place]} has the same geometry with other elements: {listed}"
                yield Finding("same_geometry", text, tuple(sites.tolist()))
