"""Misclassified sites: pairs with what they share, and a table of which each row opens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight.analyse.evaluation import read_mistakes
from atomsight.analyse.mistake_tables import site_row, telling_traits
from atomsight.analyse.mistakes import MistakeAnalysis, analyse_mistakes
from atomsight.analyse.mistakes_opened import OpenedMistakes, open_mistakes, worth_opening
from atomsight.core.elements import SYMBOLS
from atomsight.report.components import (
    Column,
    Html,
    Section,
    drawn,
    folded,
    heading,
    join,
    json_block,
    picture,
    table,
    tag,
)
from atomsight.report.inputs import Input, read_rows

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Of the distance to the n-th neighbour, drawn beside an opened site."""

PAIRS_SHOWN, PAIRS_DRAWN = 400, 8

PAIR_COLUMNS = (
    Column("true", "true"),
    Column("predicted", "taken for"),
    Column("sites", "sites", "count"),
    Column("share_of_true", "of true", "percent", "share of the true element's sites in the split"),
    Column("crystals", "crystals", "count"),
    Column("groups", "groups", "count", "crystals that share a formula or a family count once"),
    Column("repeated", "repeated", "percent", "share in groups with more than one mistaken crystal"),
    Column(
        "closer_to_predicted",
        "closer",
        "percent",
        "share whose distances lie nearer to the predicted element's medians than to the true one's",
    ),
    Column("probability", "given", "percent", "mean probability of the wrong element"),
    Column("shared", "what these sites share, beside the right ones"),
)

SITE_COLUMNS = (
    Column("crystal", "crystal"),
    Column("label", "site"),
    Column("true", "true"),
    Column("predicted", "predicted"),
    Column("probability", "given", "percent", "probability of the predicted element"),
    Column("probability_true", "true given", "percent", "probability of the true element"),
    Column("coordination", "coord.", "count", "neighbours before the widest relative gap"),
    Column("neighbours", "neighbours", "text", "their elements"),
    Column("deviation_true", "off true", "length", "mean distance from the true element's medians, Å"),
    Column("deviation_predicted", "off pred.", "length", "the same from the predicted element's, Å"),
    Column("formula", "formula"),
    Column("flags", "flags"),
    Column("source", "source"),
)

BARE_COLUMNS = SITE_COLUMNS[:6]
"""What is known without the dataset."""


def opened_sites(
    evaluation: Path,
    dataset: Dataset,
    identifier: str,
    *,
    near_duplicates: Mapping[str, set[str]] | None,
    most: int,
    beside: Path,
) -> Html:
    """Pairs and sites of an evaluation, analysed on its dataset.

    Args:
        evaluation: folder of the evaluation.
        identifier: of the table of sites, which the confusion matrix filters.
        most: sites in the page.
        beside: folder of the page, for links.
    """
    from atomsight.plots.mistakes import mistaken_pair_figure, mistaken_pairs_figure

    found = read_mistakes(evaluation, dataset)
    if len(found) == 0:
        return tag("p", "No site of a known element was misclassified.")
    analysis = analyse_mistakes(found, dataset, near_duplicates)
    chosen = worth_opening(found, most)
    opened = open_mistakes(analysis, chosen.tolist(), dataset)
    prefix = identifier.removesuffix("-sites")
    figures = [
        drawn(
            mistaken_pair_figure(analysis, pair),
            f"{prefix}-pair{n}",
            f"{SYMBOLS[pair.true]} taken for {SYMBOLS[pair.predicted]}: traits and distances",
        )
        for n, pair in enumerate(analysis.pairs[:PAIRS_DRAWN])
    ]
    overview = mistaken_pairs_figure(analysis.pairs)
    return join(
        heading(f"{prefix}-pairs", "Pairs of elements"),
        tag(
            "p",
            "Traits are those that at least a tenth of the mistaken sites have, half as many again as of the "
            "right sites of the same element, in three or more groups of crystals. They say what goes with a "
            "mistake, not what causes it.",
        ),
        drawn(overview, f"{prefix}-overview", "Most frequent pairs of misclassified elements"),
        _pair_table(analysis, f"{prefix}-pairs-table"),
        folded(f"The {len(figures)} most frequent pairs drawn", *figures),
        heading(f"{prefix}-opened", "Misclassified sites"),
        _cap_note(len(chosen), len(found), evaluation / "mistakes.csv", beside),
        table(
            identifier,
            SITE_COLUMNS,
            [site_row(analysis, int(i)) for i in chosen],
            caption="A crystal's name opens the site: its distances beside those of both elements.",
            opens=True,
        ),
        json_block(f"{identifier}-sites", _site_data(analysis, opened)),
    )


