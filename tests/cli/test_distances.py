from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from atomsight.cli import main
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.dataset import build, open_dataset

Run = Callable[..., SimpleNamespace]


def crystals() -> list[Crystal]:
    """Carbon pairs at 1.20, 1.39 and 1.53 Å in large cells, each carbon its own site; some with a
    hydrogen."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(400):
        bond = rng.choice([1.20, 1.39, 1.53], p=[0.2, 0.6, 0.2]) + rng.normal(0, 0.008)
        positions = [[5, 5, 5], [5 + bond, 5, 5]]
        numbers = [6, 6]
        if i % 4 == 0:
            positions.append([5, 5, 6.09])
            numbers.append(1)
        made.append(
            Crystal(
                name=f"pair-{i:03d}",
                lattice=np.eye(3) * 12,
                fractional=np.array(positions) / 12,
                numbers=np.array(numbers, dtype=np.uint8),
                orbits=np.arange(len(numbers), dtype=np.int32),
                labels=tuple(f"{SYMBOLS[z]}{j}" for j, z in enumerate(numbers)),
            )
        )
    salts = (
        Crystal(
            name=f"salt-{i:02d}",
            lattice=np.eye(3) * (2.7 + 0.01 * i),
            fractional=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
            numbers=np.array([11 + 8 * (i % 2), 17], dtype=np.uint8),
            orbits=np.arange(2, dtype=np.int32),
            labels=("M1", "X1"),
        )
        for i in range(60)
    )
    return [*made, *salts]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dataset ``data``, k = 4, and an evaluation ``evaluation`` of a split of it."""
    folder = tmp_path_factory.mktemp("distances")
    build(crystals(), folder / "data", 4)
    dataset = open_dataset(folder / "data")
    split = next(name for name in ("train", "val", "test") if 6 in dataset.element_counts(name))
    rows = next(dataset.batches(["crystal", "site", "label", "element"], split=split, elements=[6]))
    lines = ["crystal,site,label,true,predicted,probability,probability_true,rank"]
    names = [f"{rows['crystal'][i]},{rows['site'][i]},{rows['label'][i]}" for i in range(100)]
    lines += [f"{name},C,H,0.9,0.1,1" for name in names[::2]]
    lines.append(f"{names[1]},C,Na,0.8,0.1,1")
    for name, kept in (("evaluation", lines), ("perfect", lines[:1])):
        (folder / name).mkdir()
        (folder / name / "mistakes.csv").write_text("\n".join(kept) + "\n")
        summary = {"model": "made", "split": split, "k": 3, "dataset": "data"}
        text = json.dumps({**summary, "dataset_fingerprint": dataset.fingerprint})
        (folder / name / "summary.json").write_text(text)
    (folder / "first.txt").write_text(f"{rows['crystal'][0]}:{rows['label'][0]}")
    return folder


