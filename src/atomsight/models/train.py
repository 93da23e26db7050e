"""Train a model on a dataset, from settings to an exported model in a run folder."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight._version import __version__
from atomsight.elements import SYMBOLS
from atomsight.errors import DatasetError, InputError, MissingExtraError
from atomsight.models import calibrate
from atomsight.models.export import check_agreement, write_model
from atomsight.models.floats import flushed
from atomsight.models.processes import is_first_process
from atomsight.models.registry import kind_named
from atomsight.models.run_folder import RunFolder
from atomsight.models.runtime import load_model
from atomsight.models.sets import CALIBRATION_SITES, fit_sets
from atomsight.models.settings import Settings, check_dataset, chosen_elements

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models.base import Model
    from atomsight.models.fitting import Architecture, Stage, Start, Watcher


def train_model(
    dataset: Dataset,
    out: str | Path,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    threads: int | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    in_memory: bool = False,
    watch: Watcher | None = None,
    start: Start | None = None,
    origin: dict[str, Any] | None = None,
    all_present: bool = True,
) -> Model:
    """Train a model on the ``train`` split, choose and calibrate on ``val``, export, and open the result.

    The run folder is described in ``run_folder.py``. A run that was interrupted at any moment goes on with
    ``resume`` and ends with the weights of an undisturbed one, if the number of threads is the same.

    Args:
        dataset: an open dataset.
        out: the run folder.
        settings: what to train; None is the default two-stage model.
        resume: go on with the run in ``out``; one that has ended is only opened.
        threads: threads of PyTorch; None leaves its own choice.
        accelerator: as Lightning takes it: ``cpu``, ``gpu``, ``auto``.
        devices: processes on each machine, one for each GPU; with more than one in all, Lightning's DDP
            averages their gradients, and each step is over the same sites as in one process. Lightning runs
            the calling script again for each, so that all of them come here; the others return, too, once
            the first has written the model (``processes.py``).
        nodes: machines.
        in_memory: hold train and val sites on the device instead of streaming them each epoch (some 200
            bytes a site); only for models of whole crystals, on one device.
        watch: receives progress, see ``fitting.Watcher``.
        start: called before the first step with the architecture and the batches of ``val``, to set other
            initial weights; see ``grow.py``.
        origin: goes into ``settings.json``: where these weights come from.
        all_present: refuse a dataset whose train split lacks one of the elements.

    Raises:
        MissingExtraError: PyTorch, Lightning or onnx is not installed.
        InputError: a setting cannot be used; ``out`` holds another run, or other settings than those to go on
            with.
        DatasetError: the dataset holds too few neighbours, lacks an element, or its train or val split is
            empty.
        ModelError: the exported model does not compute what the trained one does.
    """
    settings = settings or Settings()
    check_dataset(settings, dataset)
    elements = chosen_elements(settings.elements, dataset, all_present=all_present)
    if not set(elements) & set(dataset.element_counts("val")):
        raise DatasetError(
            f"the val split of {dataset.path} holds none of the elements; build it from more crystals"
        )
    require_training_packages()
    if settings.cap and kind_named(settings.model).architecture_class().whole_crystals:
        raise InputError(f"a {settings.model} model learns from whole crystals; train it without a cap")
    if settings.per_crystal:
        if not kind_named(settings.model).architecture_class().whole_crystals:
            raise InputError(
                f"a {settings.model} model learns from single sites; train it without per_crystal"
            )
        if in_memory:
            raise InputError("per_crystal draws crystals as they are read; train without in_memory")
    if in_memory and (
        devices * nodes > 1 or not kind_named(settings.model).architecture_class().whole_crystals
    ):
        raise InputError("in_memory is for models that learn from whole crystals, on one device")
    run = RunFolder(Path(out))
    if devices < 1 or nodes < 1:
        raise InputError(f"devices and nodes must be at least 1, not {devices} and {nodes}")
    first = devices * nodes == 1 or is_first_process()
    if first:
        run.claim(settings, {**_record(dataset, elements), **(origin or {})}, resume)
    if not run.ended:
        hardware = {"accelerator": accelerator, "devices": devices, "num_nodes": nodes}
        with flushed():
            told = watch if first else None
            _train(dataset, elements, settings, run, threads, hardware, told, start, in_memory)
    return load_model(run.path)


def require_training_packages() -> None:
    """Prove that what training needs is installed.

    Raises:
        MissingExtraError: it is not.
    """
    # Threads that wait for each other must sleep, not spin: on a machine that does other work too, spinning
    # OpenMP threads make the small steps of these networks a hundred times slower. Read by OpenMP when
    # PyTorch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for package in ("torch", "lightning", "onnx"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package, "train", "training a model") from error


def _record(dataset: Dataset, elements: tuple[int, ...]) -> dict[str, Any]:
    return {
        "chosen": [SYMBOLS[z] for z in elements],
        "dataset": str(dataset.path),
        "fingerprint": dataset.fingerprint,
        "atomsight": __version__,
    }


def _train(
    dataset: Dataset,
    elements: tuple[int, ...],
    settings: Settings,
    run: RunFolder,
    threads: int | None,
    hardware: dict[str, Any],
    watch: Watcher | None,
    start: Start | None,
    in_memory: bool = False,
) -> None:
    import torch

    from atomsight.models.stream import SiteStream

    if threads is not None:
        torch.set_num_threads(threads)
    if hardware["accelerator"] != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32 where the device has it
    started = time.perf_counter()
    torch.manual_seed(settings.seed)
    architecture = kind_named(settings.model).architecture_class()(settings.k, elements)
    whole = architecture.whole_crystals
    sites = _sites_of_epoch(dataset, settings) if whole else _train_sites(dataset, elements, settings)
    batch_size = settings.batch_size or architecture.batch_size(sites)
    settings = replace(settings, batch_size=batch_size)
    streams = {
        split: SiteStream(dataset, settings, elements, architecture.columns, split, whole)
        for split in ("train", "val")
    }
    architecture.prepare(streams["train"])
    if start is not None:
        start(architecture, streams["val"])
    steps = -(-sites // batch_size)
    reading: dict[str, Any] = dict(streams)
    if in_memory:
        from atomsight.models.held import HeldCrystals

        on = torch.device("cuda" if hardware["accelerator"] in ("gpu", "cuda") else "cpu")
        reading = {split: HeldCrystals(stream, on, lambda: 0) for split, stream in streams.items()}
    earlier: list[dict[str, Any]] = []
    for stage in architecture.stages():
        earlier += _fit(
            architecture,
            _adjusted(stage, settings),
            reading,
            steps,
            settings,
            run,
            earlier,
            hardware,
            watch,
        )
    many = hardware["devices"] * hardware["num_nodes"] > 1
    if not many or is_first_process():
        seconds = time.perf_counter() - started
        finish(architecture, dataset, elements, settings, run, streams["val"], earlier, seconds)
    if many and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _sites_of_epoch(dataset: Dataset, settings: Settings) -> int:
    """How many sites an epoch over whole crystals sees, on average with ``per_crystal``."""
    if settings.per_crystal is None:
        return dataset.n_sites("train")
    crystals = dataset.crystals(["n_sites", "split"]).to_pydict()
    sizes = [n for n, split in zip(crystals["n_sites"], crystals["split"], strict=True) if split == "train"]
    return sum(min(n, settings.per_crystal) for n in sizes)


def _train_sites(dataset: Dataset, elements: tuple[int, ...], settings: Settings) -> int:
    counts = dataset.element_counts("train")
    return sum(min(counts[z], settings.cap or counts[z]) for z in elements if z in counts)


def _adjusted(stage: Stage, settings: Settings) -> Stage:
    return replace(
        stage,
        epochs=settings.epochs or stage.epochs,
        learning_rate=settings.learning_rate or stage.learning_rate,
    )


def _fit(
    architecture: Architecture,
    stage: Stage,
    streams: dict[str, Any],
    steps: int,
    settings: Settings,
    run: RunFolder,
    earlier: list[dict[str, Any]],
    hardware: dict[str, Any],
    watch: Watcher | None,
) -> list[dict[str, Any]]:
    """Train what is left of a stage; the network then has its best weights. Gives the epochs' records."""
    import lightning.pytorch as lightning
    import torch
    from torch.utils.data import DataLoader

    from atomsight.models.fitting import Keeper, StageModule
    from atomsight.models.stream import alone

    checkpoint = run.checkpoints / f"{stage.name}.ckpt"
    keeper = Keeper(checkpoint, settings.patience, lambda history: run.write_epochs(earlier + history), watch)
    if checkpoint.is_file():
        keeper.load_state_dict(torch.load(checkpoint, weights_only=True)["callbacks"][keeper.state_key])
    if not keeper.finished:
        module = StageModule(architecture.network, stage, len(streams["train"].elements), steps)
        streams["train"].epoch = lambda: len(keeper.history)
        loaders = {
            split: DataLoader(stream, batch_size=None, num_workers=0) for split, stream in streams.items()
        }
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Reading is done in a thread of its own; Lightning's advice on worker processes does not apply.
            warnings.filterwarnings("ignore", module="lightning")
            trainer = lightning.Trainer(
                **hardware,
                strategy="ddp" if hardware["devices"] * hardware["num_nodes"] > 1 else "auto",
                max_epochs=stage.epochs,
                gradient_clip_val=stage.longest_gradient,
                callbacks=[keeper],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                default_root_dir=run.path,
            )
            for stream in streams.values():
                stream.place = lambda: (trainer.global_rank, trainer.world_size)
            try:
                trainer.fit(
                    module,
                    loaders["train"],
                    loaders["val"],
                    ckpt_path=checkpoint if checkpoint.is_file() else None,
                    weights_only=True,
                )
            except SystemExit as error:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from error
        for stream in streams.values():
            stream.place = alone
    architecture.network.load_state_dict(keeper.best_weights)
    return keeper.history


