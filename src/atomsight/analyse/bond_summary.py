"""What a study of bonds says: a summary, a row for each pair, and the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.analyse.bond_lengths import (
    DIFFERENCE_STEP,
    EVERY,
    KINDS,
    NEAREST,
    STEP,
    BondStudy,
    edges,
)
from atomsight.core.files import write_csv, write_json


def summarise_bonds(study: BondStudy) -> dict[str, Any]:
    """The main figures as a JSON-ready dict; shares are of bonded sites and of nearest neighbours."""
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
        "nearest_by_type": study.kinds(way=NEAREST),
        "bonds_by_type": study.kinds(way=EVERY),
    }


def pair_rows(study: BondStudy) -> list[dict[str, Any]]:
    """A row for each ordered pair of site and nearest neighbour, most frequent first."""
    rows = []
    for pair in study.pairs():
        nearest, bonded = study.nearest_bonded(pair)
        kinds = study.kinds(pair)
        rows.append(
            {
                "pair": str(pair),
                "nearest_neighbours": nearest,
                "bonded": bonded,
                "bonded_share": bonded / nearest,
                **{kind: kinds.get(kind, 0) for kind in KINDS},
            }
        )
    return rows


def write_bonds(study: BondStudy, summary: dict[str, Any], folder: Path) -> None:
    """Write ``summary.json``, ``differences.csv``, ``nearest_by_pair.csv`` and ``lengths.csv``."""
    write_json(folder / "summary.json", summary)
    cumulative = np.cumsum(study.differences) / max(int(study.differences.sum()), 1)
    write_csv(
        folder / "differences.csv",
        ("difference_from", "sites", "cumulative_share"),
        (
            (f"{place * DIFFERENCE_STEP:.2f}", int(sites), float(share))
            for place, (sites, share) in enumerate(zip(study.differences, cumulative, strict=True))
        ),
        ".6f",
    )
    rows = pair_rows(study)
    header = list(rows[0]) if rows else []
    write_csv(folder / "nearest_by_pair.csv", header, (row.values() for row in rows), ".6f")
    write_csv(
        folder / "lengths.csv",
        ("pair", "type", "length_from", "length_to", "nearest_neighbours", "bonds"),
        _length_rows(study),
    )


def _length_rows(study: BondStudy) -> Iterator[list[Any]]:
    """Bins that are not empty, of each pair and type."""
    at = edges()
    for pair in study.pairs(EVERY) | study.pairs():
        for kind in study.kinds(pair, EVERY) | study.kinds(pair):
            nearest, every = (study.histogram(pair, kind, way) for way in (NEAREST, EVERY))
            for place in np.flatnonzero(nearest + every).tolist():
                start = f"{at[place]:.3f}"
                end = f"{at[place] + STEP:.3f}"
                yield [str(pair), kind, start, end, int(nearest[place]), int(every[place])]
