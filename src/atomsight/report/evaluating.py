"""Evaluating a run for its report, where that has not been done: the files of ``atomsight evaluate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


def evaluate_run(
    run: Path,
    dataset: Dataset,
    folder: Path,
    *,
    split: str = "test",
    threads: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Score a run on a split of a dataset and write the tables and figures that `evaluate --out` writes.

    Args:
        run: its folder.
        folder: made where it is missing.
        threads: of the network; 0 takes all cores.
        on_progress: called with the number of sites of each batch.

    Raises:
        DatasetError, ModelError: see `evaluate_model`.
    """
    from atomsight.evaluate import MistakeLog, evaluate_model
    from atomsight.evaluate.seen import crystals_seen, training_dataset
    from atomsight.evaluate.tables import write_tables
    from atomsight.models import load_model
    from atomsight.plots import confusion_figure, recall_figure, reliability_figure, save

    model = load_model(str(run), threads=threads)
    with MistakeLog() as log:
        evaluation = evaluate_model(model, dataset, split, mistakes=log, on_progress=on_progress)
        summary = {
            **evaluation.summary(),
            "k": model.k,
            "dataset": str(dataset.path),
            "dataset_fingerprint": dataset.fingerprint,
            "crystals_seen_in_training": crystals_seen(model, dataset, split, training_dataset(model, run)),
        }
        folder.mkdir(parents=True, exist_ok=True)
        log.write_csv(folder / "mistakes.csv")
    title = f"{evaluation.model} on the {evaluation.split} split"
    confusion = confusion_figure(evaluation.matrix, evaluation.elements, title=title)
    save(confusion, [folder / "confusion.png", folder / "confusion.svg"])
    save(recall_figure(evaluation.matrix, evaluation.elements, title=title), folder / "recall.png")
    reliability = reliability_figure(evaluation.calibration, title=title)
    save(reliability, [folder / "reliability.png", folder / "reliability.svg"])
    write_tables(evaluation, summary, folder)
