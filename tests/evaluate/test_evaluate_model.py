from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.errors import DatasetError, ModelError
from atomsight.core.progress import Progress
from atomsight.evaluate import MistakeLog, evaluate_model
from atomsight.evaluate.write import element_rows, write_evaluation
from standins import MemoryDataset, ShellModel, random_dataset


def test_every_figure_follows_from_the_rows() -> None:
    dataset, model = random_dataset(), ShellModel()
    log = MistakeLog()
    evaluation = evaluate_model(model, dataset, "test", mistakes=log)
    mistakes = list(log)

    rows = {k: v[dataset.columns["split"] == "test"] for k, v in dataset.columns.items()}
    p = model.probabilities({"distances": rows["distances"]})
    predicted = np.array(model.elements)[p.argmax(axis=1)]
    known = np.isin(rows["element"], model.elements)
    right = predicted == rows["element"]
    assert evaluation.accuracy == pytest.approx(right[known].mean())
    assert evaluation.accuracy_of_all == pytest.approx(right.mean())
    assert evaluation.accuracy_of_all < evaluation.accuracy
    recalls = [right[rows["element"] == z].mean() for z in model.elements]
    assert evaluation.summary()["macro_recall"] == pytest.approx(np.mean(recalls))
    column = {z: i for i, z in enumerate(model.elements)}
    own = np.array([p[i, column[z]] for i, z in enumerate(rows["element"]) if z in column])
    assert evaluation.log_loss == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert evaluation.outside_counts() == {"Li": int((rows["element"] == 3).sum())}
    for z in model.elements:
        for other in model.elements:
            count = ((rows["element"] == z) & (predicted == other)).sum()
            assert evaluation.matrix[column[z], column[other]] == count

    expected = {
        (
            rows["crystal"][i],
            int(rows["site"][i]),
            rows["label"][i],
            int(rows["element"][i]),
            int(predicted[i]),
        )
        for i in np.flatnonzero(known & ~right)
    }
    assert {m[:5] for m in mistakes} == expected
    assert [m.probability for m in mistakes] == sorted((m.probability for m in mistakes), reverse=True)
    assert all(m.probability >= m.probability_true and m.rank >= 1 for m in mistakes)
    summary = evaluation.summary()
    assert summary["mistakes"] == len(mistakes) == int(evaluation.crystal_counts[:, 2].sum())
    assert summary["sites"] == len(right)
    by_crystal = {c: right[rows["crystal"] == c].all() for c in set(rows["crystal"])}
    assert summary["crystals_all_right"] == sum(by_crystal.values())
    assert summary["crystals"] == len(by_crystal)


@pytest.mark.parametrize("slices", [1, 2, 5, 1000])
def test_batches_do_not_matter_and_crystals_stay_whole(slices: int) -> None:
    model = ShellModel(extra=("crystal",))
    evaluation = evaluate_model(model, random_dataset(slices=slices))
    assert len(model.seen) == len(set(model.seen)) == len(evaluation.crystals)
    reference = evaluate_model(ShellModel(), random_dataset(slices=7))
    assert (evaluation.matrix == reference.matrix).all()
    summary, expected = evaluation.summary(), reference.summary()
    assert summary.pop("sites_of_unknown_elements") == expected.pop("sites_of_unknown_elements")
    assert summary == pytest.approx(expected)


def test_progress_adds_up() -> None:
    steps: list[Progress] = []
    evaluation = evaluate_model(ShellModel(), random_dataset(), progress=steps.append)
    assert len(steps) > 1
    assert steps[-1].done == steps[-1].total == evaluation.summary()["sites"]


def test_groups_widen_the_error_bar() -> None:
    alone = random_dataset(crystals=60)
    joined = random_dataset(crystals=60)
    joined.groups = {f"crystal{i:03d}": f"g{i // 20}" for i in range(60)}
    a, b = evaluate_model(ShellModel(), alone), evaluate_model(ShellModel(), joined)
    assert len(set(b.crystal_groups)) == 3
    assert a.accuracy_error != b.accuracy_error
    assert 0 < a.accuracy_error < 0.1


def test_too_few_neighbours_is_told() -> None:
    with pytest.raises(DatasetError, match=r"needs k = 9 .* holds k = 3; build the dataset again with -k 9"):
        evaluate_model(ShellModel(k=9), random_dataset())