def bare_sites(evaluation: Path, identifier: str, *, most: int, beside: Path) -> Html:
    """The sites of an evaluation whose dataset is not at hand: what its table says."""
    rows = read_rows(evaluation / "mistakes.csv")
    return join(
        heading(f"{identifier}-opened", "Misclassified sites"),
        tag(
            "p",
            "The dataset of this evaluation is not at hand, so its sites cannot be opened; name it beside "
            "the evaluation.",
            class_="note",
        ),
        _cap_note(min(most, len(rows)), len(rows), evaluation / "mistakes.csv", beside),
        table(identifier, BARE_COLUMNS, rows[:most]),
    )


def mistakes_section(given: Input, number: int, beside: Path, most: int) -> Section:
    """What ``atomsight mistakes --out`` wrote."""
    name = f"mistakes-{number}"
    path = given.path
    sites = read_rows(path / "sites.csv")
    figures = [
        picture(found.with_suffix(""), f"{name}-figure{n}", found.stem, found.stem)
        for n, found in enumerate(sorted(path.glob("*.png"))[:24])
    ]
    traits = (
        *(Column(key, key) for key in ("true", "predicted", "trait", "value")),
        *(Column(key, key, "count") for key in ("sites", "crystals", "groups")),
        Column("share", "of mistaken", "percent"),
        Column("share_right", "of right", "percent"),
        Column("ratio", "ratio", "number"),
    )
    rows = read_rows(path / "traits.csv")
    body = join(
        table(f"{name}-pairs", PAIR_COLUMNS[:-1], read_rows(path / "pairs.csv"), caption="Pairs"),
        tag("div", *figures, class_="gallery"),
        _cap_note(min(most, len(rows)), len(rows), path / "traits.csv", beside),
        table(f"{name}-traits", traits, rows[:most], caption="Traits"),
        _cap_note(min(most, len(sites)), len(sites), path / "sites.csv", beside),
        table(f"{name}-sites", SITE_COLUMNS, sites[:most], caption="Misclassified sites"),
    )
    return Section(name, "Mistakes", body, str(path))


def link_to(path: Path, beside: Path) -> Html:
    """A link from the page to a file next to it."""
    from urllib.parse import quote

    relative = Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()
    return tag("a", path.name, href=quote(relative))


def _cap_note(shown: int, total: int, path: Path, beside: Path) -> Html:
    link = link_to(path, beside)
    if shown == total:
        return tag("p", f"All {total:,}; as a file: ", link, ".")
    return tag(
        "p",
        f"{shown:,} of {total:,} are in this page, the first of every pair and then the most confident, so "
        "that it opens at once; all are in ",
        link,
        ".",
        class_="note",
    )


def _pair_table(analysis: MistakeAnalysis, identifier: str) -> Html:
    rows = []
    for pair in analysis.pairs[:PAIRS_SHOWN]:
        words = [
            f"{t.trait} {t.value}: {100 * t.share:.0f} % ({100 * (t.share_right or 0):.0f} %)"
            for t in telling_traits(analysis, pair, most=5)
        ]
        row = pair._asdict() | {"true": SYMBOLS[pair.true], "predicted": SYMBOLS[pair.predicted]}
        rows.append(row | {"shared": "; ".join(words)})
    more = len(analysis.pairs) - len(rows)
    caption = f"The {len(rows)} most frequent pairs; {more:,} rarer ones are left out." if more else ""
    return table(identifier, PAIR_COLUMNS, rows, caption=caption)


def _site_data(analysis: MistakeAnalysis, opened: OpenedMistakes) -> dict[str, Any]:
    found, profiles = analysis.table, analysis.profiles
    shown = {*found.true[opened.chosen].tolist(), *found.predicted[opened.chosen].tolist()}
    bands = {}
    for z in sorted(shown):
        values = np.array([profiles.quantile(z, share) for share in QUANTILES]).T
        if np.isfinite(values).all():
            bands[SYMBOLS[z]] = np.round(values, 3).tolist()
    numbers = np.unique(opened.neighbour_elements)
    place = {int(z): i for i, z in enumerate(numbers)}
    return {
        "profiles": bands,
        "reference": f"the {profiles.split} split" if profiles.split else "the dataset",
        "elements": [SYMBOLS[z] for z in numbers],
        "sites": [
            [
                np.round(opened.distances[i].astype(float), 3).tolist(),
                [place[int(z)] for z in opened.neighbour_elements[i]],
                list(opened.labels[i]),
                _permille(opened.nearer_true[i]),
                _permille(opened.nearer_predicted[i]),
            ]
            for i in range(len(opened.chosen))
        ],
    }


def _permille(shares: Sequence[float] | np.ndarray) -> list[int | None]:
    return [None if np.isnan(share) else round(1000 * float(share)) for share in shares]
