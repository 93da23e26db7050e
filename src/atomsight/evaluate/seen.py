"""Whether a split was truly kept from a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.core.errors import DatasetError

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models import Model


def training_dataset(model: Model, run: str | Path) -> Dataset | None:
    """The dataset that a run was trained on, where it still lies there unchanged; None where it does not.

    Args:
        model: the run's model.
        run: what the model was opened by; only a run folder names its dataset.
    """
    from atomsight.dataset import open_dataset

    try:
        settings = json.loads((Path(run) / "settings.json").read_text(encoding="utf-8"))
        dataset = open_dataset(settings["dataset"])
    except (OSError, ValueError, KeyError, TypeError, DatasetError):
        return None
    return dataset if dataset.fingerprint == training_fingerprint(model) else None


def training_fingerprint(model: Model) -> str | None:
    """Fingerprint of the dataset that a model was trained on, as its file records it."""
    data = model.metadata.get("data")
    return data.get("fingerprint") if isinstance(data, dict) else None


def crystals_seen(model: Model, dataset: Dataset, split: str, training: Dataset | None) -> int | None:
    """How many crystals of a split share their reduced formula or their family with one that the model learnt
    from.

    Within one dataset the split is leak-free by construction: everything that shares a formula or a family is
    one group, and a group lies in one split. Between two datasets that is not so: the split is a hash of the
    group's name, and other crystals can join a group and change its name, so that what is ``test`` in one is
    ``train`` in the other.

    Args:
        model: a trained model, which records the fingerprint of its dataset.
        dataset: what it is to be evaluated on.
        split: which part of it.
        training: what it was trained on, where that is at hand.

    Returns:
        The number of crystals; None where it cannot be known, because ``training`` is neither given nor the
        same dataset.
    """
    evaluated = _formulas_and_families(dataset, split)
    if dataset.fingerprint == training_fingerprint(model):
        return len(_formulas_and_families(dataset, "train")) if split in ("train", "all") else 0
    if training is None:
        return None
    learnt = _formulas_and_families(training, "train")
    formulas, families = {formula for formula, _ in learnt}, {family for _, family in learnt}
    return sum(formula in formulas or family in families for formula, family in evaluated)


def _formulas_and_families(dataset: Dataset, split: str) -> list[tuple[str, str]]:
    table = dataset.crystals(["formula", "family", "split"]).to_pydict()
    rows = zip(table["formula"], table["family"], table["split"], strict=True)
    return [(formula, family) for formula, family, part in rows if split in (part, "all")]
