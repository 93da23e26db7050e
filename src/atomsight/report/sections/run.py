"""Section about a training run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atomsight.core.errors import DatasetError
from atomsight.report import components as ui
from atomsight.report.inputs import read_json

_OWN = ("chosen", "fingerprint", "dataset", "atomsight")
"""Entries of settings.json that are not settings."""


def run_section(path: Path, number: int) -> ui.Section:
    """Show settings, learning curves and validation scores of a run, finished or not."""
    name = f"run-{number}"
    settings = read_json(path / "settings.json")
    result = read_json(path / "result.json") if (path / "result.json").is_file() else None
    chosen = settings.get("chosen", [])
    known = {
        **{key: value for key, value in settings.items() if key not in _OWN},
        "elements known": f"{len(chosen)}: {' '.join(map(str, chosen))}" if chosen else None,
        "dataset": settings.get("dataset"),
        "its fingerprint": settings.get("fingerprint"),
        "version": settings.get("atomsight"),
    }
    curves = _curves(_epochs(path / "metrics.jsonl"), name)
    return ui.section(
        name,
        f"Run {path.name}",
        None if (path / "model.onnx").is_file() else ui.note("This run has not ended."),
        ui.Part("settings", "Settings", ui.facts(known)),
        ui.Part("learning", "Learning", ui.join(curves, None if result is None else _result(result))),
        source=path,
    )


def _curves(epochs: list[dict[str, Any]], name: str) -> ui.Html:
    from atomsight.plots.learning import learning_figure

    if not epochs:
        return ui.tag("p", "No epoch is recorded.")
    caption = f"{len(epochs)} epochs; dashed lines separate the stages."
    return ui.plot(learning_figure(epochs), f"{name}-curves", "Loss and scores on val by epoch", caption)


def _result(result: dict[str, Any]) -> ui.Html:
    val = result.get("val", {})
    return ui.facts(
        {
            "epochs": ", ".join(f"{stage} {n}" for stage, n in result.get("epochs", {}).items()) or None,
            "time": f"{result['seconds']:,.0f} s" if "seconds" in result else None,
            "accuracy on val": ui.percent(val.get("accuracy"), 2),
            "macro recall on val": ui.percent(val.get("macro_recall"), 2),
            "log loss on val": f"{val['log_loss']:.4f}" if "log_loss" in val else None,
            "calibration error on val": ui.percent(val.get("calibration_error"), 2),
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
