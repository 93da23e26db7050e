"""``atomsight dataset``: build a dataset, look into one, get a corpus to build from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomsight.cli._output import AGAIN, emit, err, finish, keeps, out
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.core.progress import OnProgress, Progress
    from atomsight.io.policy import QualityPolicy

app = typer.Typer(help="Build a dataset, look into one, or get a corpus to build from.", no_args_is_help=True)


@app.command(epilog="Example: [bold]atomsight dataset build cifs/ more.tar.xz --out mofs -k 24[/]")
@keeps(f"what was read is kept; {AGAIN} to continue")
def build(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="CIFs, folders, tar or zip archives, in order.")
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder of the dataset; an interrupted build goes on.")],
    k: Annotated[int, typer.Option("-k", help="Neighbours of each site.", min=1)] = 24,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one per core.", min=1, show_default=False)
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Workers elsewhere: tcp://HOST:PORT of Dask, slurm, mpi."),
    ] = None,
    one_per_refcode: Annotated[
        bool,
        typer.Option(
            "--one-per-refcode",
            help="Skip files whose CSD refcode gave a crystal in an earlier PATH already.",
        ),
    ] = False,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Licence of all sources, or one for each; by default that of corpus.json beside each.",
        ),
    ] = None,
    bonds: Annotated[
        str,
        typer.Option(
            metavar="none|file|perceive",
            help="Bonds from nowhere, the files' own tables, or these and the geometry.",
        ),
    ] = "file",
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Change a rule on what is read, e.g. min_distance=0.7."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Skipped crystals and a summary as JSON lines.")
    ] = False,
) -> None:
    """Build a dataset: one row per symmetry-unique site with its k-NN distances and neighbours.

    Stopped at any moment and started again it goes on where it was; the result is the same whatever the
    number of workers and interruptions.
    """
    from time import monotonic

    from atomsight.core.files import check_folder
    from atomsight.dataset import build as build_dataset
    from atomsight.parallel.executors import executor_of

    check_folder("--out", to)
    started = monotonic()
    rules = _policy(policy or [])
    with executor_of(cluster, workers) as executor, _progress_bar() as progress:
        summary = build_dataset(
            paths,
            to,
            k,
            policy=rules,
            one_per_refcode=one_per_refcode,
            licence=licence[0] if licence and len(licence) == 1 else licence or None,
            bonds=bonds,
            on_skip=_emit_skip if as_json else None,
            progress=progress,
            executor=executor,
        )
    seconds = monotonic() - started
    index = summary.index
    if as_json:
        emit({**summary.as_dict(), "seconds": round(seconds, 3)})
    elif summary.complete_before:
        err.print(f"{to} was already complete; remove it to build it again")
        _show_counts(index)
    else:
        again = f", {summary.resumed:,} of them from an earlier run" if summary.resumed else ""
        err.print(f"built {to} in {_time(seconds)}{again}")
        _show_counts(index)
        err.print(f"next: atomsight dataset info {to}")
    finish(summary.crystals)


@app.command(epilog="Example: [bold]atomsight dataset info mofs[/]")
def info(
    path: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a dataset.")],
    verify: Annotated[bool, typer.Option("--verify", help="Compare the checksum of every file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what is inside a dataset: crystals, sites, splits, elements by abundance, skips by reason."""
    from atomsight.dataset import open_dataset
    from atomsight.dataset.info import describe
    from atomsight.dataset.store import REPAIR, damaged_files, read_index

    if verify and (damaged := damaged_files(path, read_index(path))):
        names = ", ".join(str(path / name) for name in damaged)
        raise DatasetError(f"damaged: {names}; {REPAIR}")
    dataset = open_dataset(path)
    record = describe(dataset)
    if as_json:
        emit({**record, "verified": verify})
        return
    build_settings = record["build"]
    out.print(f"{path}: k = {record['k']}, {record['bytes'] / 1e6:,.1f} MB", style="bold")
    if build_settings["sources"]:
        out.print(f"from {', '.join(build_settings['sources'])}")
    _show_counts(dataset.metadata)
    out.print(
        f"{counted(record['families'], 'family', 'families')} in {counted(record['groups'], 'group')}, "
        f"the largest of {counted(record['largest_group'], 'crystal')}",
    )
    rows = [
        (e, *(f"{count[name]:,}" for name in ("sites", "train", "val", "test")))
        for e, count in record["elements"].items()
    ]
    _show_table("element", ("sites", "train", "val", "test"), rows)
    for title, counts in (("flag", record["flags"]), ("licence", record["licences"])):
        if any(counts):
            _show_table(title, ("crystals",), [(name or "unknown", f"{n:,}") for name, n in counts.items()])
    if verify:
        out.print(f"all {record['files']} files are as they were written")


