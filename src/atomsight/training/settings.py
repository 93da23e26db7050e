"""Settings of a training run: checked at once, stored in the run folder, compared on resume."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import SYMBOLS, TEN, TWENTY, parse_elements
from atomsight.core.errors import DatasetError, InputError
from atomsight.geometry.neighbours import checked_k
from atomsight.training.registry import check_architecture

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

NAMED_ELEMENTS = {"twenty": TWENTY, "ten": TEN}


@dataclass(frozen=True)
class RunSettings:
    """Settings that a run folder stores and compares on resume."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values by name, for JSON."""
        return asdict(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Return the differences from other settings, as ``name was OTHER, is THIS``."""
        return [
            f"{field.name} was {other.get(field.name)}, is {getattr(self, field.name)}"
            for field in fields(self)
            if other.get(field.name) != getattr(self, field.name)
        ]

    def check_numbers(self, **least: int) -> None:
        """Refuse numbers that are too small; None is accepted.

        Args:
            **least: lower limit of each number by its name.

        Raises:
            InputError: one is below its limit, or the learning rate is not positive.
        """
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise InputError(f"{name} is {value}; it must be at least {smallest}")
        rate = getattr(self, "learning_rate", None)
        if rate is not None and not 0 < rate < float("inf"):
            raise InputError(f"learning_rate is {rate}; it must be positive")


@dataclass(frozen=True)
class Settings(RunSettings):
    """Everything that determines the result of a training run, besides the dataset.

    Attributes:
        model: name of the architecture.
        k: neighbours of a site.
        elements: choice of elements: ``top20`` (the 20 most abundant in the train split), ``twenty``,
            ``ten``, ``all``, or symbols such as ``H,C,N,O``.
        cap: largest number of train sites of each element, drawn with the seed; None takes all.
        per_crystal: a crystal of more sites, n, is in an epoch with probability ``per_crystal`` / n, so that
            large crystals do not dominate; for models of whole crystals. None takes all.
        epochs: passes over the train sites in each stage; None takes the architecture's default.
        batch_size: sites of a step; None takes the architecture's default.
        learning_rate: peak of the schedule; None takes the architecture's default.
        patience: a stage stops after this many epochs in which its score on ``val`` did not improve.
        seed: of initial weights, cap and order of the sites.
    """

    model: str = "two-stage"
    k: int = 10
    elements: str = "top20"
    cap: int | None = None
    per_crystal: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        check_architecture(self.model)
        checked_k(self.k)
        self.check_numbers(cap=1, per_crystal=1, epochs=1, batch_size=1, patience=1, seed=0)


def chosen_elements(text: str, dataset: Dataset, *, all_present: bool = True) -> tuple[int, ...]:
    """Return the atomic numbers of a choice of elements on a dataset, ascending.

    Args:
        text: the choice.
        dataset: an open dataset.
        all_present: refuse elements that the train split lacks.

    Raises:
        InputError: the choice is not understood, or names fewer than two elements.
        DatasetError: the train split is empty or lacks one of the elements.
    """
    counts = dataset.element_counts("train")
    if not counts:
        raise DatasetError(f"the train split of {dataset.path} holds no site; build it from more crystals")
    word = text.strip().lower()
    top = re.fullmatch(r"top[-_ ]?(\d+)", word)
    if word == "all":
        numbers = tuple(sorted(counts))
    elif top:
        wanted = int(top.group(1))
        if wanted > len(counts):
            raise DatasetError(
                f"{text}: the train split of {dataset.path} holds {len(counts)} elements; "
                f"ask for top{len(counts)} or all"
            )
        numbers = tuple(sorted(list(counts)[:wanted]))
    else:
        numbers = parse_elements(NAMED_ELEMENTS.get(word, text))
    if len(numbers) < 2:
        raise InputError(f"elements {text!r} name {len(numbers)} element; a model tells at least two apart")
    absent = [SYMBOLS[z] for z in numbers if z not in counts]
    if absent and all_present:
        raise DatasetError(
            f"the train split of {dataset.path} holds no {', '.join(absent)}; leave them out of the elements"
        )
    return numbers


def check_dataset(settings: Settings, dataset: Dataset) -> None:
    """Refuse a dataset that cannot serve the settings.

    Raises:
        DatasetError: it holds fewer neighbours than k.
    """
    if settings.k > dataset.k:
        raise DatasetError(
            f"k = {settings.k} asked for, but the dataset {dataset.path} holds k = {dataset.k}; "
            f"train with -k {dataset.k} or less, or build the dataset again with -k {settings.k}"
        )