def test_empty_split_is_told() -> None:
    with pytest.raises(
        DatasetError, match=r"'val' of memory holds no site; the dataset holds .*test \(20 crystals\)"
    ):
        evaluate_model(ShellModel(), random_dataset(), "val")


def test_no_common_element_is_told() -> None:
    with pytest.raises(
        ModelError, match=r"knows none of the elements .* it knows Fe, U; the split holds H, C, O, Li"
    ):
        evaluate_model(ShellModel(elements=(26, 92)), random_dataset())


def test_a_damaged_model_is_told() -> None:
    class Damaged(ShellModel):
        def probabilities(self, columns):
            return super().probabilities(columns) * np.float32("nan")

    class Narrow(ShellModel):
        def probabilities(self, columns):
            return super().probabilities(columns)[:, :2]

    with pytest.raises(ModelError, match="not finite"):
        evaluate_model(Damaged(), random_dataset())
    with pytest.raises(ModelError, match="shape"):
        evaluate_model(Narrow(), random_dataset())


def test_elements_absent_from_the_split_have_no_made_up_score(tmp_path: Path) -> None:
    model = ShellModel(elements=(1, 6, 8, 92))
    evaluation = evaluate_model(model, random_dataset())
    summary = evaluation.summary()
    assert (summary["elements"], summary["elements_present"]) == (4, 3)
    uranium = element_rows(evaluation)[-1]
    assert (uranium["element"], uranium["sites"], uranium["recall"], uranium["f1"]) == ("U", 0, None, None)
    write_evaluation(evaluation, summary, MistakeLog(), tmp_path)
    rows = list(csv.DictReader((tmp_path / "per_element.csv").open()))
    assert [row["element"] for row in rows] == ["H", "C", "O", "U"]
    assert rows[-1]["recall"] == ""


def test_tables_hold_what_was_counted(tmp_path: Path) -> None:
    log = MistakeLog()
    evaluation = evaluate_model(ShellModel(elements=(8, 1, 6)), random_dataset(), mistakes=log)
    write_evaluation(evaluation, evaluation.summary() | {"note": None}, log, tmp_path)
    tables = ("per_element", "confusion", "confused_pairs", "crystals", "mistakes")
    assert {p.name for p in tmp_path.iterdir()} == {"summary.json", *(f"{name}.csv" for name in tables)}
    assert (tmp_path / "mistakes.csv").read_text().count("\n") == evaluation.summary()["mistakes"] + 1
    assert json.loads((tmp_path / "summary.json").read_text())["note"] is None

    confusion = list(csv.DictReader((tmp_path / "confusion.csv").open()))
    assert [row["true"] for row in confusion] == ["O", "H", "C", "Li"]
    assert [row["known"] for row in confusion] == ["yes", "yes", "yes", "no"]
    counted = sum(int(row[e]) for row in confusion for e in ("H", "C", "O"))
    assert counted == evaluation.summary()["sites"]

    elements = list(csv.DictReader((tmp_path / "per_element.csv").open()))
    assert [row["element"] for row in elements] == ["H", "C", "O"]
    carbon = next(row for row in confusion if row["true"] == "C")
    assert elements[1]["taken_for"] == max(("H", "O"), key=lambda e: int(carbon[e]))

    pairs = list(csv.DictReader((tmp_path / "confused_pairs.csv").open()))
    counts = [int(row["sites"]) for row in pairs]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == evaluation.summary()["mistakes"]

    crystals = list(csv.DictReader((tmp_path / "crystals.csv").open()))
    assert sum(int(row["mistakes"]) for row in crystals) == evaluation.summary()["mistakes"]
    assert int(crystals[0]["mistakes"]) == max(int(row["mistakes"]) for row in crystals)


def test_only_unknown_elements_beside_known_crystals() -> None:
    dataset = random_dataset()
    keep = dataset.columns["crystal"] != "none"
    dataset = MemoryDataset({k: v[keep] for k, v in dataset.columns.items()})
    evaluation = evaluate_model(ShellModel(elements=(1,)), dataset)
    assert evaluation.accuracy == 1.0
    assert evaluation.accuracy_of_all < 0.6