@pytest.fixture
def atomsight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb in this process, in the folder ``place``, as the command line would."""
    monkeypatch.chdir(place)

    def run_command(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["atomsight", *arguments])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return SimpleNamespace(status=end.value.code or 0, out=printed.out, err=" ".join(printed.err.split()))

    return run_command


def test_everything_is_written_and_agrees(place: Path, atomsight: Run) -> None:
    result = atomsight("distances", "data", "--elements", "C,H", "--out", "out", "--figures", "2", "--json")
    assert result.status == 0, result.err
    records = {record["pair"]: record for record in map(json.loads, result.out.splitlines())}
    assert set(records) == {"C-C", "C-H", "H-C"}
    carbon = records["C-C"]
    assert carbon["sites"] == 700
    assert [p["kind"] for p in carbon["peaks"]] == ["triple", "double or aromatic", "single"]
    assert records["C-H"]["sites"] == records["H-C"]["sites"] == 100
    folder = place / "out"
    names = {path.name for path in folder.iterdir()}
    tables = {"distances.parquet", "distances.csv", "pairs.csv", "peaks.csv", "summary.json"}
    figures = {"distances-overall", "distances-pairs", "distances-C-C"}
    assert names >= tables | {f"{name}.{suffix}" for name in figures for suffix in ("png", "svg")}
    assert len(names) == 5 + 2 * 4  # two of the three pairs drawn
    with (folder / "distances.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["centre"], row["neighbour"]) == ("C", "C")]
    assert sum(int(row["sites"]) for row in rows) == 700
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["counted"] == summary["sites"] == 900
    assert [pair["pair"] for pair in summary["pairs"]] == list(records)


def test_the_table_shows_peaks(atomsight: Run) -> None:
    result = atomsight("distances", "data", "--elements", "C")
    assert result.status == 0
    assert "double or aromatic" in result.out
    assert "C-C" in result.out


def test_all_elements_ranges_and_any(atomsight: Run) -> None:
    for options in (
        ["--elements", "all"],
        ["--neighbour", "1-2"],
        ["--neighbour", "any", "--weight", "atoms"],
    ):
        result = atomsight("distances", "data", "--range", "0,12", "--json", *options)
        assert result.status == 0, result.err
        assert json.loads(result.out.splitlines()[0])["sites"] > 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--elements", "C,Au"], 2, "data holds no Au; it holds C, H, Cl"),
        (["--elements", "Zz"], 2, "'ZZ' is not a chemical element"),
        (["--elements", "top0"], 2, "at least one element"),
        (["--neighbour", "9"], 2, "holds k = 4"),
        (["--neighbour", "nearest"], 2, "--neighbour takes a number"),
        (["--range", "4"], 2, "--range takes two lengths"),
        (["--range", "4,1"], 2, "upwards"),
        (["--bins", "0"], 2, "bins"),
        (["--weight", "crystals"], 2, "--weight takes sites or atoms"),
        (["--split", "dev"], 2, "'dev' is no split"),
        (["--out", "first.txt"], 2, "is a file"),
    ],
)
def test_wrong_usage(atomsight: Run, options: list[str], status: int, message: str) -> None:
    result = atomsight("distances", "data", *options)
    assert result.status == status
    assert message.lower() in result.err.lower()


def test_no_dataset(atomsight: Run) -> None:
    result = atomsight("distances", "nowhere")
    assert result.status == 1
    assert "nowhere does not exist" in result.err


def test_mistakes_are_compared_and_written(place: Path, atomsight: Run) -> None:
    result = atomsight("mistakes", "evaluation", "data", "--out", "mistakes", "--json")
    assert result.status == 0, result.err
    first, second = map(json.loads, result.out.splitlines())
    assert (first["true"], first["predicted"], first["sites"]) == ("C", "H", 50)
    assert (second["true"], second["predicted"], second["sites"]) == ("C", "Na", 1)
    names = {path.name for path in (place / "mistakes").iterdir()}
    assert names >= {"pairs.csv", "traits.csv", "sites.csv", "mistakes.png", "mistakes-C-H.svg"}
    shown = atomsight("mistakes", "evaluation", "data", "--pair", "C,Na")
    assert shown.status == 0
    assert "C as Na" in shown.out
    assert "C as H" not in shown.out


def test_a_site_is_opened(place: Path, atomsight: Run) -> None:
    name = (place / "first.txt").read_text()
    result = atomsight("mistakes", "evaluation", "data", "--site", name, "--out", "opened", "--json")
    assert result.status == 0, result.err
    record = json.loads(result.out)
    assert (record["element"], record["predicted"]) == ("C", "H")
    assert [row["n"] for row in record["neighbours"]] == [1, 2, 3]
    assert {path.suffix for path in (place / "opened").iterdir()} == {".png", ".svg"}
    assert "nearer in C" in atomsight("mistakes", "evaluation", "data", "--site", name).out
    right = atomsight("mistakes", "evaluation", "data", "--site", "salt-00:M1")
    assert right.status == 0
    summary = json.loads((place / "evaluation" / "summary.json").read_text())
    (place / "whole").mkdir()
    (place / "whole" / "summary.json").write_text(json.dumps({**summary, "split": "all"}))
    shutil.copy(place / "evaluation" / "mistakes.csv", place / "whole")
    assert "predicted correctly" in atomsight("mistakes", "whole", "data", "--site", "salt-00:M1").out
    assert atomsight("mistakes", "whole", "data").status == 0


def test_no_mistake_at_all(atomsight: Run) -> None:
    result = atomsight("mistakes", "perfect", "data")
    assert result.status == 0
    assert "no site" in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pair", "Al,Li"], "no site of Al was taken for Li; the most frequent: C,H (50), C,Na (1)"),
        (["--pair", "Al"], "--pair takes the true and the predicted element"),
        (["--site", "pair-000:Q1"], "no site 'Q1'"),
        (["--site", "pair-000:C0", "--pair", "C,H"], "leave out --pair"),
        (["--out", "first.txt"], "is a file"),
    ],
)
def test_wrong_usage_of_mistakes(atomsight: Run, options: list[str], message: str) -> None:
    result = atomsight("mistakes", "evaluation", "data", *options)
    assert result.status == 2
    assert message in result.err


def test_a_folder_without_evaluation(atomsight: Run) -> None:
    result = atomsight("mistakes", "data", "data")
    assert result.status == 2
    assert "atomsight evaluate" in result.err
