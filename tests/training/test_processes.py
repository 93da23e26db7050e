from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.dataset import Dataset
from atomsight.models import load_model
from atomsight.training.processes import is_first_process, share_of_crystals, share_of_rows
from learnable_crystals import QUICK


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4))
def test_no_row_is_lost_or_doubled(sizes: list[int], processes: int) -> None:
    numbered = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    shares = [list(share_of_rows(({"x": b} for b in numbered), r, processes)) for r in range(processes)]
    assert len({len(share) for share in shares}) == 1
    seen = np.concatenate([batch["x"] for share in shares for batch in share])
    assert sorted(seen.tolist()) == list(range(sum(sizes)))
    if min(sizes) >= processes:
        assert all(len(batch["x"]) for share in shares for batch in share)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 4))
def test_no_crystal_is_lost_or_doubled(sizes: list[int], processes: int) -> None:
    batch = {
        "site": np.concatenate([np.arange(n) for n in sizes]),
        "x": np.arange(sum(sizes)),
    }
    parts = [share_of_crystals(batch, rank, processes) for rank in range(processes)]
    for part, _ in parts:
        assert len(part["x"]) > 0
        assert part["site"][0] == 0
    counted = [part["x"] for part, counts in parts if counts]
    assert np.concatenate(counted).tolist() == list(range(sum(sizes)))
    if len(sizes) > 1:
        assert max(map(len, counted)) <= sum(sizes) / processes + max(sizes)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_only_one_process_is_the_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process()
    monkeypatch.setenv(name, "0")
    assert is_first_process()
    monkeypatch.setenv(name, "1")
    assert not is_first_process()


def test_two_processes_end_where_one_does(run: Path, learnable: Dataset, tmp_path: Path) -> None:
    """The same sites in every step; rounding alone parts them, and the scatter between seeds is larger."""
    out = tmp_path / "two"
    command = [sys.executable, "-m", "atomsight.cli.main", "train", str(learnable.path), "--out", str(out)]
    for name in ("k", "elements", "epochs", "batch_size"):
        command += ["-k" if name == "k" else f"--{name.replace('_', '-')}", str(getattr(QUICK, name))]
    done = subprocess.run(
        [*command, "--devices", "2", "--threads", "1", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    one = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(r.get("stage"), r.get("epoch")) for r in told[:-1]] == [(r["stage"], r["epoch"]) for r in one]
    assert told[0]["train_loss"] == pytest.approx(one[0]["train_loss"], rel=0.05)
    result = json.loads((run / "result.json").read_text())
    for figure in ("sites", "accuracy", "macro_recall"):
        assert told[-1]["val"][figure] == pytest.approx(result["val"][figure], abs=0.01)
    (batch,) = learnable.batches(("distances",), split="val")
    answers = [load_model(folder).probabilities(batch) for folder in (run, out)]
    assert np.abs(answers[0] - answers[1]).mean() < 0.02
