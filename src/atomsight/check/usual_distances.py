"""Tables of the training data: distances to the nearest neighbour of each element, and coordination numbers.

These small tables ship with the package.
"""

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
"""Quantiles of each pair's distances in the table."""

NEAR = 1.3
"""Largest bonding distance over the sum of covalent radii. It includes the long bonds of copper(II)."""

FEWEST = 50
"""Minimum number of sites of a pair or an element in the table."""

MOST_NEIGHBOURS = 13
"""Larger coordination numbers are counted as this one."""


@dataclass(frozen=True)
class UsualDistances:
    """Usual distances and coordination numbers.

    Attributes:
        distances: `QUANTILES` of the distance to the nearest neighbour, Å, by (element, neighbour).
        coordination: shares of the sites with 0, 1, ... `MOST_NEIGHBOURS` bonded neighbours, by element.
    """

    distances: Mapping[tuple[int, int], tuple[float, ...]]
    coordination: Mapping[int, tuple[float, ...]]


def bonded_neighbours(
    element: NDArray[np.integer], distances: NDArray[np.floating], neighbour_elements: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Select neighbours within bonding distance, assuming that site i is ``element[i]``.

    Args:
        element: (n,) atomic numbers of the sites.
        distances: (n, k) Å.
        neighbour_elements: (n, k) atomic numbers.

    Returns:
        (n, k) mask.
    """
    limit: NDArray[np.float64] = NEAR * (COVALENT[element][:, None] + COVALENT[neighbour_elements])
    return distances <= limit


def tables_of(batches: Iterable[Mapping[str, NDArray[Any]]]) -> UsualDistances:
    """Compute the tables from batches of sites.

    Args:
        batches: columns ``element``, ``distances`` and ``neighbour_elements``.
    """
    parts: dict[int, list[NDArray[np.float32]]] = {}
    counts = np.zeros((128, MOST_NEIGHBOURS + 1), dtype=np.int64)
    for batch in batches:
        element = batch["element"].astype(np.int64)
        others = batch["neighbour_elements"].astype(np.int64)
        bonded = bonded_neighbours(element, batch["distances"], others)
        np.add.at(counts, (element, np.minimum(bonded.sum(axis=1), MOST_NEIGHBOURS)), 1)
        for place in range(others.shape[1]):
            first = bonded[:, place] & ~(others[:, :place] == others[:, place : place + 1]).any(axis=1)
            pair = element[first] * 128 + others[first, place]
            order = np.argsort(pair, kind="stable")
            codes, starts = np.unique(pair[order], return_index=True)
            groups = np.split(batch["distances"][first, place][order], starts[1:])
            for code, values in zip(codes.tolist(), groups, strict=False):
                parts.setdefault(code, []).append(values)
    distances = {}
    for code, held in sorted(parts.items()):
        values = np.concatenate(held)
        if len(values) >= FEWEST:
            quantiles = np.quantile(values, QUANTILES)
            distances[divmod(code, 128)] = tuple(round(float(v), 3) for v in quantiles)
    coordination = {
        z: tuple(round(float(v), 5) for v in row / row.sum())
        for z, row in enumerate(counts)
        if row.sum() >= FEWEST
    }
    return UsualDistances(distances, coordination)


def write(usual: UsualDistances, path: Path = FILE) -> None:
    """Write the tables as JSON, one line per element."""
    lines = []
    for z, shares in usual.coordination.items():
        pairs = {SYMBOLS[y]: values for (x, y), values in usual.distances.items() if x == z}
        entry = json.dumps({"coordination": shares, "distances": pairs}, separators=(",", ":"))
        lines.append(f"{json.dumps(SYMBOLS[z])}:{entry}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


@lru_cache(maxsize=1)
def load(path: Path = FILE) -> UsualDistances:
    """Load the tables that ship with the package.

    Raises:
        ModelError: the file is missing, or differs from the released file.
    """
    fingerprint_of(path)
    held = json.loads(path.read_text(encoding="utf-8"))
    return UsualDistances(
        {
            (NUMBERS[x], NUMBERS[y]): tuple(values)
            for x, entry in held.items()
            for y, values in entry["distances"].items()
        },
        {NUMBERS[x]: tuple(entry["coordination"]) for x, entry in held.items()},
    )
