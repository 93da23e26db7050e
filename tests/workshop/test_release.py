from __future__ import annotations

import json
from pathlib import Path

import pytest

from atomsight.core.errors import InputError
from atomsight.models import load_model
from workshop.release import release

SUMMARY = {
    "split": "test",
    "crystals_seen_in_training": 0,
    "k": 4,
    "elements": 3,
    "crystals": 1234,
    "sites_evaluated": 45678,
    "accuracy": 0.98765,
    "accuracy_standard_error": 0.00123,
    "macro_recall": 0.9,
    "top3_accuracy": 1.0,
    "log_loss": 0.05,
    "expected_calibration_error": 0.01,
    "coverage_at_99_percent_accuracy": None,
}

PER_ELEMENT = "\n".join(
    [
        "element,sites,recall,precision,taken_for,taken_for_share",
        "H,30000,0.99,0.98,C,0.007",
        "C,15678,0.97,,,",
        "O,0,,,,",
    ]
)


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "per_element.csv").write_text(PER_ELEMENT)
    return folder


def test_weights_carry_their_figures_and_the_card_shows_them(
    run: Path, evaluation: Path, tmp_path: Path
) -> None:
    weights, card = release(
        run, evaluation, "tiny", data="Made pairs.", credit=["Nobody, CC0"], licence="MIT", out=tmp_path
    )
    model = load_model(weights)
    assert model.name == "tiny"
    assert model.metadata["test"]["accuracy"] == 0.98765
    assert model.metadata["licence"] == "MIT"
    text = card.read_text()
    result = json.loads((run / "result.json").read_text())
    for piece in (
        "# tiny",
        "distances to the 4 nearest neighbours",
        "Elements: H C O",
        "Made pairs.",
        "- Nobody, CC0",
        "| accuracy | 0.9877 |",
        "| sites | 45,678 |",
        "| share of sites answered at 99 % accuracy | none |",
        "| H | 30,000 | 99.0 % | 98.0 % | C 0.7 % |",
        f"Temperature {result['temperature']:.3f}",
        model.metadata["data"]["fingerprint"],
    ):
        assert piece in text, piece
    assert "| O |" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "val"}, "about the split val"),
        ({"crystals_seen_in_training": 7}, "has learnt from"),
        ({"crystals_seen_in_training": None}, "does not know"),
        ({"k": 10}, "another model"),
    ],
)
def test_figures_that_do_not_belong_on_a_card(
    change: dict, message: str, run: Path, evaluation: Path, tmp_path: Path
) -> None:
    (evaluation / "summary.json").write_text(json.dumps(SUMMARY | change))
    with pytest.raises(InputError, match=message):
        release(run, evaluation, "tiny", data="", credit=[], licence="MIT", out=tmp_path)
    assert not (tmp_path / "tiny.onnx").exists()
