"""Distributions of neighbour distances for the page, bundled or computed from a dataset.

| table | contents |
|---|---|
| profiles | for each element and n, `QUANTILES` of the distance to the n-th neighbour |
| distances | histograms of the distance to the n-th neighbour by pair of elements, of bonds by type |
| precedents | sites of the training data for comparison |
| confusion | the bundled model's confusion matrix on ``test``, with a few sites for each wrong cell |

``python -m workshop.web_tables`` writes the bundled tables.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.models.artefacts import fingerprint_of

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

FOLDER = Path(__file__).parent / "shipped"

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles of the profiles."""

RANKS = 16
"""Number of neighbours in profiles."""

PAIR_RANKS = 6
"""Number of neighbours in histograms by pair of elements."""

LOW, HIGH, STEP = 0.5, 4.5, 0.02
"""Range and bin width of the histograms in Å."""

BINS = round((HIGH - LOW) / STEP)


@lru_cache(maxsize=4)
def shipped(name: str) -> dict[str, Any]:
    """Load the bundled table ``profiles``, ``distances``, ``precedents`` or ``confusion``.

    Raises:
        ModelError: the table is missing, or not the released one.
    """
    path = FOLDER / f"{name}.json.gz"
    fingerprint_of(path)
    table: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return table


def profiles_table(dataset: Dataset, elements: Sequence[int], *, split: str | None = None) -> dict[str, Any]:
    """Compute quantiles of the n-th neighbour distance in Å by element and n.

    Args:
        dataset: a dataset.
        elements: atomic numbers.
        split: name of a split; None uses all.
    """
    from atomsight.analyse.profiles import distance_profiles

    ranks = min(RANKS, dataset.k)
    profiles = distance_profiles(dataset, elements, ranks, split=split)
    table = {}
    for z in elements:
        values = np.stack([profiles.quantile(z, share) for share in QUANTILES], axis=1)
        table[SYMBOLS[z]] = values.round(2).tolist()
    return {"quantiles": QUANTILES, "elements": table}


def distances_table(
    dataset: Dataset,
    elements: Sequence[int],
    *,
    split: str | None = None,
    fewest: int = 1,
    bonded: Dataset | None = None,
) -> dict[str, Any]:
    """Compute histograms of the n-th neighbour distance by ordered pair of elements, and of bonds by type.

    Each site counts once.

    Args:
        dataset: a dataset.
        elements: atomic numbers of the sites.
        split: name of a split; None uses all.
        fewest: smallest number of sites of a histogram.
        bonded: a dataset with bonds; None leaves out histograms of bonds.
    """
    from atomsight.analyse.distances import Pair, Ranks, count_distances

    ranks = min(PAIR_RANKS, dataset.k)
    counts = count_distances(
        dataset, elements, Ranks(1, ranks), split=split, low=LOW, high=HIGH, bins=BINS, threads=1
    )
    rows = counts.rows
    histograms = []
    keys = rows["centre"].astype(np.int64) << 16 | rows["neighbour"].astype(np.int64) << 8 | rows["rank"]
    codes, starts = np.unique(keys, return_index=True)
    for code, part in zip(codes.tolist(), np.split(rows, starts[1:]), strict=True):
        total = int(part["sites"].sum())
        if total < fewest:
            continue
        inside = part[(part["bin"] >= 0) & (part["bin"] < counts.bins * counts.finer)]
        histogram = np.bincount(inside["bin"] // counts.finer, weights=inside["sites"], minlength=BINS)
        pair = Pair(code >> 16, (code >> 8) & 255)
        histograms.append(_histogram(pair, {"n": code & 255}, total, histogram))
    bonds = [] if bonded is None else _bonds(bonded, elements, split, fewest)
    return {
        "low": LOW,
        "step": STEP,
        "ranks": ranks,
        "crystals": _crystals(dataset, split),
        "bond_crystals": 0 if bonded is None else _crystals(bonded, split),
        "histograms": histograms,
        "bonds": bonds,
    }


def _crystals(dataset: Dataset, split: str | None) -> int:
    splits = dataset.crystals(["split"]).column("split").to_pylist()
    return len(splits) if split is None else splits.count(split)


def _bonds(dataset: Dataset, elements: Sequence[int], split: str | None, fewest: int) -> list[dict[str, Any]]:
    from atomsight.analyse import bond_lengths
    from atomsight.analyse.bond_lengths import EVERY, study_bonds

    present = dataset.element_counts(split)
    study = study_bonds(dataset, [z for z in elements if z in present], split=split)
    finer = round(STEP / bond_lengths.STEP)
    found = []
    for pair in study.pairs(EVERY):
        for bond_type, total in study.type_counts(pair, EVERY).items():
            if total < fewest:
                continue
            coarse = study.histogram(pair, bond_type, EVERY).reshape(-1, finer).sum(axis=1)
            coarse = np.pad(coarse, (0, BINS - len(coarse)))
            found.append(_histogram(pair, {"type": bond_type}, total, coarse))
    return found


def _histogram(
    pair: tuple[int | None, int | None], which: dict[str, Any], total: int, counts: NDArray[np.number]
) -> dict[str, Any]:
    """Return a histogram without empty bins at its ends; ``first`` is the index of its first bin."""
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    return {
        "centre": SYMBOLS[pair[0] or 0],
        "neighbour": SYMBOLS[pair[1] or 0],
        **which,
        "sites": total,
        "first": first,
        "counts": np.asarray(counts[first:last]).astype(int).tolist(),
    }
