from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.crystal import Crystal
from atomsight.dataset import build
from atomsight.models import load_model


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 random crystals of H, C and O, k = 5."""
    rng = np.random.default_rng(0)
    crystals = []
    for index in range(80):
        n = int(rng.integers(4, 9))
        crystals.append(
            Crystal(
                name=f"c{index}",
                lattice=np.diag(rng.uniform(5, 8, 3)),
                fractional=rng.random((n, 3)),
                numbers=rng.choice([1, 6, 8], n).astype(np.uint8),
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"X{j}" for j in range(n)),
            )
        )
    out = tmp_path_factory.mktemp("train") / "dataset"
    build(crystals, out, 5)
    return out


@pytest.fixture
def atomsight(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line; gives exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atomsight", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main.run()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


QUICK = ("-k", 3, "--elements", "H,C,O", "--epochs", 2, "--batch-size", 128, "--threads", 1)


def test_a_run_from_the_command_line(dataset: Path, atomsight: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    status, out, err = atomsight("train", dataset, "--out", run, *QUICK)
    assert status == 0, err
    assert "accuracy" in out
    assert "stage-one 1/2" in err
    assert "stage-two 2/2" in err
    model = load_model(run)
    assert (model.k, model.elements) == (3, (1, 6, 8))

    status, _, err = atomsight("train", dataset, "--out", run, *QUICK)
    assert status == 2
    assert "--resume" in err
    status, _, err = atomsight("train", dataset, "--out", run, *QUICK, "--resume")
    assert status == 0, err
    status, _, err = atomsight("train", dataset, "--out", run, *QUICK, "--resume", "--seed", 5)
    assert status == 2
    assert "seed was 0, is 5" in err


def test_json_lines(dataset: Path, atomsight: Any, tmp_path: Path) -> None:
    status, out, _ = atomsight("train", dataset, "--out", tmp_path / "run", *QUICK, "--cap", 40, "--json")
    assert status == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [r["event"] for r in records] == ["epoch"] * 4 + ["result"]
    assert [(r["stage"], r["epoch"]) for r in records[:-1]] == [
        (stage, epoch) for stage in ("stage-one", "stage-two") for epoch in (1, 2)
    ]
    assert records[-1]["val"]["sites"] > 0
    assert load_model(tmp_path / "run").metadata["data"]["train_sites"] == 120


def test_ctrl_c_tells_how_to_go_on(
    dataset: Path, atomsight: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atomsight.training.two_stage.training import TwoStage

    def interrupted(self: TwoStage, batch: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TwoStage, "_loss_two", interrupted)
        status, _, err = atomsight("train", dataset, "--out", tmp_path / "run", *QUICK)
    assert status == 130
    assert "--resume" in err
    status, _, err = atomsight("train", dataset, "--out", tmp_path / "run", *QUICK, "--resume")
    assert status == 0, err
    assert "stage-one" not in err
    assert "stage-two 2/2" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("-k", 9), 1, "holds k = 5"),
        (("--elements", "H,Kryptonite"), 2, "'Kryptonite' is not a chemical element"),
        (("--elements", "H,U"), 1, "holds no U"),
        (("--model", "three-stage"), 2, "the kinds are masked-site"),
        (("-k", 0), 2, "k: must be a whole number from 1 to 1000, not 0"),
    ],
)
def test_what_cannot_be(
    arguments: tuple, status: int, message: str, dataset: Path, atomsight: Any, tmp_path: Path
) -> None:
    answer, _, err = atomsight(
        "train", dataset, "--out", tmp_path / "run", "-k", 3, "--elements", "H,C", *arguments
    )
    assert (answer, message in err) == (status, True), err
    assert not (tmp_path / "run").exists()


def test_no_dataset(atomsight: Any, tmp_path: Path) -> None:
    status, _, err = atomsight("train", tmp_path, "--out", tmp_path / "run")
    assert status == 1
    assert "is not a dataset" in err


def test_help_has_an_example(atomsight: Any) -> None:
    status, out, _ = atomsight("train", "--help")
    assert status == 0
    assert "Example: atomsight train" in " ".join(out.split())
