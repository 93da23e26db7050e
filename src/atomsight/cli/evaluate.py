"""The verb ``evaluate``: scores of a model on a split of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, show_pairs, show_table
from atomsight.cli._output import FILES, Saving, emit, err, finish, interruptible, note
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.evaluate import EvaluationResult

EPILOG = "Example: atomsight evaluate runs/two-stage dataset --split test --out evaluation"

SHOWN = 10
"""Maximum number of printed element pairs and mistakes; the files contain all of them."""


@interruptible(FILES)
def evaluate(
    run: Annotated[str, Argument(metavar="RUN", help="Run folder, .onnx file, or name of a bundled model.")],
    dataset_path: options.DatasetPath,
    folder: options.ResultFolder = None,
    split: options.Split = "test",
    trained_on: Annotated[
        Path | None,
        Option(
            metavar="DATASET",
            help="Training dataset of the model, used to count crystals that were seen in training.",
            show_default="from the run folder",
        ),
    ] = None,
    model_name: Annotated[str | None, Option(help="Name of the model in tables and figures.")] = None,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
) -> None:
    """Evaluate a model on a split of a dataset: accuracy, recall, confusion matrix, calibration, mistakes.

    Each symmetry-unique site counts once. Sites of elements that the model does not know are reported
    separately.
    """
    from atomsight.core.files import check_folder
    from atomsight.evaluate.result import evaluate as evaluate_model

    check_folder("--out", folder)
    with progress_bar("site") as progress:
        result = evaluate_model(
            run,
            dataset_path,
            split=split,
            trained_on=trained_on,
            name=model_name,
            threads=threads,
            progress=progress,
        )
    saving = Saving()
    if folder is not None:
        from atomsight.plots.evaluation import draw_evaluation

        with saving, err.status("writing"):
            result.write(folder, draw_evaluation)
    _warn(result.summary, split)
    if as_json:
        emit(result.as_dict())
    else:
        _show(result)
        saving.report(folder)
    finish(len(result.evaluation.crystals), saving)


def _warn(summary: dict[str, Any], split: str) -> None:
    seen, crystals = summary["crystals_seen_in_training"], summary["crystals"]
    if split == "train":
        note("scores on the training split are no measure of the accuracy on new crystals", "warning")
    elif seen:
        note(
            f"{seen} of {counted(crystals, 'crystal')} share a formula or a family with training crystals of "
            "the model: the scores are too high",
            "warning",
        )
    elif seen is None:
        note(
            "the training dataset of the model was not found, so crystals seen in training are unknown; name "
            "that dataset with --trained-on"
        )
    unknown = summary["sites_of_unknown_elements"]
    if unknown:
        listed = ", ".join(f"{symbol} {n:,}" for symbol, n in list(unknown.items())[:12])
        more = f" and {len(unknown) - 12} more elements" if len(unknown) > 12 else ""
        note(
            f"{counted(sum(unknown.values()), 'site')} of elements that the model does not know, excluded "
            f"from the scores: {listed}{more}"
        )


def _show(result: EvaluationResult) -> None:
    from itertools import islice

    from rich.text import Text

    from atomsight.core.elements import SYMBOLS
    from atomsight.evaluate import confused_pairs
    from atomsight.evaluate.write import element_rows

    evaluation, summary = result.evaluation, result.summary

    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    known = f", k = {summary['k']}, {counted(summary['elements'], 'element')}"
    sizes = f"{counted(summary['crystals'], 'crystal')}, {counted(summary['sites'], 'site')}"
    error = summary["accuracy_standard_error"]
    spread = f" ± {percent(error)}" if error else ""
    macro = percent(summary["top3_macro_recall"])
    coverage = percent(summary["coverage_at_99_percent_accuracy"])
    threshold = summary["confidence_for_99_percent_accuracy"]
    at_99 = "at no threshold" if threshold is None else f"on {coverage} % of the sites ({threshold:.3f})"
    show_pairs(
        ("model", Text.assemble((evaluation.model, "bold"), known)),
        ("split", f"{evaluation.split}: {sizes}"),
        ("accuracy", Text.assemble((f"{percent(summary['accuracy'])} %", "bold"), spread)),
        ("macro recall", Text(f"{percent(summary['macro_recall'])} %", "bold")),
        ("top 3", f"{percent(summary['top3_accuracy'])} % (macro {macro} %)"),
        ("calibration error", f"{percent(summary['expected_calibration_error'])} %"),
        ("99 % accurate", at_99),
        ("all sites correct", counted(summary["crystals_all_right"], "crystal")),
    )

    def element_cells(row: dict[str, Any]) -> list[str]:
        confused = f"{row['taken_for']} {percent(row['taken_for_share'])} %" if row["taken_for"] else ""
        scores = [percent(row[key]) for key in ("recall", "precision", "top3_recall")]
        return [row["element"], f"{row['sites']:,}", *scores, confused]

    headings = ("element", "sites", "recall", "precision", "top 3", "taken for")
    show_table(headings, "lrrrrl", map(element_cells, element_rows(evaluation)), "Elements, %")

    symbols = evaluation.symbols
    pairs = (
        (symbols[p.true], symbols[p.predicted], f"{p.count:,}", percent(p.rate))
        for p in confused_pairs(evaluation.matrix)[:SHOWN]
    )
    show_table(("true", "taken for", "sites", "% of true"), "llrr", pairs, "Most confused")

    worst = (
        (m.crystal, m.label, SYMBOLS[m.true], SYMBOLS[m.predicted], f"{m.probability:.4f}")
        for m in islice(result.mistakes, SHOWN)
    )
    title = f"Most confident mistakes of {summary['mistakes']:,}"
    show_table(("crystal", "site", "true", "taken for", "probability"), "llllr", worst, title)
