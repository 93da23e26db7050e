from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.progress import Progress
from atomsight.core.scores import macro_recall
from atomsight.dataset import Dataset, open_dataset
from atomsight.dataset.resplit import resplit
from atomsight.evaluate.metrics import accuracy
from atomsight.evaluate.sweep.report import element_rows, pair_rows, report_sweep
from atomsight.evaluate.sweep.run import Sweep, parse_ks, sweep_k
from atomsight.models import load_model
from atomsight.training import Settings
from learnable_crystals import QUICK

SHORT = Settings(**{**QUICK.as_dict(), "epochs": 2})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "out"


@pytest.fixture(scope="module")
def swept(learnable: Dataset, place: Path) -> Sweep:
    """k = 1, 2, 3 with two seeds."""
    return sweep_k(learnable, place, (1, 2, 3), SHORT, seeds=2, threads=1)


@pytest.fixture
def atomsight(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command line in this process."""

    def call(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["atomsight", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return SimpleNamespace(status=end.value.code or 0, out=printed.out, err=" ".join(printed.err.split()))

    return call


def test_group_counts_are_the_confusion_matrices(swept: Sweep) -> None:
    for split in ("val", "test"):
        counts = swept.counts[split]
        for i, k in enumerate(swept.ks):
            for j, seed in enumerate(swept.seeds):
                matrix = swept.runs[k, seed].matrices[split]
                assert counts.hits[i, j].sum(axis=0) == pytest.approx(np.diag(matrix))
                assert counts.sites.sum(axis=0) == pytest.approx(matrix.sum(axis=1))
                assert counts.scores("accuracy")[i, j] == pytest.approx(accuracy(matrix))
                assert counts.scores("macro_recall")[i, j] == pytest.approx(macro_recall(matrix))
                assert (counts.hits[i, j] >= 0).all()


def test_finished_runs_are_not_done_again(learnable: Dataset, place: Path, swept: Sweep) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    events: list[Progress] = []
    again = sweep_k(learnable, place, (1, 2, 3), SHORT, seeds=2, progress=events.append)
    assert [event.record["skipped"] for event in events] == [True] * 6
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == stamps
    assert np.array_equal(again.counts["test"].hits, swept.counts["test"].hits)


def test_an_evaluation_that_was_cut_off_is_done_again(
    learnable: Dataset, place: Path, swept: Sweep, tmp_path: Path
) -> None:
    run = place / "runs" / "k02-seed1"
    before = (run / "test" / "confusion.csv").read_bytes()
    (run / "test").rename(run / "test.tmp")
    (run / "test.tmp" / "confusion.csv").unlink()
    sweep_k(learnable, place, (2,), SHORT, seeds=2)
    assert (run / "test" / "confusion.csv").read_bytes() == before
    assert not (run / "test.tmp").exists()


def test_the_runs_are_ordinary_and_the_report_agrees(swept: Sweep) -> None:
    run = swept.runs[2, 1]
    assert load_model(run.path).k == 2
    assert run.parameters - swept.runs[1, 0].parameters == 64 + 3
    report = report_sweep(swept)
    assert report.suggestion.k == 1
    assert report.rows[0]["test_accuracy"] > 0.9
    assert "k = 3 would cost 134 parameters more" in report.weighed()
    assert "of the resamples suggest k = 1" in report.holds()
    assert report.unseen == {"val": [], "test": []}
    rare = replace(swept.counts["val"], sites=swept.counts["val"].sites * [1, 1, 0])
    lacking = replace(report, sweep=replace(swept, counts={**swept.counts, "val": rare}), on_splits=(1,))
    assert lacking.unseen == {"val": ["O"], "test": []}
    assert "under one other split: 1 of 1 agree (1)" in lacking.holds()
    rows = element_rows(swept, report.resampled["test"])
    assert {row["element"] for row in rows} == {"H", "C", "O"}
    assert all(0 <= row["recall"] <= 1 for row in rows)
    for row in pair_rows(swept):
        assert 0 <= row["least"] <= row["share"] <= row["largest"] <= 1


def test_other_settings_are_refused(learnable: Dataset, place: Path, swept: Sweep) -> None:
    with pytest.raises(InputError, match="epochs was 2, is 4"):
        sweep_k(learnable, place, (1,), QUICK, seeds=1)


@pytest.mark.parametrize(
    ("ks", "settings", "seeds", "error", "message"),
    [
        ((1, 7), SHORT, 1, DatasetError, "holds k = 6"),
        ((), SHORT, 1, InputError, "at least one k"),
        ((1,), SHORT, 0, InputError, "one seed"),
        ((1,), Settings(elements="H,U"), 1, DatasetError, "holds no U"),
    ],
)
def test_what_cannot_be_swept(
    ks: tuple[int, ...],
    settings: Settings,
    seeds: int,
    error: type[Exception],
    message: str,
    learnable: Dataset,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        sweep_k(learnable, tmp_path / "out", ks, settings, seeds=seeds)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "ks"), [("1-10", tuple(range(1, 11))), ("4,8, 16", (4, 8, 16)), ("7,1-3,2", (1, 2, 3, 7))]
)
def test_parse_ks(text: str, ks: tuple[int, ...]) -> None:
    assert parse_ks(text) == ks


@pytest.mark.parametrize("text", ["", "0-3", "5-2", "a", "1--3", "1-999999999", "9" * 5000])
def test_ks_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"-k|k:"):
        parse_ks(text)


def test_the_verb(learnable: Dataset, place: Path, swept: Sweep, atomsight: Callable[..., Any]) -> None:
    options = ("-k", "1-3", "--elements", "H,C,O", "--epochs", 1, "--seeds", 2, "--threads", 1)
    out = place.parent / "verb"
    result = atomsight("sweep", learnable.path, *options, "--splits", 1, "--out", out, "--json")
    assert result.status == 0, result.err
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [record["event"] for record in records] == ["run"] * 12 + ["k"] * 3 + ["suggestion"]
    assert len(records[-1]["on_splits"]) == 1
    names = {path.name for path in out.iterdir()}
    assert names >= {"sweep.json", "k.csv", "elements.csv", "pairs.csv", "comparisons.csv", "confusion"}
    for name in ("sweep", "sweep-elements", "sweep-pairs", "sweep-confusion"):
        assert (out / f"{name}.png").stat().st_size > 5000
        assert (out / f"{name}.svg").is_file()
    with (out / "confusion" / "k02.csv").open() as file:
        assert [row["true"] for row in csv.DictReader(file)] == ["H", "C", "O"]
    shown = atomsight("sweep", learnable.path, *options, "--out", out)
    assert shown.status == 0
    assert "suggested: k = " in shown.out
    assert "finished before" in shown.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "thirty"], "--preset takes ten or twenty"),
        (["--preset", "ten", "--elements", "H,C"], "leave out --elements"),
        (["--score", "f1"], "--score takes macro-recall or accuracy"),
        (["-k", "3-1"], "run upwards"),
    ],
)
def test_wrong_usage_of_the_verb(
    options: list[str], message: str, learnable: Dataset, tmp_path: Path, atomsight: Callable[..., Any]
) -> None:
    result = atomsight("sweep", learnable.path, "--out", tmp_path / "out", *options)
    assert result.status == 2
    assert message in result.err


def test_grow_from_the_command_line(
    learnable: Dataset, run: Path, tmp_path: Path, atomsight: Callable[..., Any]
) -> None:
    arguments = ("grow", run, learnable.path, "-k", 5, "--out", tmp_path / "grown", "--threads", 1)
    result = atomsight(*arguments, "--epochs", 1)
    assert result.status == 0, result.err
    assert "before training: the predictions equal" in result.err
    assert "at k = 4" in result.err
    assert load_model(tmp_path / "grown").k == 5
    again = atomsight(*arguments, "--epochs", 1, "--resume", "--json")
    assert json.loads(again.out.splitlines()[-1])["grown"]["difference"] <= 1e-6
    wrong = atomsight("grow", run, learnable.path, "-k", 3, "--out", tmp_path / "smaller")
    assert wrong.status == 2
    assert "give a larger k" in wrong.err


def test_another_split_keeps_groups_whole_and_loses_nothing(learnable: Dataset, tmp_path: Path) -> None:
    other = resplit(learnable, tmp_path / "other", "1")
    assert not other.damaged()
    table = other.crystals(["crystal", "group", "split"]).to_pydict()
    split_of_group = dict(zip(table["group"], table["split"], strict=True))
    assert all(split_of_group[g] == s for g, s in zip(table["group"], table["split"], strict=True))
    before = dict(zip(*learnable.crystals(["crystal", "split"]).to_pydict().values(), strict=True))
    moved = [name for name, s in zip(table["crystal"], table["split"], strict=True) if before[name] != s]
    assert moved
    assert other.element_counts() == learnable.element_counts()
    split_of = dict(zip(table["crystal"], table["split"], strict=True))
    for split in ("train", "val", "test"):
        for batch in other.batches(("crystal", "element", "split"), split=split):
            assert {split_of[name] for name in batch["crystal"]} == {split}
            assert len(batch["element"]) == sum(other.element_counts(split).values())
    assert other.fingerprint != learnable.fingerprint
    assert resplit(learnable, tmp_path / "other", "1").fingerprint == other.fingerprint
    assert open_dataset(tmp_path / "other").k == learnable.k
    with pytest.raises(InputError, match="another dataset"):
        resplit(learnable, tmp_path / "other", "2")
