"""``atomsight evaluate``: a model scored on crystals that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomsight.cli._output import FILES, Saving, emit, err, finish, keeps, note, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.evaluate import EvaluationResult

EPILOG = "Example: atomsight evaluate runs/two-stage dataset --split test --out evaluation"

SHOWN = 10
"""Confused pairs and mistakes shown; the files hold all of them."""


@keeps(FILES)
def evaluate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run folder, .onnx file, or name of a bundled model.")
    ],
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables and figures here.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split: train, val, test or all.")] = "test",
    trained_on: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Dataset that the model was trained on, to tell which crystals it has seen.",
        ),
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="Name of the model in tables and figures.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network; 0 takes all cores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Score a model on a split of a dataset: what it gets right, what it takes for what, its mistakes.

    Every symmetry-unique site counts once. Sites of elements that the model does not know are counted apart.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from atomsight.core.files import check_folder
    from atomsight.evaluate.result import evaluate as evaluate_model

    check_folder("--out", folder)
    columns = (
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("sites"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("evaluating", total=None)
        result = evaluate_model(
            run,
            dataset_path,
            split=split,
            trained_on=trained_on,
            name=model_name,
            threads=threads,
            progress=lambda now: bar.update(task, completed=now.done, total=now.total),
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
        if folder is not None:
            saving.tell(f"tables and figures in {folder}")
    finish(len(result.evaluation.crystals), saving)


def _warn(summary: dict[str, Any], split: str) -> None:
    seen, crystals = summary["crystals_seen_in_training"], summary["crystals"]
    if split == "train":
        note("the train split is what a model learns from: no measure of what it can do", "warning")
    elif seen:
        note(
            f"{seen} of {counted(crystals, 'crystal')} share a formula or a family with one that the model "
            "was trained on: the figures flatter it",
            "warning",
        )
    elif seen is None:
        note(
            "the model was trained on another dataset, which is not at hand, so crystals that it has seen "
            "cannot be told; name that dataset by --trained-on"
        )
    unknown = summary["sites_of_unknown_elements"]
    if unknown:
        listed = ", ".join(f"{symbol} {n:,}" for symbol, n in list(unknown.items())[:12])
        more = f" and {len(unknown) - 12} more elements" if len(unknown) > 12 else ""
        note(
            f"{counted(sum(unknown.values()), 'site')} of elements that the model does not know, in no "
            f"score: {listed}{more}"
        )


def _show(result: EvaluationResult) -> None:
    from itertools import islice

    from rich.table import Table
    from rich.text import Text

    from atomsight.core.elements import SYMBOLS
    from atomsight.evaluate import confused_pairs
    from atomsight.evaluate.write import element_rows

    evaluation, summary = result.evaluation, result.summary

    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    head = Table.grid(padding=(0, 2))
    known = f", k = {summary['k']}, {counted(summary['elements'], 'element')}"
    head.add_row("model", Text.assemble((evaluation.model, "bold"), known))
    sizes = f"{counted(summary['crystals'], 'crystal')}, {counted(summary['sites'], 'site')}"
    head.add_row("split", f"{evaluation.split}: {sizes}")
    error = summary["accuracy_standard_error"]
    spread = f" ± {percent(error)}" if error else ""
    head.add_row("accuracy", Text.assemble((f"{percent(summary['accuracy'])} %", "bold"), spread))
    head.add_row("macro recall", Text(f"{percent(summary['macro_recall'])} %", "bold"))
    head.add_row(
        "top 3", f"{percent(summary['top3_accuracy'])} % (macro {percent(summary['top3_macro_recall'])} %)"
    )
    head.add_row("calibration error", f"{percent(summary['expected_calibration_error'])} %")
    coverage = percent(summary["coverage_at_99_percent_accuracy"])
    threshold = summary["confidence_for_99_percent_accuracy"]
    answer = "at no confidence" if threshold is None else f"on {coverage} % of the sites ({threshold:.3f})"
    head.add_row("99 % accurate", answer)
    head.add_row("all sites right", counted(summary["crystals_all_right"], "crystal"))
    out.print(head)

    headings = ("element", "sites", "recall", "precision", "top 3", "taken for")
    elements = Table(*headings, title="Elements", title_justify="left")
    for column in elements.columns[1:5]:
        column.justify = "right"
    for row in element_rows(evaluation):
        taken = f"{row['taken_for']} {percent(row['taken_for_share'])} %" if row["taken_for"] else ""
        scores = (percent(row[key]) for key in ("recall", "precision", "top3_recall"))
        elements.add_row(row["element"], f"{row['sites']:,}", *scores, taken)
    out.print(elements)

    pairs = Table("true", "taken for", "sites", "% of true", title="Most confused", title_justify="left")
    pairs.columns[2].justify = pairs.columns[3].justify = "right"
    for p in confused_pairs(evaluation.matrix)[:SHOWN]:
        symbols = evaluation.symbols
        pairs.add_row(symbols[p.true], symbols[p.predicted], f"{p.count:,}", percent(p.rate))
    out.print(pairs)

    worst = Table("crystal", "site", "true", "taken for", "probability", title_justify="left")
    worst.title = f"Most confident mistakes of {summary['mistakes']:,}"
    worst.columns[4].justify = "right"
    for m in islice(result.mistakes, SHOWN):
        worst.add_row(m.crystal, m.label, SYMBOLS[m.true], SYMBOLS[m.predicted], f"{m.probability:.4f}")
    out.print(worst)
