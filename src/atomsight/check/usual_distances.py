"""What is usual in training: how far the nearest neighbour of each element lies, and how many neighbours a
site has, by element. Small tables that ship beside the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.geometry.bonds.radii import COVALENT
from atomsight.models.artefacts import fingerprint_of

FILE = Path(__file__).parent / "usual_distances.json"

QUANTILES = (0.005, 0.05, 0.5, 0.95, 0.995)
"""That the table keeps of each pair's distances."""

NEAR = 1.3
"""Times the sum of covalent radii: neighbours that count as bonded. Wide enough for the long bonds of
copper(II)."""

FEWEST = 50
"""Sites that a pair or an element must have to be in the table."""

MOST_NEIGHBOURS = 13
"""Sites with so many or more are counted together."""


@dataclass(frozen=True)
class Usual:
    """The tables.

    Attributes:
        distances: by (element, neighbour), the `QUANTILES` of the distance to the nearest such neighbour, Å.
        coordination: by element, shares of the sites with 0, 1, ... `MOST_NEIGHBOURS` bonded neighbours.
    """

    distances: Mapping[tuple[int, int], tuple[float, ...]]
    coordination: Mapping[int, tuple[float, ...]]


def bonded_neighbours(
    element: NDArray[np.integer], distances: NDArray[np.floating], neighbour_elements: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """(n, k) which neighbours are as near as bonded ones, were the sites of the elements given, (n,)."""
    return distances <= NEAR * (COVALENT[element][:, None] + COVALENT[neighbour_elements])


class UsualTally:
    """Collects the tables from a stream of sites."""

    def __init__(self) -> None:
        self._distances: list[list[NDArray[np.float32]]] = [[] for _ in range(128 * 128)]
        self._counts = np.zeros((128, MOST_NEIGHBOURS + 1), dtype=np.int64)

    def add(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """Count sites; needs the columns element, distances and neighbour_elements."""
        element = batch["element"].astype(np.int64)
        others = batch["neighbour_elements"].astype(np.int64)
        bonded = bonded_neighbours(element, batch["distances"], others)
        number = np.minimum(bonded.sum(axis=1), MOST_NEIGHBOURS)
        np.add.at(self._counts, (element, number), 1)
        for place in range(others.shape[1]):
            first = bonded[:, place] & ~(others[:, :place] == others[:, place : place + 1]).any(axis=1)
            pair = element[first] * 128 + others[first, place]
            order = np.argsort(pair, kind="stable")
            values = batch["distances"][first, place][order]
            codes, starts = np.unique(pair[order], return_index=True)
            ends = [*starts[1:], len(values)] if len(codes) else []
            for code, start, end in zip(codes.tolist(), starts, ends, strict=True):
                self._distances[code].append(values[start:end])

    def tables(self) -> Usual:
        """The tables of all that was added."""
        distances = {}
        for code, parts in enumerate(self._distances):
            if sum(map(len, parts)) >= FEWEST:
                values = np.quantile(np.concatenate(parts), QUANTILES)
                distances[divmod(code, 128)] = tuple(round(float(v), 3) for v in values)
        coordination = {
            z: tuple(round(float(v), 5) for v in row / row.sum())
            for z, row in enumerate(self._counts)
            if row.sum() >= FEWEST
        }
        return Usual(distances, coordination)


def tables_of(batches: Iterable[Mapping[str, NDArray[Any]]]) -> Usual:
    """The tables of a stream of sites."""
    tally = UsualTally()
    for batch in batches:
        tally.add(batch)
    return tally.tables()


def write(usual: Usual, path: Path = FILE) -> None:
    """Write the tables as JSON, a line an element."""
    lines = []
    for z, shares in usual.coordination.items():
        pairs = {SYMBOLS[y]: values for (x, y), values in usual.distances.items() if x == z}
        entry = json.dumps({"coordination": shares, "distances": pairs}, separators=(",", ":"))
        lines.append(f"{json.dumps(SYMBOLS[z])}:{entry}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


@lru_cache(maxsize=1)
def load(path: Path = FILE) -> Usual:
    """The tables that ship with the package.

    Raises:
        ModelError: the file is missing, or not the one released.
    """
    fingerprint_of(path)
    held = json.loads(path.read_text(encoding="utf-8"))
    return Usual(
        {
            (NUMBERS[x], NUMBERS[y]): tuple(values)
            for x, entry in held.items()
            for y, values in entry["distances"].items()
        },
        {NUMBERS[x]: tuple(entry["coordination"]) for x, entry in held.items()},
    )
