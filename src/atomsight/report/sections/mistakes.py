"""Sections about misclassified sites: pairs of elements with their traits, and sites that can be opened."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.evaluation import read_mistakes
from atomsight.analyse.mistake_tables import distinctive_traits, pair_row, site_row
from atomsight.analyse.mistakes import MistakeAnalysis, analyse_mistakes
from atomsight.analyse.mistakes_opened import OpenedMistakes, choose_mistakes, open_mistakes
from atomsight.core.elements import SYMBOLS
from atomsight.dataset import Dataset
from atomsight.report import components as ui
from atomsight.report.inputs import read_rows

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles of the distance to the n-th neighbour, drawn next to the distances of an opened site."""

PAIRS_SHOWN, PAIRS_DRAWN, FIGURES_SHOWN = 400, 8, 24

PAIR_COLUMNS = (
    ui.Column("true"),
    ui.Column("predicted", "taken for"),
    *ui.count_columns("sites"),
    ui.Column("share_of_true", "of true", "percent", "share of the true element's sites in the split"),
    *ui.count_columns("crystals"),
    ui.Column("groups", "groups", "count", "crystals that share a formula or a family count once"),
    ui.Column("repeated", "repeated", "percent", "share in groups with more than one mistaken crystal"),
    ui.Column("closer_to_predicted", "closer", "percent", "share nearer to the predicted element's medians"),
    ui.Column("probability", "probability", "percent", "mean probability of the wrong element"),
    ui.Column("shared", "traits (share of the right sites)"),
)

SITE_COLUMNS = (
    ui.Column("crystal"),
    ui.Column("label", "site"),
    *ui.text_columns("true", "predicted"),
    ui.Column("probability", "p", "percent", "probability of the predicted element"),
    ui.Column("probability_true", "p true", "percent", "probability of the true element"),
    ui.Column("coordination", "coord.", "count", "neighbours before the widest relative gap"),
    ui.Column("neighbours", "neighbours", "text", "their elements"),
    ui.Column("deviation_true", "off true", "length", "mean deviation from the true element's medians, Å"),
    ui.Column("deviation_predicted", "off pred.", "length", "the same from the predicted element's, Å"),
    *ui.text_columns("formula", "flags", "source"),
)

BARE_COLUMNS = SITE_COLUMNS[:6]
"""Columns that are known without the dataset."""

_TRAIT_NOTE = (
    "A trait is listed if at least a tenth of the mistaken sites have it, 1.5 times the share of the right "
    "sites of the same element, in three or more groups of crystals. Traits correlate with mistakes and need "
    "not cause them."
)
_MISSING_NOTE = (
    "The dataset of this evaluation is missing, so its sites cannot be opened. Name the dataset together "
    "with the evaluation."
)

_TRAITS = (
    *ui.text_columns("true", "predicted", "trait", "value"),
    *ui.count_columns("sites", "crystals", "groups"),
    ui.Column("share", "of mistaken", "percent"),
    ui.Column("share_right", "of right", "percent"),
    ui.Column("ratio", format="number"),
)


@dataclass(frozen=True)
class MistakeOptions:
    """How a page shows misclassified sites.

    Attributes:
        near_duplicates: See `analyse_mistakes`.
        most: Largest number of sites in a table.
        page_folder: Folder of the page, for links.
    """

    near_duplicates: Mapping[str, set[str]] | None
    most: int
    page_folder: Path

    def link(self, path: Path) -> ui.Html:
        """Make a link from the page to a file."""
        relative = Path(os.path.relpath(path.resolve(), self.page_folder.resolve())).as_posix()
        return ui.tag("a", path.name, href=quote(relative))

    def count(self, shown: int, total: int, path: Path) -> ui.Html:
        """Make a note on the number of rows in the page, with a link to the file that holds all."""
        link = self.link(path)
        if shown == total:
            return ui.tag("p", f"All {total:,}; as a file: ", link, ".")
        which = "the first of every pair, then the most confident. All are in "
        return ui.note(f"The page holds {shown:,} of {total:,}: {which}", link, ".")

    def first_rows(
        self, identifier: str, columns: Sequence[ui.Column], file: Path, caption: str = ""
    ) -> ui.Html:
        """Make the table of the first rows of a file, after a note on their number."""
        rows = read_rows(file)
        shown = rows[: self.most]
        table = ui.table(identifier, columns, shown, caption=caption)
        return ui.join(self.count(len(shown), len(rows), file), table)


