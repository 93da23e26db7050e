"""A dataset: composition, splits, corpora, what was skipped, sizes, distances, bonds."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import DatasetError
from atomsight.core.wording import counted
from atomsight.report.cited import DISTANCES
from atomsight.report.components import (
    Column,
    Html,
    Section,
    drawn,
    facts,
    folded,
    heading,
    join,
    percent,
    table,
    tag,
    tiles,
)
from atomsight.report.sections import bonds as bonds_room
from atomsight.report.sections import distances as distances_room

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

CENTRES, PAIRS_DRAWN, SKIPPED_SHOWN, CORPORA_SHOWN = 6, 6, 2000, 60

_ELEMENTS = (
    Column("element", "element"),
    Column("sites", "sites", "count"),
    Column("share", "share", "percent"),
    *(Column(split, split, "count") for split in ("train", "val", "test")),
)
_SPLITS = (
    Column("split", "split"),
    Column("crystals", "crystals", "count"),
    Column("sites", "sites", "count"),
    Column("share", "of sites", "percent"),
)
_CORPORA = (
    Column("corpus", "source"),
    Column("crystals", "crystals", "count"),
    Column("sites", "sites", "count"),
    Column("atoms", "atoms in the cells", "count"),
    Column("hydrogen", "with hydrogen", "percent", "of the crystals"),
    Column("licence", "licence"),
)
_RULES = (
    Column("rule", "rule"),
    Column("crystals", "crystals", "count"),
    Column("example", "for instance"),
)
_SKIPPED = (Column("source", "source"), Column("rule", "rule"), Column("reason", "reason"))
_FLAGS = (
    Column("flag", "flag"),
    Column("crystals", "crystals", "count"),
    Column("share", "share", "percent"),
)


def dataset_section(dataset: Dataset, number: int) -> Section:
    """Everything that a dataset's tables tell without a model."""
    from atomsight.dataset.info import describe
    from atomsight.plots.periodic import periodic_figure

    name = f"dataset-{number}"
    held = describe(dataset)
    crystals = dataset.crystals(
        ["source", "licence", "flags", "n_sites", "n_atoms", "volume", "space_group"]
    ).to_pydict()
    corpora = _corpora(crystals)
    counts = {NUMBERS[symbol]: row["sites"] for symbol, row in held["elements"].items()}
    elements = [
        {"element": symbol, "share": row["sites"] / held["sites"], **row}
        for symbol, row in held["elements"].items()
    ]
    splits = [
        {"split": split, "share": row["sites"] / max(held["sites"], 1), **row}
        for split, row in held["splits"].items()
    ]
    flags = [
        {"flag": flag, "crystals": n, "share": n / held["crystals"]} for flag, n in held["flags"].items()
    ]
    distances = _distances(dataset, name)
    bonds = _bonds(dataset, name)
    body = join(
        tiles(
            {
                "crystals": f"{held['crystals']:,}",
                "symmetry-unique sites": f"{held['sites']:,}",
                "elements": len(elements),
                "groups (formula or family)": f"{held['groups']:,}",
                "neighbours of each site (k)": held["k"],
                "left out": f"{sum(held['skipped'].values()):,}",
            }
        ),
        heading(f"{name}-composition", "Composition"),
        drawn(
            periodic_figure(counts),
            f"{name}-periodic",
            "Sites of each element on the periodic table",
            "Symmetry-unique sites of each element.",
        ),
        table(f"{name}-elements", _ELEMENTS, elements),
        heading(f"{name}-splits", "Splits"),
        table(f"{name}-splits-table", _SPLITS, splits),
        tag(
            "p",
            "Crystals that share a reduced formula or a family are one group, and a group lies in one split; "
            f"the largest holds {held['largest_group']:,}.",
        ),
        heading(f"{name}-corpora", "Where the crystals come from"),
        table(f"{name}-corpora-table", _CORPORA, corpora[:CORPORA_SHOWN]),
        table(f"{name}-flags", _FLAGS, flags, caption="Flags that the reader set on crystals")
        if flags
        else None,
        heading(f"{name}-skipped", "Left out"),
        _skipped(dataset, name),
        heading(f"{name}-sizes", "Sizes"),
        _sizes(crystals, name),
        heading(f"{name}-distances", "Nearest neighbours"),
        distances,
        heading(f"{name}-bonds", "Bonds"),
        bonds,
        heading(f"{name}-build", "How it was built"),
        facts(
            {
                "fingerprint": held["fingerprint"],
                "schema": f"{held['schema']['name']} {held['schema']['version']}",
                "size on disk": f"{held['bytes'] / 1e6:,.1f} MB in {counted(held['files'], 'file')}",
                **{key: _words(value) for key, value in held["build"].items() if value is not None},
            }
        ),
    )
    titles = "Composition Splits Corpora Skipped Sizes Distances Bonds Build".split()
    parts = tuple((f"{name}-{title.lower()}", title) for title in titles)
    return Section(
        name,
        f"Dataset {dataset.path.name}",
        body,
        str(dataset.path),
        DISTANCES,
        parts,
    )


