"""The verb ``sweep``: performance as a function of k, and the smallest sufficient k."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, save_figures, show_table
from atomsight.cli._output import AGAIN, Saving, emit, err, finish, interruptible, note, out
from atomsight.core.errors import InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atomsight.core.progress import Progress
    from atomsight.evaluate.sweep.report import SweepReport
    from atomsight.evaluate.sweep.suggest import Score

EPILOG = "Example: atomsight sweep mofs -k 1-10 --preset twenty --out sweep"


@interruptible(f"finished runs are kept; {AGAIN} to continue")
def sweep(
    dataset_path: options.DatasetPath,
    folder: Annotated[
        Path, Option("--out", "-o", metavar="DIR", help="Folder for runs, tables and figures.")
    ],
    k: Annotated[str, Option("-k", help="Values of k: 1-10, or 4,8,16.")] = "1-10",
    preset: Annotated[
        str | None,
        Option(
            help="ten: C N O Li Na K Al Si P S with --cap 10000; twenty: the twenty most abundant elements."
        ),
    ] = None,
    elements: Annotated[
        str | None,
        Option(help="topN, twenty, ten, all, or H,C,N,O instead of a preset.", show_default="top20"),
    ] = None,
    cap: options.ElementCap = None,
    model: options.Architecture = "two-stage",
    seeds: Annotated[int, Option(help="Number of runs with different seeds for each k.")] = 3,
    epochs: options.Epochs = None,
    score: Annotated[
        str, Option(help="Score for the suggestion: macro-recall or accuracy.")
    ] = "macro-recall",
    useful: Annotated[
        float, Option(min=0, max=1, help="Smallest gain in the score that justifies a larger k.")
    ] = 0.005,
    splits: Annotated[
        int, Option(min=0, help="Repeat the sweep with this number of other splits of the crystals.")
    ] = 0,
    threads: options.TorchThreads = None,
    as_json: options.AsJson = False,
) -> None:
    """Train a model for each k, report performance against k, and suggest the smallest sufficient k.

    The suggestion uses the validation split; the table and the figures also show the test split. Finished
    runs in --out are reused. Therefore the same command continues an interrupted sweep, and more seeds or
    values of k can be added.
    """
    wanted = score.replace("-", "_")
    if wanted not in ("macro_recall", "accuracy"):
        raise InputError(f"--score takes macro-recall or accuracy, not {score!r}")

    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset
    from atomsight.dataset.resplit import resplit
    from atomsight.evaluate.sweep.report import report_sweep, write_sweep
    from atomsight.evaluate.sweep.run import PRESETS, parse_ks, sweep_k
    from atomsight.evaluate.sweep.suggest import suggest
    from atomsight.training import Settings

    if preset is not None and preset not in PRESETS:
        raise InputError(f"--preset takes {' or '.join(PRESETS)}, not {preset!r}")
    if preset is not None and elements is not None:
        raise InputError("--preset names the elements; leave out --elements")
    preset_elements, preset_cap = PRESETS[preset or "twenty"]
    settings = Settings(
        model=model, elements=elements or preset_elements, cap=cap or preset_cap, epochs=epochs
    )
    ks = parse_ks(k)
    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    with progress_bar(on_record=_emit_run if as_json else _show_run) as progress:
        work = partial(sweep_k, ks=ks, settings=settings, seeds=seeds, threads=threads, progress=progress)
        swept = work(dataset, folder)
        others = []
        for number in range(1, splits + 1):
            place = folder / "splits" / f"{number}"
            other = resplit(dataset, place / "dataset", salt=str(number))
            others.append(work(other, place))
    with err.status("resampling"):
        metric = cast("Score", wanted)
        on_splits = [suggest(other.counts["val"], metric, useful=useful).k for other in others]
        report = report_sweep(swept, metric, useful=useful, on_splits=on_splits)
    written = {
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "settings": {name: v for name, v in settings.as_dict().items() if name not in ("k", "seed")},
        "preset": preset,
    }
    with Saving() as saving:
        write_sweep(report, written, folder)
        title = f"{dataset.path.name}, {counted(len(swept.elements), 'element')}"
        save_figures(folder, _figures(report, title))
    if as_json:
        _emit(report)
    else:
        _show(report)
        for split, symbols in report.unseen.items():
            if symbols:
                note(f"{split} contains no {', '.join(symbols)}: its scores do not include them")
        saving.report(folder)
    finish(len(swept.runs), saving)


def _show_run(now: Progress) -> None:
    record = now.record
    if now.stage == "sweep":
        end = "finished before" if record["skipped"] else f"{record['seconds']:.1f} s"
        err.print(
            f"{record['done']:3}/{record['runs']}  k = {record['k']:2}, seed {record['seed']}: "
            f"val accuracy {record['val_accuracy']:.4f}, macro recall {record['val_macro_recall']:.4f}, {end}"
        )


def _emit_run(now: Progress) -> None:
    if now.stage == "sweep":
        emit(dict(now.record))


def _figures(report: SweepReport, title: str) -> Iterator[tuple[str, Figure]]:
    """Yield the figures with the names of their files."""
    from atomsight.plots.sweep import confusions_figure, elements_figure, pairs_figure, scores_figure

    swept = report.sweep
    matrices = swept.matrices("test")
    yield "sweep", scores_figure(report, title=title)
    yield "sweep-elements", elements_figure(report, title=f"Recall of each element against k: {title}")
    yield "sweep-pairs", pairs_figure(report, title=f"Confused pairs against k: {title}")
    confusion = confusions_figure(swept.ks, matrices, swept.elements, title=f"Confusion on test: {title}")
    yield "sweep-confusion", confusion


def _emit(report: SweepReport) -> None:
    content = report.as_dict()
    for row in content["table"]:
        emit({"event": "k", **row})
    checks = ("on_test", "on_halves", "on_splits", "sureness", "weighed", "unseen")
    names = ("suggestion", "score", "useful", *checks)
    emit({"event": "suggestion", **{name: content[name] for name in names}})


def _show(report: SweepReport) -> None:
    from rich.text import Text

    suggestion = report.suggestion
    rows: list[tuple[str | Text, ...]] = []
    for row in report.rows:
        scores = (
            f"{100 * row[f'{split}_{score}']:.2f} ± {100 * row[f'{split}_{score}_error']:.2f}"
            for split in ("val", "test")
            for score in ("accuracy", "macro_recall")
        )
        marked = Text(str(row["k"]), "bold" if row["k"] == suggestion.k else "")
        rows.append((marked, f"{row['parameters']:,}", f"{row['seconds']:.1f}", *scores))
    columns = ("k", "parameters", "seconds", "val acc.", "val macro", "test acc.", "test macro")
    title = "Scores in %, ± one standard error over groups of crystals and seeds"
    show_table(columns, "rrrrrrr", rows, title)
    suggested = Text.assemble((f"suggested: k = {suggestion.k}", "bold"), f", {report.weighed()}")
    out.print(suggested, soft_wrap=True)
    out.print(f"stability: {report.holds()}", soft_wrap=True)
    out.print(
        f"highest score at k = {suggestion.best}; within one standard error of it from k = "
        f"{suggestion.one_standard_error}",
        soft_wrap=True,
    )
