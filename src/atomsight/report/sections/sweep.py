"""Section about a sweep over k."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atomsight.report import components as ui
from atomsight.report.inputs import read_json

_SCORES = tuple(
    ui.Column(f"{split}_{score}{part}", f"{split} {word}{mark}", "percent", hint)
    for split in ("val", "test")
    for score, word in (("macro_recall", "macro recall"), ("accuracy", "accuracy"))
    for part, mark, hint in (
        ("", "", "mean over the seeds"),
        ("_error", " ±", "standard error over groups of crystals and seeds"),
    )
)
_TABLE = (
    *ui.count_columns("k", "runs", "parameters"),
    ui.Column("seconds", "seconds", "number", "of training, mean over the runs"),
    *_SCORES,
)
_ELEMENTS = (
    ui.Column("element"),
    *ui.count_columns("k", "sites", "groups"),
    ui.Column("recall", format="percent"),
    ui.Column("error", "±", "percent", "standard error over groups of crystals and seeds"),
)
_PAIRS = (
    ui.Column("pair"),
    *ui.count_columns("k"),
    ui.Column("sites", "sites", "number", "confused, mean over the seeds"),
    ui.Column("share", "share", "percent", "of the sites of both elements"),
    ui.Column("least", "smallest", "percent", "among the seeds"),
    ui.Column("largest", "largest", "percent", "among the seeds"),
)
_COMPARISONS = (
    *ui.count_columns("k"),
    ui.Column("larger", "larger k", "count"),
    ui.Column("difference", "gain", "number"),
    ui.Column("error", "±", "number"),
    ui.Column("p", "p", "number", "one-sided"),
    ui.Column("adjusted", "adjusted p", "number", "after Holm's correction"),
    ui.Column("better", "better", "text", "significantly and usefully"),
)


def sweep_section(path: Path, number: int) -> ui.Section:
    """Make the section about a folder that ``atomsight sweep --out`` wrote."""
    name = f"sweep-{number}"
    sweep: dict[str, Any] = read_json(path / "sweep.json")
    suggestion = sweep["suggestion"]
    comparisons = [row | {"better": "yes" if row["better"] else "no"} for row in suggestion["comparisons"]]
    agree = suggestion["resamples"].get(str(suggestion["k"]), 0.0)
    chosen = next(row for row in sweep["table"] if row["k"] == suggestion["k"])
    settings = {
        "dataset": sweep.get("dataset"),
        "preset": sweep.get("preset"),
        "elements": " ".join(sweep["elements"]),
        "seeds": " ".join(map(str, sweep["seeds"])),
        **sweep.get("settings", {}),
    }
    elements = ui.join(
        ui.picture(path / "sweep-elements", f"{name}-elements-figure", "Recall of each element against k"),
        ui.table(f"{name}-elements-table", _ELEMENTS, sweep["per_element"]),
    )
    pairs = ui.join(
        ui.picture(path / "sweep-pairs", f"{name}-pairs-figure", "Confused pairs against k"),
        ui.table(f"{name}-pairs-table", _PAIRS, sweep["confused_pairs"]),
        ui.picture(path / "sweep-confusion", f"{name}-confusion", "Confusion matrix of each k"),
    )
    return ui.section(
        name,
        f"Performance against k, {path.name}",
        ui.tiles(
            {
                "suggested k": suggestion["k"],
                "of the resamples agree": ui.percent(agree, 0),
                "macro recall on test with it": ui.percent(chosen["test_macro_recall"]),
                "accuracy on test with it": ui.percent(chosen["test_accuracy"]),
            }
        ),
        ui.tag("p", f"Confidence: {sweep['sureness']}."),
        ui.tag("p", f"Effect of a larger k: {sweep['weighed']}."),
        ui.picture(path / "sweep", f"{name}-scores", "Macro recall and accuracy against k"),
        ui.table(f"{name}-table", _TABLE, sweep["table"]),
        ui.details("Every pair of k compared", ui.table(f"{name}-compared", _COMPARISONS, comparisons)),
        ui.Part("elements", "Elements against k", elements),
        ui.Part("pairs", "Confused pairs against k", pairs),
        ui.Part("settings", "Settings", ui.facts(settings)),
        source=path,
    )
