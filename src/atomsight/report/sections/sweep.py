"""A sweep over k: the suggestion, scores, elements and pairs against k."""

from __future__ import annotations

from typing import Any

from atomsight.report.components import (
    Column,
    Section,
    facts,
    folded,
    heading,
    join,
    percent,
    picture,
    table,
    tag,
    tiles,
)
from atomsight.report.inputs import Input, read_json

_SCORES = tuple(
    Column(f"{split}_{score}{part}", f"{split} {word}{mark}", "percent", hint)
    for split in ("val", "test")
    for score, word in (("macro_recall", "macro recall"), ("accuracy", "accuracy"))
    for part, mark, hint in (
        ("", "", "mean over the seeds"),
        ("_error", " ±", "standard error over groups of crystals and seeds"),
    )
)
_TABLE = (
    Column("k", "k", "count"),
    Column("runs", "runs", "count"),
    Column("parameters", "parameters", "count"),
    Column("seconds", "seconds", "number", "of training, mean over the runs"),
    *_SCORES,
)
_ELEMENTS = (
    Column("element", "element"),
    Column("k", "k", "count"),
    Column("sites", "sites", "count"),
    Column("groups", "groups", "count"),
    Column("recall", "recall", "percent"),
    Column("error", "±", "percent", "standard error over groups of crystals and seeds"),
)
_PAIRS = (
    Column("pair", "pair"),
    Column("k", "k", "count"),
    Column("sites", "sites", "number", "confused, mean over the seeds"),
    Column("share", "share", "percent", "of the sites of both elements"),
    Column("least", "least", "percent", "among the seeds"),
    Column("largest", "largest", "percent", "among the seeds"),
)
_COMPARISONS = (
    Column("k", "k", "count"),
    Column("larger", "larger k", "count"),
    Column("difference", "gain", "number"),
    Column("error", "±", "number"),
    Column("p", "p", "number", "one-sided"),
    Column("adjusted", "adjusted p", "number", "after Holm's correction"),
    Column("better", "better", "text", "significantly and usefully"),
)


def sweep_section(given: Input, number: int) -> Section:
    """What ``atomsight sweep --out`` wrote."""
    name, path = f"sweep-{number}", given.path
    held: dict[str, Any] = read_json(path / "sweep.json")
    suggestion = held["suggestion"]
    comparisons = [row | {"better": "yes" if row["better"] else "no"} for row in suggestion["comparisons"]]
    chosen = next(row for row in held["table"] if row["k"] == suggestion["k"])
    body = join(
        tiles(
            {
                "suggested k": suggestion["k"],
                "of the resamples agree": percent(suggestion["resamples"].get(str(suggestion["k"]), 0.0), 0),
                "macro recall on test there": percent(chosen["test_macro_recall"]),
                "accuracy on test there": percent(chosen["test_accuracy"]),
            }
        ),
        tag("p", f"How sure: {held['sureness']}."),
        tag("p", f"What a larger k would bring: {held['weighed']}."),
        picture(path / "sweep", f"{name}-scores", "Macro recall and accuracy against k"),
        table(f"{name}-table", _TABLE, held["table"]),
        folded("Every pair of k compared", table(f"{name}-compared", _COMPARISONS, comparisons)),
        heading(f"{name}-elements", "Elements against k"),
        picture(path / "sweep-elements", f"{name}-elements-figure", "Recall of each element against k"),
        table(f"{name}-elements-table", _ELEMENTS, held["per_element"]),
        heading(f"{name}-pairs", "Confused pairs against k"),
        picture(path / "sweep-pairs", f"{name}-pairs-figure", "Confused pairs against k"),
        table(f"{name}-pairs-table", _PAIRS, held["confused_pairs"]),
        picture(path / "sweep-confusion", f"{name}-confusion", "Confusion matrix of each k"),
        heading(f"{name}-settings", "Settings"),
        facts(
            {
                "dataset": held.get("dataset"),
                "preset": held.get("preset"),
                "elements": " ".join(held["elements"]),
                "seeds": " ".join(map(str, held["seeds"])),
                **{key: value for key, value in held.get("settings", {}).items() if value is not None},
            }
        ),
    )
    parts = (
        (f"{name}-elements", "Elements against k"),
        (f"{name}-pairs", "Confused pairs against k"),
        (f"{name}-settings", "Settings"),
    )
    return Section(name, f"Performance against k, {path.name}", body, str(path), parts=parts)
