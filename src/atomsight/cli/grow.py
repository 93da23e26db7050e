"""``atomsight grow``: a trained model taken to a larger k."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._output import RESUME, emit, err, finish, keeps, note
from atomsight.cli.train import progress, show_result
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import OnProgress, Progress

EPILOG = "Example: atomsight grow runs/k10 mofs -k 11 --out runs/k11"


@keeps(RESUME)
def grow(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training run.")],
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    k: Annotated[int, typer.Option("-k", help="The new k, larger than that of RUN.")],
    folder: Annotated[Path, typer.Option("--out", "-o", metavar="RUN2", help="The new run folder.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes in each stage; 4 by default.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the schedule; 0.03 by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the order of the sites; that of RUN by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of PyTorch; all cores by default.", show_default=False)
    ] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, or auto.")] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per event, then the result.")
    ] = False,
) -> None:
    """Take a trained model to a larger k: its weights are kept, the new distances begin with weight zero.

    Before its first step the grown model predicts exactly as the old one, which is checked; then it is
    fine-tuned. RUN2 is a run folder like any other.
    """
    import json

    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset
    from atomsight.training.grow import EPOCHS, GROWN_FILE, LEARNING_RATE, grow_model
    from atomsight.training.hardware import Hardware

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    with _progress(as_json) as show:
        grown = grow_model(
            run,
            dataset,
            k,
            folder,
            epochs=EPOCHS if epochs is None else epochs,
            learning_rate=LEARNING_RATE if learning_rate is None else learning_rate,
            seed=seed,
            resume=resume,
            hardware=Hardware(threads, accelerator),
            progress=show,
        )
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    before = json.loads((run / "result.json").read_text(encoding="utf-8"))
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    if settings["fingerprint"] != dataset.fingerprint:
        note(
            f"{run} was trained on another dataset: crystals of val and test may be among what it learnt "
            "from",
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


@contextmanager
def _progress(as_json: bool) -> Iterator[OnProgress]:
    with progress(as_json) as show:

        def show_all(now: Progress) -> None:
            record = now.record
            if now.stage != "grown":
                show(now)
            elif as_json:
                emit(dict(record))
            else:
                err.print(
                    f"before training: the same answers as {record['from']['run']} to "
                    f"{record['difference']:.1g} in probability ({counted(record['sites'], 'site')} of val); "
                    f"{record['parameters_before']:,} -> {record['parameters']:,} parameters",
                    soft_wrap=True,
                )

        yield show_all
