"""``atomsight train``: a dataset to a trained, calibrated and exported model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomsight.cli._output import RESUME, emit, err, finish, keeps, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import OnProgress, Progress

EPILOG = "Example: [bold]atomsight train dataset --model two-stage -k 10 --elements top20 --out runs/first[/]"


@keeps(RESUME)
def train(
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    folder: Annotated[
        Path, typer.Option("--out", "-o", metavar="RUN", help="Run folder: metrics, checkpoints, model.")
    ],
    model: Annotated[str, typer.Option(help="Kind of model.")] = "two-stage",
    k: Annotated[int, typer.Option("-k", help="Neighbours that the model looks at.")] = 10,
    elements: Annotated[
        str, typer.Option(help="topN (most abundant in the train split), twenty, ten, all, or H,C,N,O.")
    ] = "top20",
    cap: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most N train sites of each element.", show_default=False),
    ] = None,
    per_crystal: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="An epoch takes a crystal of n > N sites with chance N / n, so that large ones do not "
            "drown small ones.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most passes in each stage; the model's own choice by default.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Sites a step; the model's own choice by default.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the schedule; the model's own choice by default.")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better score on val before a stage stops.")
    ] = 12,
    seed: Annotated[int, typer.Option(help="Of the weights, the cap and the order of the sites.")] = 0,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Go on from a trained masked-site model: bundled name, run folder or file. Kind, k and "
            "elements are the model's.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of PyTorch; all cores by default.", show_default=False)
    ] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, or auto.")] = "cpu",
    devices: Annotated[
        int, typer.Option(min=1, help="Processes on each machine, one per GPU; they share each step.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, help="Machines; run the same command on each, see the documentation.")
    ] = 1,
    in_memory: Annotated[
        bool, typer.Option("--in-memory", help="Hold the sites on the device: a GPU outruns the files.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per epoch, then the result.")
    ] = False,
) -> None:
    """Train a model on the train split; val tells when to stop and calibrates it; test is never touched.

    Stopped at any moment, it goes on with --resume and ends with the same weights.
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
    if begin is not None and (model, k, elements) != ("two-stage", 10, "top20"):
        raise InputError(
            "--from takes kind, k and elements from the model; leave --model, -k, --elements out"
        )
    with progress(as_json) as show:
        trained = train_model(
            dataset_path,
            folder,
            settings,
            start_from=begin,
            resume=resume,
            hardware=Hardware(threads, accelerator, devices, nodes, in_memory),
            progress=show,
        )
    if devices * nodes > 1 and not is_first_process():
        return
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if as_json:
        emit(
            {
                "event": "result",
                "run": str(folder),
                "k": trained.k,
                "elements": len(trained.elements),
                **result,
            }
        )
    else:
        show_result(folder, trained.k, len(trained.elements), result)
        err.print(
            f"next: atomsight evaluate {folder} {dataset_path} --split test --out {folder}/evaluation",
            soft_wrap=True,
        )
    finish(1)


@contextmanager
def progress(as_json: bool) -> Iterator[OnProgress]:
    """A bar for the epoch under way, and a line for each that has ended."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading the dataset", total=None)

        def show(now: Progress) -> None:
            place, record = f"{now.stage} {now.epoch}/{now.epochs}", now.record
            if not record:
                bar.update(task, description=place, completed=now.done, total=now.total)
            elif as_json:
                emit(dict(record))
            else:
                err.print(
                    f"{place:16} loss {record['train_loss']:.4f}, val {record['val_loss']:.4f}, "
                    f"accuracy {record['val_accuracy']:.4f}, macro recall {record['val_macro_recall']:.4f}, "
                    f"{record['seconds']:.1f} s",
                )

        yield show


def show_result(folder: Path, k: int, elements: int, result: dict[str, Any]) -> None:
    """Print what a training run came to."""
    from rich.table import Table

    val = result["val"]
    table = Table.grid(padding=(0, 2))
    table.add_row("model", f"{folder / 'model.onnx'}: k = {k}, {counted(elements, 'element')}")
    epochs = ", ".join(f"{stage} {n}" for stage, n in result["epochs"].items())
    table.add_row("epochs", f"{epochs}; {result['seconds']:.1f} s")
    table.add_row("val", counted(val["sites"], "site"))
    table.add_row("accuracy", f"{100 * val['accuracy']:.1f} %")
    table.add_row("macro recall", f"{100 * val['macro_recall']:.1f} %")
    error, before = val["calibration_error"], val["calibration_error_uncalibrated"]
    table.add_row("calibration error", f"{100 * error:.2f} % ({100 * before:.2f} % before calibration)")
    out.print(table)
