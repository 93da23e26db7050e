"""The verb ``grow``: extend a trained model to a larger k."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar
from atomsight.cli._output import RESUME, emit, err, finish, interruptible, note
from atomsight.cli.train import show_epoch, show_result
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import Progress

EPILOG = "Example: atomsight grow runs/k10 mofs -k 11 --out runs/k11"


@interruptible(RESUME)
def grow(
    run: Annotated[Path, Argument(metavar="RUN", help="Folder of a finished training run.")],
    dataset_path: options.DatasetPath,
    k: Annotated[int, Option("-k", help="New k, larger than that of RUN.")],
    folder: Annotated[Path, Option("--out", "-o", metavar="RUN2", help="New run folder.")],
    epochs: Annotated[int, Option(min=1, help="Maximum number of epochs in each stage.")] = 4,
    learning_rate: Annotated[float, Option(help="Peak learning rate of the schedule.")] = 0.03,
    seed: Annotated[
        int | None, Option(min=0, help="Seed of the order of the sites.", show_default="that of RUN")
    ] = None,
    resume: options.Resume = False,
    threads: options.TorchThreads = None,
    accelerator: options.Accelerator = "cpu",
    as_json: options.AsJson = False,
) -> None:
    """Extend a trained model to a larger k and fine-tune it.

    The weights are kept, and those of the new distances start at zero. Before the first step the new model
    is checked to predict exactly as the old one. RUN2 is a run folder like any other.
    """
    import json

    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset
    from atomsight.training.grow import GROWN_FILE, grow_model
    from atomsight.training.hardware import Hardware

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)

    def show(now: Progress) -> None:
        record = now.record
        if now.stage != "grown" or as_json:
            show_epoch(now, as_json)
        else:
            err.print(
                f"before training: the predictions equal those of {record['from']['run']} within "
                f"{record['difference']:.1g} in probability ({counted(record['sites'], 'site')} of val); "
                f"{record['parameters_before']:,} -> {record['parameters']:,} parameters",
                soft_wrap=True,
            )

    with progress_bar(on_record=show) as progress:
        grown = grow_model(
            run,
            dataset,
            k,
            folder,
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            resume=resume,
            hardware=Hardware(threads, accelerator),
            progress=progress,
        )
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    before = json.loads((run / "result.json").read_text(encoding="utf-8"))
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    if settings["fingerprint"] != dataset.fingerprint:
        note(
            f"{run} was trained on another dataset; crystals of val and test may be among its training data",
            "warning",
        )
    if as_json:
        start = json.loads((folder / GROWN_FILE).read_text(encoding="utf-8"))
        emit(
            {"event": "result", "run": str(folder), "k": grown.k, "grown": start, "before": before, **result}
        )
    else:
        show_result(folder, grown.k, len(grown.elements), result)
        old, new = before["val"], result["val"]
        err.print(
            f"val log loss {old['log_loss']:.4f} at k = {settings['k']} -> {new['log_loss']:.4f} at k = {k}, "
            f"accuracy {100 * old['accuracy']:.2f} -> {100 * new['accuracy']:.2f} %, "
            f"macro recall {100 * old['macro_recall']:.1f} -> {100 * new['macro_recall']:.1f} %",
            soft_wrap=True,
        )
    finish(1)