@app.command(epilog="Example: [bold]atomsight dataset get core-mof --out core-mof[/]")
@keeps(f"the archives already in --out are complete; {AGAIN}")
def get(
    name: Annotated[
        str | None, typer.Argument(metavar="[CORPUS]", help="Which; without it, all are listed.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for its archives.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per corpus or archive.")] = False,
) -> None:
    """Get a corpus of crystals to build from, or list those known with their licence and credit."""
    from atomsight.core.files import check_folder
    from atomsight.dataset.corpora import KNOWN, corpus, fetch

    if name is None:
        for known in KNOWN:
            how = (
                f"atomsight dataset get {known.name} --out {known.name}"
                if known.package
                else f"by hand: {known.by_hand}"
            )
            if as_json:
                emit(
                    {
                        "corpus": known.name,
                        "contents": known.contents,
                        "licence": known.licence,
                        "citation": known.citation,
                        "get": how,
                    }
                )
            else:
                out.print(known.name, style="bold")
                for line in (known.contents, f"{known.licence}; {known.citation}", how):
                    out.print(f"  {line}", soft_wrap=True)
        return
    wanted = corpus(name)
    if to is None and wanted.package:
        raise InputError(f"say where to put {wanted.name}: --out DIR")
    check_folder("--out", to)
    with err.status(f"downloading {wanted.name} ..."):
        archives = fetch(wanted.name, to or Path())
    for archive in archives:
        if as_json:
            emit({"corpus": wanted.name, "archive": str(archive), "bytes": archive.stat().st_size})
        else:
            out.print(f"{archive}  {archive.stat().st_size / 1e6:.1f} MB")
    if not as_json:
        err.print(f"{wanted.licence}; {wanted.citation}")
        sources = " ".join(map(str, archives))
        command = f"atomsight dataset build {sources} --one-per-refcode --out {wanted.name}-k24 -k 24"
        err.print(f"next: {command}", soft_wrap=True)


def _emit_skip(source: str, reason: str) -> None:
    emit({"source": source, "skipped": reason, "rule": getattr(reason, "rule", "")})


def _policy(changes: list[str]) -> QualityPolicy:
    """The default policy with ``NAME=VALUE`` changes; values are read as the type of the default."""
    from atomsight.io.policy import DEFAULT

    known = {field.name: getattr(DEFAULT, field.name) for field in fields(DEFAULT)}
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in known:
            raise InputError(f"{name!r} is no rule of the policy; use one of {', '.join(known)}")
        try:
            if isinstance(known[name], bool):
                values[name] = {"true": True, "false": False}[text.lower()]
            else:
                values[name] = type(known[name])(text)
        except (ValueError, KeyError) as error:
            example = str(known[name]).lower()
            raise InputError(f"--policy {name} takes a value such as {example}, not {text!r}") from error
    return replace(DEFAULT, **values)


@contextmanager
def _progress_bar() -> Iterator[OnProgress]:
    """A line on standard error: what stage, how many crystals, how fast."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=None, figures="")

        def show(progress: Progress) -> None:
            figures = f"{counted(progress.sites, 'site')}, {progress.skipped:,} skipped"
            elapsed = bar.tasks[0].elapsed or 0
            if progress.stage == "reading":
                figures = f"{counted(progress.done, 'crystal')}, {figures}"
                if elapsed > 1:
                    figures += f", {(progress.done - progress.resumed) / elapsed:,.0f}/s"
            bar.update(
                task,
                description=progress.stage,
                total=progress.total,
                completed=progress.done,
                figures=figures,
            )

        yield show


def _show_counts(index: dict[str, Any]) -> None:
    """Crystals and sites by split, skips by rule."""
    splits = [(s, f"{c['crystals']:,}", f"{c['sites']:,}") for s, c in index["splits"].items()]
    _show_table(
        "split", ("crystals", "sites"), [*splits, ("all", f"{index['crystals']:,}", f"{index['sites']:,}")]
    )
    if index["skipped"]:
        rows = sorted(index["skipped"].items(), key=lambda item: -item[1])
        _show_table("skipped", ("crystals",), [(rule, f"{n:,}") for rule, n in rows])


def _show_table(first: str, others: tuple[str, ...], rows: list[Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
