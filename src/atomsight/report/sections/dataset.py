"""Section about a dataset: composition, splits, sources, sizes, distances, bonds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from atomsight.analyse import count_distances, summarise_pairs
from atomsight.analyse.bond_lengths import study_bonds
from atomsight.analyse.bond_summary import pair_rows, summarise_bonds
from atomsight.core.elements import NUMBERS
from atomsight.core.errors import DatasetError
from atomsight.core.wording import counted
from atomsight.dataset import Dataset
from atomsight.dataset.info import describe
from atomsight.report import components as ui
from atomsight.report.sections.bonds import bond_tables
from atomsight.report.sections.distances import pair_tables
from atomsight.report.works import DISTANCES

CENTRES, PAIRS_DRAWN, SKIPPED_SHOWN, CORPORA_SHOWN, GROUPS_SHOWN = 6, 6, 2000, 60, 300

_SHARE = ui.Column("share", format="percent")
_SPLIT_COUNTS = ui.count_columns("train", "val", "test")
_ELEMENTS = (ui.Column("element"), *ui.count_columns("sites"), _SHARE, *_SPLIT_COUNTS)
_CRYSTALS_SITES = ui.count_columns("crystals", "sites")
_SPLITS = (ui.Column("split"), *_CRYSTALS_SITES, ui.Column("share", "of sites", "percent"))
_CORPORA = (
    ui.Column("corpus", "source"),
    *_CRYSTALS_SITES,
    ui.Column("atoms", "atoms in the cells", "count"),
    ui.Column("hydrogen", "with hydrogen", "percent", "of the crystals"),
    ui.Column("licence"),
)
_RULES = (*ui.text_columns("rule"), *ui.count_columns("crystals"), ui.Column("example", "for instance"))
_SKIPPED = ui.text_columns("source", "rule", "reason")
_FLAGS = (*ui.text_columns("flag"), *ui.count_columns("crystals"), _SHARE)
_GROUPS = (ui.Column("space_group", "space group"), *ui.count_columns("crystals"), _SHARE)


def dataset_section(dataset: Dataset, number: int) -> ui.Section:
    """Describe a dataset by its tables."""
    name = f"dataset-{number}"
    held = describe(dataset)
    columns = ["source", "licence", "flags", "n_sites", "n_atoms", "volume", "space_group"]
    crystals = dataset.crystals(columns).to_pydict()
    build = {
        "fingerprint": held["fingerprint"],
        "schema": f"{held['schema']['name']} {held['schema']['version']}",
        "size on disk": f"{held['bytes'] / 1e6:,.1f} MB in {counted(held['files'], 'file')}",
        **{key: _text(value) for key, value in held["build"].items() if value is not None},
    }
    splits = _with_shares("split", held["splits"], "sites", held["sites"])
    groups = (
        "Crystals that share a reduced formula or a family are one group, and a group lies in one split; "
        f"the largest holds {held['largest_group']:,}."
    )
    split_tables = ui.join(ui.table(f"{name}-splits-table", _SPLITS, splits), ui.tag("p", groups))
    counted_flags = {flag: {"crystals": n} for flag, n in held["flags"].items()}
    flags = _with_shares("flag", counted_flags, "crystals", held["crystals"])
    flags_caption = "Flags that the reader set on crystals"
    corpora = ui.join(
        ui.table(f"{name}-corpora-table", _CORPORA, _corpora(crystals)[:CORPORA_SHOWN]),
        ui.table(f"{name}-flags", _FLAGS, flags, caption=flags_caption) if flags else None,
    )
    return ui.section(
        name,
        f"Dataset {dataset.path.name}",
        ui.tiles(
            {
                "crystals": f"{held['crystals']:,}",
                "symmetry-unique sites": f"{held['sites']:,}",
                "elements": len(held["elements"]),
                "groups (formula or family)": f"{held['groups']:,}",
                "neighbours of each site (k)": held["k"],
                "skipped": f"{sum(held['skipped'].values()):,}",
            }
        ),
        ui.Part("composition", "Composition", _composition(held, name)),
        ui.Part("splits", "Splits", split_tables),
        ui.Part("corpora", "Sources of the crystals", corpora, "Corpora"),
        ui.Part("skipped", "Skipped crystals", _skipped(dataset, name), "Skipped"),
        ui.Part("sizes", "Sizes", _sizes(crystals, name)),
        ui.Part("distances", "Nearest neighbours", _distances(dataset, name), "Distances"),
        ui.Part("bonds", "Bonds", _bonds(dataset, name)),
        ui.Part("build", "Settings of the build", ui.facts(build), "Build"),
        source=dataset.path,
        cites=DISTANCES,
    )


def _composition(held: dict[str, Any], name: str) -> ui.Html:
    from atomsight.plots.periodic import periodic_figure

    rows = _with_shares("element", held["elements"], "sites", held["sites"])
    figure = periodic_figure({NUMBERS[row["element"]]: row["sites"] for row in rows})
    label, caption = "Sites of each element on the periodic table", "Symmetry-unique sites of each element."
    return ui.join(
        ui.plot(figure, f"{name}-periodic", label, caption), ui.table(f"{name}-elements", _ELEMENTS, rows)
    )


def _corpora(crystals: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return a row per archive or folder of the crystals, most crystals first."""
    rows: dict[str, dict[str, Any]] = {}
    keys = ("source", "licence", "flags", "n_sites", "n_atoms")
    counts = ("crystals", "sites", "atoms", "hydrogen")
    for source, licence, flags, sites, atoms in zip(*(crystals[key] for key in keys), strict=True):
        archive, inside, _ = source.partition("::")
        name = archive if inside else (source.rpartition("/")[0] or source)
        row = rows.setdefault(name, {"corpus": name, "licence": set(), **dict.fromkeys(counts, 0)})
        for key, n in zip(counts, (1, sites, atoms, "has_hydrogen" in flags), strict=True):
            row[key] += n
        row["licence"].add(licence)
    for row in rows.values():
        row["hydrogen"] /= row["crystals"]
        row["licence"] = ", ".join(sorted(filter(None, row["licence"])))
    return sorted(rows.values(), key=lambda row: (-row["crystals"], row["corpus"]))