def opened_sites(
    evaluation: Path, dataset: Dataset, name: str, options: MistakeOptions
) -> tuple[object, ...]:
    """Analyse the pairs and sites of an evaluation on its dataset.

    Args:
        evaluation: Folder of the evaluation.
        dataset: Its dataset.
        name: Identifier of the section. The confusion matrix filters the table ``NAME-sites``.
        options: See `MistakeOptions`.
    """
    from atomsight.plots.mistakes import mistaken_pair_figure, mistaken_pairs_figure

    mistakes = read_mistakes(evaluation, dataset)
    if len(mistakes) == 0:
        return (ui.tag("p", "No site of a known element was misclassified."),)
    analysis = analyse_mistakes(mistakes, dataset, options.near_duplicates)
    chosen = choose_mistakes(mistakes, options.most)
    opened = open_mistakes(analysis, chosen.tolist(), dataset)
    figures = []
    for n, pair in enumerate(analysis.pairs[:PAIRS_DRAWN]):
        label = f"{SYMBOLS[pair.true]} taken for {SYMBOLS[pair.predicted]}: traits and distances"
        figures.append(ui.plot(mistaken_pair_figure(analysis, pair), f"{name}-pair{n}", label))
    overview = mistaken_pairs_figure(analysis.pairs)
    pairs = ui.join(
        ui.tag("p", _TRAIT_NOTE),
        ui.plot(overview, f"{name}-overview", "Most frequent pairs of misclassified elements"),
        _pair_table(analysis, f"{name}-pairs-table"),
        ui.details(f"The {len(figures)} most frequent pairs drawn", *figures),
    )
    caption = "The name of a crystal opens the site: its distances next to those of both elements."
    rows = [site_row(analysis, int(i)) for i in chosen]
    sites = ui.join(
        options.count(len(chosen), len(mistakes), evaluation / "mistakes.csv"),
        ui.table(f"{name}-sites", SITE_COLUMNS, rows, caption=caption, opens=True),
        ui.json_block(f"{name}-sites-sites", _site_data(analysis, opened)),
    )
    return ui.Part("pairs", "Pairs of elements", pairs), ui.Part("opened", "Misclassified sites", sites)


def bare_sites(evaluation: Path, name: str, options: MistakeOptions) -> tuple[object, ...]:
    """List the misclassified sites of an evaluation whose dataset is missing."""
    rows = options.first_rows(f"{name}-sites", BARE_COLUMNS, evaluation / "mistakes.csv")
    body = ui.join(ui.note(_MISSING_NOTE), rows)
    return (ui.Part("opened", "Misclassified sites", body, link=None),)


def mistakes_section(path: Path, number: int, options: MistakeOptions) -> ui.Section:
    """Make the section about a folder that ``atomsight mistakes --out`` wrote."""
    name = f"mistakes-{number}"
    figures = [
        ui.picture(found.with_suffix(""), f"{name}-figure{n}", found.stem, found.stem)
        for n, found in enumerate(sorted(path.glob("*.png"))[:FIGURES_SHOWN])
    ]
    return ui.section(
        name,
        "Mistakes",
        ui.table(f"{name}-pairs", PAIR_COLUMNS[:-1], read_rows(path / "pairs.csv"), caption="Pairs"),
        ui.tag("div", *figures, class_="gallery"),
        options.first_rows(f"{name}-traits", _TRAITS, path / "traits.csv", "Traits"),
        options.first_rows(f"{name}-sites", SITE_COLUMNS, path / "sites.csv", "Misclassified sites"),
        source=path,
    )


def _pair_table(analysis: MistakeAnalysis, identifier: str) -> ui.Html:
    rows = []
    for pair in analysis.pairs[:PAIRS_SHOWN]:
        words = [
            f"{t.trait} {t.value}: {100 * t.share:.0f} % ({100 * (t.share_right or 0):.0f} %)"
            for t in distinctive_traits(analysis, pair, most=5)
        ]
        rows.append(pair_row(pair) | {"shared": "; ".join(words)})
    more = len(analysis.pairs) - len(rows)
    caption = f"The {len(rows)} most frequent pairs; {more:,} rarer ones are left out." if more else ""
    return ui.table(identifier, PAIR_COLUMNS, rows, caption=caption)


def _site_data(analysis: MistakeAnalysis, opened: OpenedMistakes) -> dict[str, Any]:
    found, profiles = analysis.table, analysis.profiles
    shown = {*found.true[opened.chosen].tolist(), *found.predicted[opened.chosen].tolist()}
    bands = {}
    for z in sorted(shown):
        values = np.array([profiles.quantile(z, share) for share in QUANTILES]).T
        if np.isfinite(values).all():
            bands[SYMBOLS[z]] = np.round(values, 3).tolist()
    numbers = np.unique(opened.neighbour_elements)
    columns = (
        np.round(opened.distances.astype(float), 3).tolist(),
        np.searchsorted(numbers, opened.neighbour_elements).tolist(),
        map(list, opened.labels),
        map(_permille, opened.nearer_true),
        map(_permille, opened.nearer_predicted),
    )
    return {
        "profiles": bands,
        "reference": f"the {profiles.split} split" if profiles.split else "the dataset",
        "elements": [SYMBOLS[z] for z in numbers],
        "sites": [list(site) for site in zip(*columns, strict=True)],
    }


def _permille(shares: NDArray[np.float64]) -> list[int | None]:
    return [None if np.isnan(share) else round(1000 * float(share)) for share in shares]
