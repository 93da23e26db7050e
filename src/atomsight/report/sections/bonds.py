"""Bonds among nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atomsight.report.components import (
    Column,
    Html,
    Section,
    folded,
    join,
    percent,
    picture,
    table,
    tag,
    tiles,
)
from atomsight.report.inputs import Input, read_json, read_rows

_FIXED = ("pair", "nearest_neighbours", "bonded", "bonded_share")


def bond_tables(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> Html:
    """Headline figures and the table by pair, from `summarise_bonds` and `pair_rows`."""
    kinds = [key for key in (rows[0] if rows else ()) if key not in _FIXED]
    used = [kind for kind in kinds if any(row[kind] for row in rows)]
    columns = (
        Column("pair", "pair", "text", "centre-neighbour"),
        Column("nearest_neighbours", "nearest", "count"),
        Column("bonded_share", "bonds", "percent", "share of these nearest neighbours that are bonds"),
        *(Column(kind, kind, "percent", f"share that is {kind}") for kind in used),
    )
    shares = [
        {**row, **{kind: (row[kind] or 0) / row["nearest_neighbours"] for kind in used}} for row in rows
    ]
    types = summary["bonds_by_type"]
    total = max(sum(types.values()), 1)
    return join(
        tiles(
            {
                "of the nearest neighbours are bonds": percent(summary["nearest_neighbours_bonded"], 2),
                f"have a bond within {summary['threshold']:g} Å of the nearest": percent(
                    summary["shortest_bond_within_threshold"], 2
                ),
                "sites whose bonds are known": f"{summary['sites_with_known_bonds']:,}",
                "bonds, each from both ends": f"{summary['bonds']:,}",
            }
        ),
        tag(
            "p", "All bonds: ", ", ".join(f"{kind} {100 * n / total:.2g} %" for kind, n in types.items()), "."
        ),
        table(f"{name}-pairs", columns, shares, caption="Nearest neighbours by pair, and by type of bond"),
    )


def bonds_section(given: Input, number: int) -> Section:
    """What ``atomsight bonds --out`` wrote."""
    name, path = f"bonds-{number}", given.path
    lengths = [
        picture(found.with_suffix(""), f"{name}-{n}", f"Lengths of {found.stem.removeprefix('lengths_')}")
        for n, found in enumerate(sorted(path.glob("lengths_*.png")))
    ]
    body = join(
        bond_tables(read_json(path / "summary.json"), read_rows(path / "nearest_by_pair.csv"), name),
        picture(path / "differences", f"{name}-differences", "Shortest bond less nearest-neighbour distance"),
        picture(path / "nearest_by_pair", f"{name}-nearest", "Nearest neighbours that are bonds, by pair"),
        folded("Lengths by type", tag("div", *lengths, class_="gallery")) if lengths else None,
    )
    return Section(name, "Bonds among nearest neighbours", body, str(path))
