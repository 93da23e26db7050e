"""The verb ``train``: train, calibrate and export a model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, show_pairs
from atomsight.cli._output import RESUME, emit, err, finish, interruptible
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import Progress

EPILOG = "Example: [bold]atomsight train dataset --model two-stage -k 10 --elements top20 --out runs/first[/]"


@interruptible(RESUME)
def train(
    dataset_path: options.DatasetPath,
    folder: Annotated[
        Path, Option("--out", "-o", metavar="RUN", help="Run folder for metrics, checkpoints and the model.")
    ],
    model: options.Architecture = "two-stage",
    k: Annotated[int, Option("-k", help="Number of neighbours of each site.")] = 10,
    elements: Annotated[
        str, Option(help="topN (the N most abundant in the training split), twenty, ten, all, or H,C,N,O.")
    ] = "top20",
    cap: options.ElementCap = None,
    per_crystal: Annotated[
        int | None,
        Option(
            metavar="N",
            help="In each epoch use a crystal of n > N sites with probability N / n, so that large crystals "
            "do not dominate.",
            show_default="no limit",
        ),
    ] = None,
    epochs: options.Epochs = None,
    batch_size: Annotated[
        int | None, Option(help="Sites per step.", show_default="depends on the model")
    ] = None,
    learning_rate: options.LearningRate = None,
    patience: Annotated[int, Option(help="Early stopping: epochs without a better validation score.")] = 12,
    seed: Annotated[int, Option(help="Seed of the weights, the cap and the order of the sites.")] = 0,
    start_from: Annotated[
        str | None,
        Option(
            "--from",
            metavar="MODEL",
            help="Fine-tune this masked-site model: bundled name, run folder or file. Architecture, k and "
            "elements are those of the model.",
        ),
    ] = None,
    resume: options.Resume = False,
    threads: options.TorchThreads = None,
    accelerator: options.Accelerator = "cpu",
    devices: Annotated[
        int, Option(min=1, help="Processes per machine, one per GPU; they share each step.")
    ] = 1,
    nodes: Annotated[
        int, Option(min=1, help="Machines; run the same command on each, see the documentation.")
    ] = 1,
    in_memory: Annotated[
        bool, Option("--in-memory", help="Keep the sites in the memory of the device; faster on a GPU.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a model on the training split of a dataset.

    The validation split is used for early stopping and calibration; the test split is not used. An
    interrupted training continues with --resume and ends with the same weights.
    """
    import json

    from atomsight.core.errors import InputError
    from atomsight.core.files import check_folder
    from atomsight.training import Hardware, Settings
    from atomsight.training.processes import is_first_process
    from atomsight.training.run import train as train_model

    check_folder("--out", folder)
    settings = Settings(
        model=model,
        k=k,
        elements=elements,
        cap=cap,
        per_crystal=per_crystal,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
    )
    if start_from is not None and (model, k, elements) != ("two-stage", 10, "top20"):
        raise InputError("--from sets architecture, k and elements; leave out --model, -k and --elements")
    with progress_bar(on_record=partial(show_epoch, as_json=as_json)) as progress:
        trained = train_model(
            dataset_path,
            folder,
            settings,
            start_from=start_from,
            resume=resume,
            hardware=Hardware(threads, accelerator, devices, nodes, in_memory),
            progress=progress,
        )
    if devices * nodes > 1 and not is_first_process():
        return
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if as_json:
        start = {"event": "result", "run": str(folder), "k": trained.k, "elements": len(trained.elements)}
        emit({**start, **result})
    else:
        show_result(folder, trained.k, len(trained.elements), result)
        err.print(
            f"next: atomsight evaluate {folder} {dataset_path} --split test --out {folder}/evaluation",
            soft_wrap=True,
        )
    finish(1)


def show_epoch(now: Progress, as_json: bool) -> None:
    """Print the scores at the end of an epoch."""
    record = now.record
    if as_json:
        emit(dict(record))
        return
    place = f"{now.stage} {now.epoch}/{now.epochs}"
    err.print(
        f"{place:16} loss {record['train_loss']:.4f}, val {record['val_loss']:.4f}, accuracy "
        f"{record['val_accuracy']:.4f}, macro recall {record['val_macro_recall']:.4f}, "
        f"{record['seconds']:.1f} s"
    )


def show_result(folder: Path, k: int, elements: int, result: dict[str, Any]) -> None:
    """Print the result of a training."""
    val = result["val"]
    epochs = ", ".join(f"{stage} {n}" for stage, n in result["epochs"].items())
    error, before = val["calibration_error"], val["calibration_error_uncalibrated"]
    show_pairs(
        ("model", f"{folder / 'model.onnx'}: k = {k}, {counted(elements, 'element')}"),
        ("epochs", f"{epochs}; {result['seconds']:.1f} s"),
        ("val", counted(val["sites"], "site")),
        ("accuracy", f"{100 * val['accuracy']:.1f} %"),
        ("macro recall", f"{100 * val['macro_recall']:.1f} %"),
        ("calibration error", f"{100 * error:.2f} % ({100 * before:.2f} % before calibration)"),
    )
