"""A training run: its settings, how it went, what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atomsight.core.errors import DatasetError
from atomsight.report.components import Html, Section, drawn, facts, heading, join, percent, tag
from atomsight.report.inputs import read_json

_OWN = ("chosen", "fingerprint", "dataset", "atomsight")
"""What settings.json holds besides the settings that were asked for."""


def run_section(path: Path, number: int) -> Section:
    """Settings, learning curves and scores on val of a run, finished or not."""
    name = f"run-{number}"
    settings = read_json(path / "settings.json")
    epochs = _epochs(path / "metrics.jsonl")
    result = read_json(path / "result.json") if (path / "result.json").is_file() else None
    chosen = settings.get("chosen", [])
    asked = {key: value for key, value in settings.items() if key not in _OWN and value is not None}
    body = join(
        None if (path / "model.onnx").is_file() else tag("p", "This run has not ended.", class_="note"),
        heading(f"{name}-settings", "Settings"),
        facts(
            {
                **asked,
                "elements known": f"{len(chosen)}: {' '.join(map(str, chosen))}" if chosen else None,
                "dataset": settings.get("dataset"),
                "its fingerprint": settings.get("fingerprint"),
                "version": settings.get("atomsight"),
            }
        ),
        heading(f"{name}-learning", "Learning"),
        _curves(epochs, name),
        None if result is None else _result(result),
    )
    parts = ((f"{name}-settings", "Settings"), (f"{name}-learning", "Learning"))
    return Section(name, f"Run {path.name}", body, str(path), parts=parts)


def _curves(epochs: list[dict[str, Any]], name: str) -> Html:
    from atomsight.plots.learning import learning_figure

    if not epochs:
        return tag("p", "No epoch is recorded.")
    return drawn(
        learning_figure(epochs),
        f"{name}-curves",
        "Loss and scores on val by epoch",
        f"{len(epochs)} epochs; dashed lines part the stages.",
    )


def _result(result: dict[str, Any]) -> Html:
    val = result.get("val", {})
    return facts(
        {
            "epochs": ", ".join(f"{stage} {n}" for stage, n in result.get("epochs", {}).items()) or None,
            "time": f"{result['seconds']:,.0f} s" if "seconds" in result else None,
            "accuracy on val": percent(val.get("accuracy"), 2),
            "macro recall on val": percent(val.get("macro_recall"), 2),
            "log loss on val": f"{val['log_loss']:.4f}" if "log_loss" in val else None,
            "calibration error on val": percent(val.get("calibration_error"), 2),
            "temperature": f"{result['temperature']:.3f}" if "temperature" in result else None,
        }
    )


def _epochs(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error})") from error
