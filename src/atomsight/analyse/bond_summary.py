"""Main figures of a study of bonds, a row for each pair, and the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.analyse.bond_lengths import DIFFERENCE_STEP, EVERY, NEAREST, STEP, TYPES, BondStudy, edges
from atomsight.core.files import write_csv, write_json, write_rows


def summarise_bonds(study: BondStudy) -> dict[str, Any]:
    """Return the main figures for JSON; shares are of bonded sites and of nearest neighbours."""
    nearest, bonded = study.nearest_bonded()
    return {
        "sites": study.sites,
        "sites_with_known_bonds": study.known,
        "sites_with_bonds": study.bonded,
        "bonds": study.bonds,
        "bonds_beyond_k": study.beyond,
        "threshold": study.threshold,
        "shortest_bond_within_threshold": study.within / study.bonded if study.bonded else None,
        "nearest_neighbours": nearest,
        "nearest_neighbours_bonded": bonded / nearest if nearest else None,
        "nearest_by_type": study.type_counts(way=NEAREST),
        "bonds_by_type": study.type_counts(way=EVERY),
    }


def pair_rows(study: BondStudy) -> list[dict[str, Any]]:
    """Return a row for each ordered pair of site and nearest neighbour, most frequent first."""
    rows = []
    for pair in study.pairs():
        nearest, bonded = study.nearest_bonded(pair)
        counts = study.type_counts(pair)
        rows.append(
            {
                "pair": str(pair),
                "nearest_neighbours": nearest,
                "bonded": bonded,
                "bonded_share": bonded / nearest,
                **{name: counts.get(name, 0) for name in TYPES},
            }
        )
    return rows


def write_bonds(study: BondStudy, summary: dict[str, Any], folder: Path) -> None:
    """Write ``summary.json``, ``differences.csv``, ``nearest_by_pair.csv`` and ``lengths.csv``."""
    write_json(folder / "summary.json", summary)
    cumulative = np.cumsum(study.differences) / max(int(study.differences.sum()), 1)
    differences = (
        (f"{place * DIFFERENCE_STEP:.2f}", int(sites), float(share))
        for place, (sites, share) in enumerate(zip(study.differences, cumulative, strict=True))
    )
    header: tuple[str, ...] = ("difference_from", "sites", "cumulative_share")
    write_csv(folder / "differences.csv", header, differences, ".6f")
    write_rows(folder / "nearest_by_pair.csv", pair_rows(study), ".6f")
    header = ("pair", "type", "length_from", "length_to", "nearest_neighbours", "bonds")
    write_csv(folder / "lengths.csv", header, _length_rows(study))


def _length_rows(study: BondStudy) -> Iterator[list[Any]]:
    """Iterate over the bins with counts, of each pair and type."""
    at = edges()
    for pair in study.pairs(EVERY) | study.pairs():
        for name in study.type_counts(pair, EVERY) | study.type_counts(pair):
            nearest, every = (study.histogram(pair, name, way) for way in (NEAREST, EVERY))
            for i in np.flatnonzero(nearest + every).tolist():
                ends = (f"{at[i]:.3f}", f"{at[i] + STEP:.3f}")
                yield [str(pair), name, *ends, int(nearest[i]), int(every[i])]
