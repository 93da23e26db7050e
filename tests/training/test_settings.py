from __future__ import annotations

import pytest

from atomsight.core.elements import TWENTY
from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import Dataset
from atomsight.training.settings import NAMED_ELEMENTS, Settings, check_dataset, chosen_elements


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("top2", (1, 6)),
        ("TOP-3", (1, 6, 8)),
        ("all", (1, 6, 8, 30)),
        ("O,H", (1, 8)),
        ("zn h", (1, 30)),
    ],
)
def test_choices_of_elements(text: str, elements: tuple[int, ...], learnable: Dataset) -> None:
    assert chosen_elements(text, learnable) == elements


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("Xx,H", InputError, "'Xx' is not a chemical element"),
        ("H", InputError, "at least two"),
        ("top1", InputError, "at least two"),
        ("top9", DatasetError, "holds 4 elements; ask for top4 or all"),
        ("H,C,Fe,U", DatasetError, "holds no Fe, U"),
        ("twenty", DatasetError, "holds no B, N"),
    ],
)
def test_elements_that_cannot_be(text: str, error: type[Exception], message: str, learnable: Dataset) -> None:
    with pytest.raises(error, match=message):
        chosen_elements(text, learnable)


def test_named_choices_are_the_studies() -> None:
    assert NAMED_ELEMENTS["twenty"] == TWENTY
    assert len(NAMED_ELEMENTS["ten"]) == 10


def test_a_dataset_of_too_few_neighbours_is_refused(learnable: Dataset) -> None:
    check_dataset(Settings(k=6), learnable)
    with pytest.raises(DatasetError, match=r"k = 7 asked for, but the dataset .* holds k = 6"):
        check_dataset(Settings(k=7), learnable)


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"cap": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"model": "three-stage"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    name = next(iter(wrong))
    with pytest.raises(InputError, match=name.replace("model", "two-stage")):
        Settings(**wrong)