def _corpora(crystals: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """A row per archive or folder that the crystals came from, most crystals first."""
    rows: dict[str, dict[str, Any]] = defaultdict(lambda: Counter())
    licences: dict[str, set[str]] = defaultdict(set)
    for source, licence, flags, sites, atoms in zip(
        *(crystals[key] for key in ("source", "licence", "flags", "n_sites", "n_atoms")), strict=True
    ):
        archive, inside, _ = source.partition("::")
        name = archive if inside else (source.rpartition("/")[0] or source)
        rows[name].update(
            {"crystals": 1, "sites": sites, "atoms": atoms, "hydrogen": int("has_hydrogen" in flags)}
        )
        licences[name].add(licence or "")
    return [
        {
            "corpus": name,
            **row,
            "hydrogen": row["hydrogen"] / row["crystals"],
            "licence": ", ".join(sorted(filter(None, licences[name]))),
        }
        for name, row in sorted(rows.items(), key=lambda item: (-item[1]["crystals"], item[0]))
    ]


def _skipped(dataset: Dataset, name: str) -> Html:
    rows = dataset.skipped().to_pylist()
    if not rows:
        return tag("p", "Nothing was left out.")
    rules = Counter(row["rule"] for row in rows)
    examples = {row["rule"]: f"{row['source']}: {row['reason']}" for row in reversed(rows)}
    counts = [{"rule": rule, "crystals": n, "example": examples[rule]} for rule, n in rules.most_common()]
    shown = rows[:SKIPPED_SHOWN]
    more = (
        ""
        if len(shown) == len(rows)
        else f"The first {len(shown):,} of {len(rows):,}; all are in skipped.parquet."
    )
    return join(
        table(f"{name}-rules", _RULES, counts),
        folded("Each of them, with its reason", table(f"{name}-skips", _SKIPPED, shown, caption=more)),
    )


def _sizes(crystals: dict[str, list[Any]], name: str) -> Html:
    from atomsight.plots.periodic import sizes_figure

    sizes = {
        "unique sites": np.array(crystals["n_sites"], dtype=float),
        "atoms in the cell": np.array(crystals["n_atoms"], dtype=float),
        "volume of the cell, Å³": np.array(crystals["volume"], dtype=float),
    }
    groups = Counter(group or "not stated" for group in crystals["space_group"])
    rows = [
        {"space_group": group, "crystals": n, "share": n / groups.total()}
        for group, n in groups.most_common(300)
    ]
    columns = (
        Column("space_group", "space group"),
        Column("crystals", "crystals", "count"),
        Column("share", "share", "percent"),
    )
    return join(
        drawn(sizes_figure(sizes), f"{name}-sizes-figure", "Histograms of sites, atoms and volume"),
        folded("Space groups", table(f"{name}-groups", columns, rows)),
    )


def _distances(dataset: Dataset, name: str) -> Html:
    from atomsight.analyse import count_distances, summarise_pairs
    from atomsight.plots.distances import overall_figure, pair_figure, pair_matrix_figure

    centres = tuple(dataset.element_counts())[:CENTRES]
    counts = count_distances(dataset, centres)
    pairs = summarise_pairs(counts)
    single = [
        drawn(
            pair_figure(counts, pair, title=str(pair.pair)), f"{name}-d{n}", f"Nearest neighbours {pair.pair}"
        )
        for n, pair in enumerate([p for p in pairs if p.pair.neighbour in centres and p.peaks][:PAIRS_DRAWN])
    ]
    return join(
        tag(
            "p",
            "The nearest neighbour of every site among all atoms, for the most abundant elements; each "
            "unique site counts once. ",
            tag("code", "atomsight distances"),
            " does the same for any elements and neighbours.",
        ),
        drawn(overall_figure(counts), f"{name}-overall", "Nearest-neighbour distances by centre element"),
        drawn(
            pair_matrix_figure(counts, pairs), f"{name}-matrix", "Nearest-neighbour distances of all pairs"
        ),
        distances_room.pair_tables([pair.as_dict() for pair in pairs], f"{name}-distances"),
        folded(f"{counted(len(single), 'pair')} drawn", tag("div", *single, class_="gallery"))
        if single
        else None,
    )


def _bonds(dataset: Dataset, name: str) -> Html:
    from atomsight.analyse.bond_lengths import study_bonds
    from atomsight.analyse.bond_summary import pair_rows, summarise_bonds
    from atomsight.plots.bonds import difference_figure, nearest_figure

    try:
        study = study_bonds(dataset)
    except DatasetError as error:
        return tag("p", str(error))
    summary = summarise_bonds(study)
    known = summary["sites_with_known_bonds"] / max(summary["sites"], 1)
    few = known < 0.5
    note = tag("p", f"Bonds are known of {percent(known)} of the sites only.", class_="note") if few else None
    return join(
        note,
        bonds_room.bond_tables(summary, pair_rows(study), f"{name}-bonds"),
        drawn(
            difference_figure(study), f"{name}-differences", "Shortest bond less nearest-neighbour distance"
        )
        if study.bonded
        else None,
        drawn(nearest_figure(study), f"{name}-nearest", "Nearest neighbours that are bonds, by pair"),
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
