"""Section about bonds among nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atomsight.report import components as ui
from atomsight.report.inputs import read_json, read_rows

_FIXED = ("pair", "nearest_neighbours", "bonded", "bonded_share")


def bond_tables(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> ui.Html:
    """Show the main figures and the table by pair, from `summarise_bonds` and `pair_rows`."""
    used = [key for key in (rows[0] if rows else ()) if key not in _FIXED and any(row[key] for row in rows)]
    columns = (
        ui.Column("pair", hint="centre-neighbour"),
        ui.Column("nearest_neighbours", "nearest", "count"),
        ui.Column("bonded_share", "bonds", "percent", "share of these nearest neighbours that are bonds"),
        *(ui.Column(key, key, "percent", f"share that is {key}") for key in used),
    )
    shares = [{**row, **{key: (row[key] or 0) / row["nearest_neighbours"] for key in used}} for row in rows]
    types = summary["bonds_by_type"]
    total = max(sum(types.values()), 1)
    within = ui.percent(summary["shortest_bond_within_threshold"], 2)
    return ui.join(
        ui.tiles(
            {
                "of the nearest neighbours are bonds": ui.percent(summary["nearest_neighbours_bonded"], 2),
                f"have a bond within {summary['threshold']:g} Å of the nearest": within,
                "sites whose bonds are known": f"{summary['sites_with_known_bonds']:,}",
                "bonds, counted from both ends": f"{summary['bonds']:,}",
            }
        ),
        ui.tag("p", f"All bonds: {', '.join(f'{key} {100 * n / total:.2g} %' for key, n in types.items())}."),
        ui.table(f"{name}-pairs", columns, shares, caption="Nearest neighbours by pair, and by type of bond"),
    )


def bonds_section(path: Path, number: int) -> ui.Section:
    """Make the section about a folder that ``atomsight bonds --out`` wrote."""
    name = f"bonds-{number}"
    lengths = [
        ui.picture(found.with_suffix(""), f"{name}-{n}", f"Lengths of {found.stem.removeprefix('lengths_')}")
        for n, found in enumerate(sorted(path.glob("lengths_*.png")))
    ]
    return ui.section(
        name,
        "Bonds among nearest neighbours",
        bond_tables(read_json(path / "summary.json"), read_rows(path / "nearest_by_pair.csv"), name),
        ui.picture(
            path / "differences", f"{name}-differences", "Shortest bond less nearest-neighbour distance"
        ),
        ui.picture(path / "nearest_by_pair", f"{name}-nearest", "Nearest neighbours that are bonds, by pair"),
        ui.gallery("Lengths by type", lengths),
        source=path,
    )
