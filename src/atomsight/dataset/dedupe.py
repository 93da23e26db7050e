"""Near-duplicate crystals of a dataset: the same geometry, whatever the elements on it.

Two steps, both on the k-NN distances that the table holds. Average minimum distances (AMD) of all crystals go
into a k-d tree: the largest difference of two AMDs never exceeds the earth mover's distance (EMD) of the two
point-wise distance distributions (PDD), so no pair within the tolerance is lost. Each candidate pair is then
decided by that EMD. Widdowson, Mosca, Pulido, Cooper and Kurlin, 10.46793/match.87-3.529W (AMD); Widdowson
and Kurlin, arXiv:2108.04798 (PDD).

Identical geometry with different elements is what the field looks for: one of the two is likely to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.progress import OnProgress, Progress

if TYPE_CHECKING:
    from atomsight.dataset.store import Dataset

SAME = "same elements"
EXCHANGED = "elements exchanged"
DIFFERENT = "different elements"

TOLERANCE = 0.01
"""Å. Coordinates printed to 1e-4 of a 20 Å cell err by 0.002 Å; redeterminations at other temperatures differ
by 0.05."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two crystals of nearly the same geometry.

    Attributes:
        first, second: crystal ids, in the order of the dataset.
        distance: earth mover's distance of their PDDs, Å.
        relation: ``same elements``; ``elements exchanged`` (one formula, but no matching of sites within the
            tolerance keeps every element in its place); ``different elements`` (two formulas).
        first_formula, second_formula: reduced formulas.
        first_only, second_only: symbols of the elements that only one of them holds.
        sites: symmetry-unique sites of the one that has fewer. With one or two, a match is no surprise.
    """

    first: str
    second: str
    distance: float
    relation: str
    first_formula: str
    second_formula: str
    first_only: str
    second_only: str
    sites: int


class _Sites(NamedTuple):
    """What the comparison needs of one crystal."""

    distances: NDArray[np.float32]
    weights: NDArray[np.float64]
    elements: NDArray[np.uint8]


def near_duplicates(
    dataset: Dataset,
    tolerance: float = TOLERANCE,
    *,
    progress: OnProgress | None = None,
) -> list[DuplicatePair]:
    """Find all pairs of crystals whose PDDs lie within a tolerance, closest first, then those of most sites.

    The memory taken is one AMD (k numbers) a crystal and the list of candidates; the sites of crystals that
    have a candidate go to a temporary file.

    Args:
        dataset: an open dataset.
        tolerance: largest earth mover's distance of a pair, Å.
        progress: receives the progress of each stage.

    Raises:
        InputError: the tolerance is not positive.
    """
    from scipy.spatial import cKDTree

    if not tolerance > 0:
        raise InputError(f"tolerance is {tolerance}; it must be a positive length in Å")
    report = progress or (lambda progress: None)

    names: list[str] = []
    averages = np.empty((dataset.n_crystals, dataset.k))
    for name, sites in _crystals(dataset, ("multiplicity", "distances")):
        weights = sites["multiplicity"].astype(np.float64)
        averages[len(names)] = weights @ sites["distances"] / weights.sum()
        names.append(name)
        if len(names) % 1000 == 0:
            report(Progress("reading", len(names), dataset.n_crystals))
    if len(names) < 2:
        return []
    # Single precision in the table: a hair of slack keeps pairs that lie right at the tolerance.
    candidates = cKDTree(averages[: len(names)]).query_pairs(
        tolerance + 1e-5, p=np.inf, output_type="ndarray"
    )
    candidates = candidates[np.lexsort((candidates[:, 1], candidates[:, 0]))]

    wanted = {names[i] for i in np.unique(candidates)}
    table = dataset.crystals(["crystal", "formula"]).to_pydict()
    formulas = dict(zip(table["crystal"], table["formula"], strict=True))
    pairs = []
    with TemporaryFile() as file:
        held = _Held(file)
        for name, sites in _crystals(dataset, ("multiplicity", "distances", "element")):
            if name in wanted:
                held.add(name, sites)
        for done, (i, j) in enumerate(candidates.tolist()):
            if done % 100 == 0:
                report(Progress("comparing", done, len(candidates)))
            pair = _compare(names[i], names[j], held, formulas, tolerance)
            if pair is not None:
                pairs.append(pair)
    return sorted(pairs, key=lambda pair: (round(pair.distance, 3), -pair.sites, pair.first, pair.second))


class _Held:
    """Sites of the crystals that have a candidate, in a file: there may be as many as in the dataset."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, int] = {}

    def add(self, name: str, sites: dict[str, NDArray[Any]]) -> None:
        """Write the sites of one crystal."""
        self._places[name] = self._file.tell()
        for column in ("distances", "multiplicity", "element"):
            np.save(self._file, sites[column])

    def __getitem__(self, name: str) -> _Sites:
        self._file.seek(self._places[name])
        distances, multiplicity, elements = (np.load(self._file) for _ in range(3))
        return _Sites(distances, multiplicity / multiplicity.sum(), elements)


def _compare(
    first: str, second: str, held: _Held, formulas: dict[str, str], tolerance: float
) -> DuplicatePair | None:
    from atomsight.geometry.neighbours.emd import transport_cost

    a, b = held[first], held[second]
    costs = np.abs(a.distances[:, None, :] - b.distances[None, :, :]).max(axis=2).astype(np.float64)
    distance = transport_cost(a.weights, b.weights, costs)
    if distance > tolerance:
        return None
    relation = DIFFERENT
    if formulas[first] == formulas[second]:
        # With elements that may not change, an exchange costs at least one misplaced site's share of the
        # barrier.
        barrier = 1e3 * tolerance
        coloured = costs + barrier * (a.elements[:, None] != b.elements[None, :])
        moved = transport_cost(a.weights, b.weights, coloured)
        least_share = min(a.weights.min(), b.weights.min())
        relation = SAME if moved <= tolerance + 0.5 * barrier * least_share else EXCHANGED
    only = [" ".join(SYMBOLS[z] for z in np.setdiff1d(x.elements, y.elements)) for x, y in ((a, b), (b, a))]
    sites = min(len(a.weights), len(b.weights))
    return DuplicatePair(
        first, second, distance, relation, formulas[first], formulas[second], only[0], only[1], sites
    )


def _crystals(dataset: Dataset, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """The sites of one crystal after another."""
    for batch in dataset.batches(("crystal", "site", *columns), whole_crystals=True):
        bounds = [*np.flatnonzero(batch["site"] == 0).tolist(), len(batch["site"])]
        for start, end in pairwise(bounds):
            yield batch["crystal"][start], {name: batch[name][start:end] for name in columns}
