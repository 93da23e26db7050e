"""``atomsight sweep``: performance against k, and the k that is enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from atomsight.cli._output import AGAIN, Saving, emit, err, finish, keeps, note, out
from atomsight.core.errors import InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import OnProgress, Progress
    from atomsight.evaluate.sweep.report import SweepReport
    from atomsight.evaluate.sweep.suggest import Score

EPILOG = "Example: atomsight sweep mofs -k 1-10 --preset twenty --out sweep"


@keeps(f"finished runs are kept; {AGAIN} to continue")
def sweep(
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    folder: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Runs, tables and figures; gone on with.")
    ],
    k: Annotated[str, typer.Option("-k", help="Numbers of neighbours: 1-10, or 4,8,16.")] = "1-10",
    preset: Annotated[
        str | None,
        typer.Option(
            help="ten: C N O Li Na K Al Si P S with --cap 10000; twenty: the twenty most abundant.",
            show_default=False,
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="topN, twenty, ten, all, or H,C,N,O instead of a preset.", show_default="top20"),
    ] = None,
    cap: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most N train sites of each element.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(help="Kind of model.")] = "two-stage",
    seeds: Annotated[int, typer.Option(help="Runs of each k.")] = 3,
    epochs: Annotated[
        int | None, typer.Option(help="Most passes in each stage; the model's own choice by default.")
    ] = None,
    score: Annotated[str, typer.Option(help="Suggest by macro-recall or accuracy.")] = "macro-recall",
    useful: Annotated[
        float, typer.Option(min=0, max=1, help="A smaller gain in the score is not worth a larger k.")
    ] = 0.005,
    splits: Annotated[
        int, typer.Option(min=0, help="Repeat everything under so many other splits of the crystals.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of PyTorch; all cores by default.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per run, then the table and the suggestion.")
    ] = False,
) -> None:
    """Train a model for each k, show how performance depends on k, and suggest the smallest k that is enough.

    The suggestion comes from the val split, the table and figures show test. Runs that --out already holds
    are not done again, so an interrupted sweep goes on by the same command, and more seeds or a wider range
    of k can be added.
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
    usual_elements, usual_cap = PRESETS[preset or "twenty"]
    settings = Settings(
        model=model,
        elements=elements or usual_elements,
        cap=cap or usual_cap,
        epochs=epochs,
    )
    ks = parse_ks(k)
    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    with _progress(as_json) as progress:
        swept = sweep_k(dataset, folder, ks, settings, seeds=seeds, threads=threads, progress=progress)
        others = []
        for number in range(1, splits + 1):
            place = folder / "splits" / f"{number}"
            other = resplit(dataset, place / "dataset", salt=str(number))
            others.append(
                sweep_k(other, place, ks, settings, seeds=seeds, threads=threads, progress=progress)
            )
    with err.status("resampling"):
        kind = cast("Score", wanted)
        again = [suggest(other.counts["val"], kind, useful=useful).k for other in others]
        report = report_sweep(swept, kind, useful=useful, on_splits=again)
    written = {
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "settings": {name: v for name, v in settings.as_dict().items() if name not in ("k", "seed")},
        "preset": preset,
    }
    saving = Saving()
    with saving:
        write_sweep(report, written, folder)
        _draw(report, folder, f"{dataset.path.name}, {counted(len(swept.elements), 'element')}")
    if as_json:
        _emit(report)
    else:
        _show(report)
        for split, symbols in report.unseen.items():
            if symbols:
                note(f"{split} holds no {', '.join(symbols)}: its scores do not know of them")
        saving.tell(f"tables and figures in {folder}")
    finish(len(swept.runs), saving)


@contextmanager
def _progress(as_json: bool) -> Iterator[OnProgress]:
    """A bar for the run under way, and a line for each that has ended."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading the dataset", total=None)

        def show(now: Progress) -> None:
            record = now.record
            if now.stage != "sweep":
                place = f"{now.stage} {now.epoch}/{now.epochs}"
                bar.update(task, description=place, completed=now.done, total=now.total)
            elif as_json:
                emit(dict(record))
            else:
                err.print(
                    f"{record['done']:3}/{record['runs']}  k = {record['k']:2}, seed {record['seed']}: "
                    f"val accuracy {record['val_accuracy']:.4f}, macro recall "
                    f"{record['val_macro_recall']:.4f}"
                    + (", was there" if record["skipped"] else f", {record['seconds']:.1f} s"),
                )

        yield show


def _draw(report: SweepReport, folder: Path, title: str) -> None:
    from atomsight.plots.style import save
    from atomsight.plots.sweep import confusions_figure, elements_figure, pairs_figure, scores_figure

    swept = report.sweep
    with err.status("drawing"):
        figures = {
            "sweep": scores_figure(report, title=title),
            "sweep-elements": elements_figure(report, title=f"Recall of each element against k: {title}"),
            "sweep-pairs": pairs_figure(report, title=f"Confused pairs against k: {title}"),
            "sweep-confusion": confusions_figure(
                swept.ks, swept.matrices("test"), swept.elements, title=f"Confusion on test: {title}"
            ),
        }
        for name, figure in figures.items():
            save(figure, [folder / f"{name}.png", folder / f"{name}.svg"])


def _emit(report: SweepReport) -> None:
    content = report.as_dict()
    for row in content["table"]:
        emit({"event": "k", **row})
    checks = ("on_test", "on_halves", "on_splits", "sureness", "weighed", "unseen")
    names = ("suggestion", "score", "useful", *checks)
    emit({"event": "suggestion", **{name: content[name] for name in names}})


def _show(report: SweepReport) -> None:
    from rich.table import Table
    from rich.text import Text

    out.print("Per cent, ± one standard error over groups of crystals and seeds")
    table = Table(box=None, pad_edge=False)
    names = ("k", "parameters", "seconds", *("val acc.", "val macro", "test acc.", "test macro"))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows:
        scores = (
            f"{100 * row[f'{split}_{score}']:.2f} ± {100 * row[f'{split}_{score}_error']:.2f}"
            for split in ("val", "test")
            for score in ("accuracy", "macro_recall")
        )
        marked = Text(str(row["k"]), "bold" if row["k"] == report.suggestion.k else "")
        table.add_row(marked, f"{row['parameters']:,}", f"{row['seconds']:.1f}", *scores)
    out.print(table)
    suggestion = report.suggestion
    suggested = Text.assemble((f"suggested: k = {suggestion.k}", "bold"), f", {report.weighed()}")
    out.print(suggested, soft_wrap=True)
    out.print(f"how sure: {report.holds()}", soft_wrap=True)
    out.print(
        f"highest score at k = {suggestion.best}; within one standard error of it from k = "
        f"{suggestion.one_standard_error}",
        soft_wrap=True,
    )
