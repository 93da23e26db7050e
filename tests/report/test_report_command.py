from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from atomsight.cli import main
from atomsight.report import Report

Run = Callable[..., SimpleNamespace]


@pytest.fixture
def atomsight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(place)

    def run_command(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["atomsight", *arguments])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return SimpleNamespace(status=end.value.code or 0, out=printed.out, err=" ".join(printed.err.split()))

    return run_command


def test_results_of_other_verbs_have_a_section_each(place: Path, made: Report, atomsight: Run) -> None:
    few = ["--figures", "1", "--out"]
    assert atomsight("distances", "data", "--elements", "C,H", *few, "distances").status == 0
    assert atomsight("mistakes", "run/evaluation", "data", "--top", "1", "--out", "mistakes").status == 0
    result = atomsight("report", "distances", "mistakes", "--out", "results/page.html", "--json")
    assert result.status == 0, result.err
    sections = [json.loads(line) for line in result.out.splitlines()]
    assert [section["section"] for section in sections] == ["Mistakes", "Distances", "References"]
    text = (place / "results" / "page.html").read_text(encoding="utf-8")
    assert 'href="../mistakes/sites.csv"' in text
    assert text.count("<svg") >= 4


def test_a_sweep_has_a_section(place: Path, atomsight: Run) -> None:
    folder = place / "sweep"
    folder.mkdir()
    scores = {
        f"{split}_{score}{end}": 0.5
        for split in ("val", "test")
        for score in ("accuracy", "macro_recall")
        for end in ("", "_error")
    }
    held = {
        "elements": ["H", "C"],
        "ks": [1, 2],
        "seeds": [0],
        "suggestion": {"k": 2, "resamples": {"2": 0.9}, "comparisons": []},
        "sureness": "quite",
        "weighed": "little",
        "table": [{"k": k, "runs": 1, "parameters": 10 * k, "seconds": 1.0, **scores} for k in (1, 2)],
        "per_element": [{"element": "H", "k": 1, "sites": 3, "groups": 2, "recall": 0.5, "error": None}],
        "confused_pairs": [],
    }
    (folder / "sweep.json").write_text(json.dumps(held))
    result = atomsight("report", "sweep", "--out", "sweep.html")
    assert result.status == 0, result.err
    assert "90 %" in (place / "sweep.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "absent", "--out", "x.html"], "does not exist"),
        (["report", "data", "--out", "run"], "is a folder"),
        (["report", "data", "--out", "x.html", "--duplicates", "absent.csv"], "dedupe"),
        (["report", "data"], "--out"),
    ],
)
def test_wrong_usage(atomsight: Run, arguments: list[str], message: str) -> None:
    result = atomsight(*arguments)
    assert result.status == 2
    assert message in result.err
