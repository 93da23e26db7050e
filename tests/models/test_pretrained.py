"""Bundled weights load and give the answers that were recorded.

After adding weights, write what they answer with: python tests/models/test_pretrained.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomsight.core.crystal import Crystal
from atomsight.models import bundled_models, load_model
from atomsight.models.load import DEFAULT, PRETRAINED

ANSWERS = Path(__file__).parent / "pretrained_answers.json"


def crystals() -> list[Crystal]:
    """Rock salt, and a skewed cell of twelve points that no generator need reproduce."""
    salt = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0.5, 0.5, 0.5]])
    salt = np.vstack([salt[:4], (salt[:4] + 0.5) % 1])
    irrational = np.sqrt([2, 3, 5])
    spread = np.arange(1, 13)[:, None] * irrational % 1
    return [
        Crystal(
            name="salt",
            lattice=np.eye(3) * 5.64,
            fractional=salt,
            numbers=np.repeat([11, 17], 4).astype(np.uint8),
            orbits=np.repeat([0, 1], 4).astype(np.int32),
            labels=("Na1", "Cl1"),
        ),
        Crystal(
            name="spread",
            lattice=np.array([[6.0, 0, 0], [1.5, 5.5, 0], [-1.0, 0.7, 6.5]]),
            fractional=spread,
            numbers=np.full(12, 6, dtype=np.uint8),
            orbits=np.arange(12, dtype=np.int32),
            labels=tuple(f"C{i}" for i in range(12)),
        ),
    ]


def answers(name: str) -> list[list[float]]:
    """Probabilities of all sites of both crystals."""
    rows = np.concatenate([p.probabilities for p in load_model(name, threads=1).predict(crystals())])
    return [[round(float(p), 6) for p in row] for row in rows]


@pytest.mark.parametrize("name", bundled_models())
def test_released_weights_answer_as_on_the_first_day(name: str) -> None:
    expected = json.loads(ANSWERS.read_text())
    assert name in expected, "run: python tests/models/test_pretrained.py"
    np.testing.assert_allclose(answers(name), expected[name], atol=1e-4)


@pytest.mark.parametrize("name", bundled_models())
def test_weights_lie_beside_their_card_and_tell_their_figures(name: str) -> None:
    model = load_model(name)
    card = (PRETRAINED / f"{name}.md").read_text()
    assert card.startswith(f"# {name}\n")
    assert f"| accuracy | {model.metadata['test']['accuracy']:.4f} |" in card
    assert model.metadata["licence"] in card
    assert ("distances and directions to" in card) == ("directions" in model.columns)


@pytest.mark.skipif(not bundled_models(), reason="no weights are bundled yet")
def test_the_default_model_is_bundled() -> None:
    assert load_model().name == DEFAULT == load_model("default").name


def write_missing() -> None:
    """Add the answers of weights that have none; those of others are never changed."""
    held = json.loads(ANSWERS.read_text()) if ANSWERS.is_file() else {}
    for name in bundled_models():
        held.setdefault(name, answers(name))
    ANSWERS.write_text(json.dumps(held, indent=None, sort_keys=True) + "\n")


if __name__ == "__main__":
    write_missing()
