"""Crystals of a split that a model was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.core.errors import DatasetError

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models import Model


def training_dataset(model: Model, run: str | Path) -> Dataset | None:
    """Open the dataset that a run was trained on; None if it is missing or has changed.

    Args:
        model: Model of the run.
        run: Name or path that the model was loaded by. Only a run folder names its dataset.
    """
    from atomsight.dataset import open_dataset

    try:
        settings = json.loads((Path(run) / "settings.json").read_text(encoding="utf-8"))
        dataset = open_dataset(settings["dataset"])
    except (OSError, ValueError, KeyError, TypeError, DatasetError):
        return None
    return dataset if dataset.fingerprint == training_fingerprint(model) else None


def training_fingerprint(model: Model) -> str | None:
    """Return the fingerprint of the dataset that a model was trained on, as its file records it."""
    data = model.metadata.get("data")
    return data.get("fingerprint") if isinstance(data, dict) else None


def crystals_seen(model: Model, dataset: Dataset, split: str, training: Dataset | None) -> int | None:
    """Count crystals of a split that share a reduced formula or a family with the training data.

    Within one dataset there are none by construction: crystals that share a formula or a family are one
    group, and a group lies in one split. Between two datasets there can be some. The split is a hash of the
    group's name, and other crystals in a group can change its name, so that a crystal can be in ``test`` of
    one dataset and in ``train`` of the other.

    Args:
        model: A trained model, which records the fingerprint of its dataset.
        dataset: The dataset that it is evaluated on.
        split: Part of that dataset.
        training: The dataset that it was trained on, if it is there.

    Returns:
        The number of crystals; None where it is unknown because ``training`` is missing.
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