def finish(
    architecture: Architecture,
    dataset: Dataset,
    elements: tuple[int, ...],
    settings: Settings,
    run: RunFolder,
    val: Any,
    epochs: list[dict[str, Any]],
    seconds: float,
) -> None:
    """Calibrate on ``val``, write the result and the exported model, and prove that it is the trained one."""
    import torch

    architecture.network.cpu().eval()
    pieces, targets, sites = [], [], 0
    sample = None
    with torch.no_grad():
        for batch in val:
            named = batch["target"] >= 0
            pieces.append(architecture.logits(batch)[named].numpy())
            targets.append(batch["target"][named].numpy())
            sample = sample or {name: tensor.numpy() for name, tensor in batch.items()}
            sites += len(targets[-1])
            if sites >= CALIBRATION_SITES:
                break
    logits, target = np.concatenate(pieces), np.concatenate(targets)
    temperature = calibrate.best_temperature(logits, target)
    before, after = calibrate.softmax(logits), calibrate.softmax(logits, temperature)
    result = {
        "epochs": {
            stage: sum(1 for e in epochs if e["stage"] == stage)
            for stage in dict.fromkeys(e["stage"] for e in epochs)
        },
        "seconds": round(seconds, 1),
        "temperature": temperature,
        "val": {
            "sites": len(target),
            "accuracy": float((after.argmax(axis=1) == target).mean()),
            "macro_recall": calibrate.macro_recall(after, target),
            "log_loss": calibrate.log_loss(logits, target, temperature),
            "log_loss_uncalibrated": calibrate.log_loss(logits, target),
            "calibration_error": calibrate.calibration_error(after, target),
            "calibration_error_uncalibrated": calibrate.calibration_error(before, target),
        },
    }
    metadata = {
        "kind": settings.model,
        "k": settings.k,
        "elements": ",".join(SYMBOLS[z] for z in elements),
        "atomsight": __version__,
        "settings": settings.as_dict(),
        "temperature": temperature,
        "val": result["val"],
        "data": _description(dataset, elements, settings),
        "sets": fit_sets(after, target).as_dict(elements),
    }
    draft = run.path / "draft.onnx"
    write_model(architecture.graph(temperature), metadata, draft)
    assert sample is not None
    named = sample.pop("target") >= 0
    result["export_difference"] = check_agreement(
        after[: int(named.sum())], load_model(draft).probabilities(sample)[named]
    )
    run.write_result(result)
    draft.replace(run.model)


def _description(dataset: Dataset, elements: tuple[int, ...], settings: Settings) -> dict[str, Any]:
    """What the model learnt from: sizes, licences, and the fingerprint that tells the dataset."""
    crystals = dataset.crystals()
    licences = sorted({licence for licence in crystals["licence"].unique().to_pylist() if licence})
    splits = Counter(crystals["split"].to_pylist())
    return {
        "fingerprint": dataset.fingerprint,
        "crystals": splits,
        "train_sites": _train_sites(dataset, elements, settings),
        "licences": licences,
    }
