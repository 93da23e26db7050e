"""The entry of training: from a dataset and settings to a model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from atomsight.core.progress import OnProgress
from atomsight.dataset.store import Dataset, open_dataset
from atomsight.models.base import Model
from atomsight.training.finetune import train_further
from atomsight.training.hardware import Hardware
from atomsight.training.settings import Settings
from atomsight.training.train import train_model


def train(
    dataset: Dataset | str | Path,
    out: str | Path,
    settings: Settings | None = None,
    *,
    start_from: str | Path | None = None,
    resume: bool = False,
    hardware: Hardware | None = None,
    progress: OnProgress | None = None,
    **options: Any,
) -> Model:
    """Train a model on the ``train`` split, select and calibrate it on ``val``, and export it.

    An interrupted run continues with ``resume`` and ends with the weights of an undisturbed one, if the
    number of threads is the same.

    Args:
        dataset: a dataset or its folder.
        out: the run folder, for metrics, checkpoints and the model.
        settings: what to train; None is the default two-stage model.
        start_from: name, run folder or file of a masked-site model whose weights the training starts from;
            model, k and elements are then those of it.
        resume: continue the run in ``out``; one that has ended is only opened.
        hardware: threads and devices; None is this process, on the CPU.
        progress: receives the progress after each step, and after each epoch with its scores as
            `Progress.record`.
        options: fields of `Settings` that replace those of ``settings``, such as ``k=16``.

    Returns:
        The trained model.

    Raises:
        MissingExtraError: PyTorch, Lightning or onnx is not installed.
        InputError: a setting cannot be used; ``out`` holds another run, or other settings than those to
            continue with.
        DatasetError: the dataset holds too few neighbours, lacks an element, or its train or val split is
            empty.
        ModelError: the exported model does not compute what the trained one does, or a checkpoint is of
            another version.

    Example:
        >>> model = atomsight.train("crystals", "runs/first", k=10, elements="top20")  # doctest: +SKIP
    """
    begin = train_model if start_from is None else partial(train_further, start_from)
    opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    how: dict[str, Any] = {"resume": resume, "hardware": hardware, "progress": progress}
    return begin(opened, out, replace(settings or Settings(), **options), **how)