def _skipped(dataset: Dataset, name: str) -> ui.Html:
    rows = dataset.skipped().to_pylist()
    if not rows:
        return ui.tag("p", "No crystal was skipped.")
    examples = {row["rule"]: f"{row['source']}: {row['reason']}" for row in reversed(rows)}
    rules = Counter(row["rule"] for row in rows).most_common()
    counts = [{"rule": rule, "crystals": n, "example": examples[rule]} for rule, n in rules]
    shown = rows[:SKIPPED_SHOWN]
    more = f"The first {len(shown):,} of {len(rows):,}; all are in skipped.parquet."
    caption = more if len(shown) < len(rows) else ""
    return ui.join(
        ui.table(f"{name}-rules", _RULES, counts),
        ui.details("All with their reasons", ui.table(f"{name}-skips", _SKIPPED, shown, caption=caption)),
    )


def _sizes(crystals: dict[str, list[Any]], name: str) -> ui.Html:
    from atomsight.plots.periodic import sizes_figure

    names = {"unique sites": "n_sites", "atoms in the cell": "n_atoms", "volume of the cell, Å³": "volume"}
    sizes = {text: np.array(crystals[key], dtype=float) for text, key in names.items()}
    groups = Counter(group or "not stated" for group in crystals["space_group"])
    most = {group: {"crystals": n} for group, n in groups.most_common(GROUPS_SHOWN)}
    rows = _with_shares("space_group", most, "crystals", groups.total())
    return ui.join(
        ui.plot(sizes_figure(sizes), f"{name}-sizes-figure", "Histograms of sites, atoms and volume"),
        ui.details("Space groups", ui.table(f"{name}-groups", _GROUPS, rows)),
    )


def _distances(dataset: Dataset, name: str) -> ui.Html:
    from atomsight.plots.distances import overall_figure, pair_figure, pair_matrix_figure

    centres = tuple(dataset.element_counts())[:CENTRES]
    counts = count_distances(dataset, centres)
    pairs = summarise_pairs(counts)
    shown = [pair for pair in pairs if pair.pair.neighbour in centres and pair.peaks][:PAIRS_DRAWN]
    single = [
        ui.plot(pair_figure(counts, one), f"{name}-d{n}", f"Nearest neighbours {one.pair}")
        for n, one in enumerate(shown)
    ]
    what = (
        "The nearest neighbour of every site among all atoms, for the most abundant elements. Each unique "
        "site counts once. "
    )
    command, distances = ui.tag("code", "atomsight distances"), "Nearest-neighbour distances"
    matrix = pair_matrix_figure(counts, pairs)
    return ui.join(
        ui.tag("p", what, command, " does the same for any elements and neighbours."),
        ui.plot(overall_figure(counts), f"{name}-overall", f"{distances} by centre element"),
        ui.plot(matrix, f"{name}-matrix", f"{distances} of all pairs"),
        pair_tables([pair.as_dict() for pair in pairs], f"{name}-distances"),
        ui.gallery(f"{counted(len(single), 'pair')} drawn", single),
    )


def _bonds(dataset: Dataset, name: str) -> ui.Html:
    from atomsight.plots.bonds import difference_figure, nearest_figure

    try:
        study = study_bonds(dataset)
    except DatasetError as error:
        return ui.tag("p", str(error))
    known = study.known / max(study.sites, 1)
    difference = "Shortest bond less nearest-neighbour distance"
    return ui.join(
        ui.note(f"Bonds are known for only {ui.percent(known)} of the sites.") if known < 0.5 else None,
        bond_tables(summarise_bonds(study), pair_rows(study), f"{name}-bonds"),
        ui.plot(difference_figure(study), f"{name}-differences", difference) if study.bonded else None,
        ui.plot(nearest_figure(study), f"{name}-nearest", "Nearest neighbours that are bonds, by pair"),
    )


def _with_shares(
    key: str, rows: Mapping[str, Mapping[str, Any]], counted_as: str, total: int
) -> list[dict[str, Any]]:
    """Return rows with their name under ``key`` and their share of a total."""
    return [{key: name, "share": row[counted_as] / max(total, 1), **row} for name, row in rows.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "none"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
