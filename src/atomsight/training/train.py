"""Train a model on a dataset, from settings to an exported model in a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.progress import OnProgress
from atomsight.core.version import __version__
from atomsight.models.load import load_model
from atomsight.models.onnx.floats import flushed
from atomsight.training.extra import require_training_packages
from atomsight.training.hardware import Hardware
from atomsight.training.processes import is_first_process
from atomsight.training.registry import architecture_class
from atomsight.training.run_folder import RunFolder
from atomsight.training.settings import Settings, check_dataset, chosen_elements

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.training.architecture import Architecture, SiteBatch
    from atomsight.training.data import Task


@dataclass(frozen=True)
class Start:
    """Initial weights other than random ones, see ``grow.py`` and ``finetune.py``.

    Attributes:
        set_weights: called before the first step with the architecture and the batches of ``val``.
        record: goes into ``settings.json``: where the weights come from.
        all_present: refuse a dataset whose train split lacks one of the elements.
    """

    set_weights: Callable[[Architecture, Iterable[SiteBatch]], None]
    record: dict[str, Any] = field(default_factory=dict)
    all_present: bool = True


def train_model(
    dataset: Dataset,
    out: str | Path,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    hardware: Hardware | None = None,
    progress: OnProgress | None = None,
    start: Start | None = None,
) -> Model:
    """Train a model on the ``train`` split, choose and calibrate on ``val``, export, and open the result.

    The run folder is described in ``run_folder.py``. A run that was interrupted at any moment goes on with
    ``resume`` and ends with the weights of an undisturbed one, if the number of threads is the same.

    Args:
        dataset: an open dataset.
        out: the run folder.
        settings: what to train; None is the default two-stage model.
        resume: go on with the run in ``out``; one that has ended is only opened.
        hardware: where; None is this process, on the CPU.
        progress: receives the progress after each step and epoch.
        start: initial weights; None draws them with the seed.

    Raises:
        MissingExtraError: PyTorch, Lightning or onnx is not installed.
        InputError: a setting cannot be used; ``out`` holds another run, or other settings than those to go on
            with.
        DatasetError: the dataset holds too few neighbours, lacks an element, or its train or val split is
            empty.
        ModelError: the exported model does not compute what the trained one does, or a checkpoint is of
            another version.
    """
    settings, hardware = settings or Settings(), hardware or Hardware()
    check_dataset(settings, dataset)
    elements = chosen_elements(settings.elements, dataset, all_present=start is None or start.all_present)
    if not set(elements) & set(dataset.element_counts("val")):
        raise DatasetError(
            f"the val split of {dataset.path} holds none of the elements; build it from more crystals"
        )
    require_training_packages()
    _check_architecture(settings, hardware)
    run = RunFolder(Path(out))
    first = hardware.processes == 1 or is_first_process()
    if first:
        run.claim(settings, {**dataset_record(dataset, elements), **(start.record if start else {})}, resume)
    if not run.ended:
        from atomsight.training.data import Task

        with flushed():
            _train(Task(dataset, settings, elements), run, hardware, progress if first else None, start)
    return load_model(run.path)


def dataset_record(dataset: Dataset, elements: tuple[int, ...]) -> dict[str, Any]:
    """What ``settings.json`` tells of the dataset and the versions."""
    return {
        "chosen": [SYMBOLS[z] for z in elements],
        "dataset": str(dataset.path),
        "fingerprint": dataset.fingerprint,
        "atomsight": __version__,
    }


def _check_architecture(settings: Settings, hardware: Hardware) -> None:
    """Refuse settings that the architecture cannot serve."""
    kind, name = architecture_class(settings.model), f"a {settings.model} model"
    whole, draws, in_memory = kind.whole_crystals, settings.per_crystal, hardware.in_memory
    refused = {
        f"{name} learns from crystals and decoys, not from a dataset alone; train it with: "
        f"python -m workshop.{settings.model}.train": not kind.names_elements,
        f"{name} learns from whole crystals; train it without a cap": settings.cap and whole,
        f"{name} learns from single sites; train it without per_crystal": draws and not whole,
        "per_crystal draws crystals as they are read; train without in_memory": draws and in_memory,
        "in_memory is for models that learn from whole crystals, on one device": in_memory
        and (hardware.processes > 1 or not whole),
    }
    for text, applies in refused.items():
        if applies:
            raise InputError(text)


def _train(
    task: Task, run: RunFolder, hardware: Hardware, progress: OnProgress | None, start: Start | None
) -> None:
    import torch

    from atomsight.training.export import finish
    from atomsight.training.in_memory import InMemoryCrystals
    from atomsight.training.loop import Schedule, Training, prepare

    started = time.perf_counter()
    prepare(hardware, task.settings.seed)
    architecture = architecture_class(task.settings.model)(task.settings.k, task.elements)
    task = task.sized(architecture)
    batches: dict[str, Any] = {split: task.stream(architecture, split) for split in ("train", "val")}
    architecture.prepare(batches["train"])
    if start is not None:
        start.set_weights(architecture, batches["val"])
    if hardware.in_memory:
        on = torch.device("cuda" if hardware.accelerator in ("gpu", "cuda") else "cpu")
        batches = {split: InMemoryCrystals(stream, on, lambda: 0) for split, stream in batches.items()}
    settings = task.settings
    schedule = Schedule(task.steps(architecture), settings.patience, settings.epochs, settings.learning_rate)
    epochs = Training(architecture, batches, run, schedule, hardware, progress).fit()
    if hardware.processes == 1 or is_first_process():
        finish(architecture, task, run, epochs, time.perf_counter() - started)
    if hardware.processes > 1 and torch.distributed.is_initialized():
        torch.distributed.barrier()
