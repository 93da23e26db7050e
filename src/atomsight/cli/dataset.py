"""The verb ``dataset``: build a dataset, show its contents, download a corpus."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar, show_table
from atomsight.cli._output import AGAIN, emit, err, finish, interruptible, out
from atomsight.cli.options import executor_of
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.io.policy import QualityPolicy

app = typer.Typer(help="Build a dataset, show its contents, or download a corpus.", no_args_is_help=True)


@app.command(epilog="Example: [bold]atomsight dataset build cifs/ more.tar.xz --out mofs -k 24[/]")
@interruptible(f"the crystals read so far are kept; {AGAIN} to continue")
def build(
    paths: options.Sources,
    to: options.NewDataset,
    k: Annotated[int, Option("-k", help="Neighbours of each site.", min=1)] = 24,
    workers: options.WorkersOrCores = None,
    cluster: options.Cluster = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    one_per_refcode: Annotated[
        bool,
        Option(
            "--one-per-refcode", help="Skip a file if an earlier PATH has a crystal of the same CSD refcode."
        ),
    ] = False,
    licence: options.Licence = None,
    bonds: Annotated[
        str,
        Option(
            metavar="none|file|perceive",
            help="Source of bonds: none, tables in the files, or tables and perception from the geometry.",
        ),
    ] = "file",
    policy: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="Change a reading rule, for example min_distance=0.7."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Build a dataset: one row per symmetry-unique site with its k-NN distances and neighbours.

    The same command continues an interrupted build. The result does not depend on the number of workers or
    on interruptions.
    """
    from time import monotonic

    from atomsight.core.files import check_folder
    from atomsight.dataset import build as build_dataset

    check_folder("--out", to)
    started = monotonic()
    rules = _policy(policy or [])
    with executor_of(cluster, workers, max_seconds, max_memory) as executor, progress_bar("crystal") as show:
        work = partial(
            build_dataset, on_skip=emit_skip if as_json else None, progress=show, executor=executor
        )
        licences = options.licences_of(licence)
        summary = work(
            paths, to, k, policy=rules, one_per_refcode=one_per_refcode, licence=licences, bonds=bonds
        )
    seconds = monotonic() - started
    index = summary.index
    if as_json:
        emit({**summary.as_dict(), "seconds": round(seconds, 3)})
    elif summary.complete_before:
        err.print(f"{to} was already complete; delete it to build it again")
        show_counts(index)
    else:
        again = f", {summary.resumed:,} of them from an earlier run" if summary.resumed else ""
        err.print(f"built {to} in {_format_time(seconds)}{again}")
        show_counts(index)
        err.print(f"next: atomsight dataset info {to}")
    finish(summary.crystals)


@app.command(epilog="Example: [bold]atomsight dataset info mofs[/]")
def info(
    path: options.DatasetPath,
    verify: Annotated[bool, Option("--verify", help="Check the checksum of every file.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the contents of a dataset: crystals, sites, splits, elements by abundance, skips by reason."""
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
    show_counts(dataset.metadata)
    out.print(
        f"{counted(record['families'], 'family', 'families')} in {counted(record['groups'], 'group')}, "
        f"the largest of {counted(record['largest_group'], 'crystal')}"
    )
    columns = ("sites", "train", "val", "test")
    rows = ((e, *(f"{count[name]:,}" for name in columns)) for e, count in record["elements"].items())
    show_table(("element", *columns), "lrrrr", rows)
    for title, counts in (("flag", record["flags"]), ("licence", record["licences"])):
        if any(counts):
            show_table(
                (title, "crystals"), "lr", ((name or "unknown", f"{n:,}") for name, n in counts.items())
            )
    if verify:
        out.print(f"all {record['files']} files match their checksums")


@app.command(epilog="Example: [bold]atomsight dataset get core-mof --out core-mof[/]")
@interruptible(f"the archives already in --out are complete; {AGAIN}")
def get(
    name: Annotated[
        str | None, Argument(metavar="[CORPUS]", help="Name of a corpus.", show_default="list all")
    ] = None,
    to: Annotated[
        Path | None, Option("--out", metavar="DIR", help="Folder for the archives of the corpus.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Download a corpus of crystals, or list the known corpora with licence and citation."""
    from atomsight.core.files import check_folder
    from atomsight.dataset.corpora import KNOWN, corpus, fetch

    if name is None:
        for known in KNOWN:
            how = f"atomsight dataset get {known.name} --out {known.name}"
            if not known.package:
                how = f"by hand: {known.by_hand}"
            if as_json:
                facts = {key: getattr(known, key) for key in ("contents", "licence", "citation")}
                emit({"corpus": known.name, **facts, "get": how})
            else:
                out.print(known.name, style="bold")
                for line in (known.contents, f"{known.licence}; {known.citation}", how):
                    out.print(f"  {line}", soft_wrap=True)
        return
    wanted = corpus(name)
    if to is None and wanted.package:
        raise InputError(f"{wanted.name} needs a folder: --out DIR")
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


def emit_skip(source: str, reason: str) -> None:
    """Print a skip as a JSON object."""
    emit({"source": source, "skipped": reason, "rule": getattr(reason, "rule", "")})


def _policy(changes: list[str]) -> QualityPolicy:
    """Return the default policy with ``NAME=VALUE`` changes, converted to the types of the defaults."""
    from atomsight.io.policy import DEFAULT

    known = {field.name: getattr(DEFAULT, field.name) for field in fields(DEFAULT)}
    truth = {"true": True, "false": False}
    values: dict[str, Any] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in known:
            raise InputError(f"{name!r} is no rule of the policy; the rules are {', '.join(known)}")
        try:
            is_bool = isinstance(known[name], bool)
            values[name] = truth[text.lower()] if is_bool else type(known[name])(text)
        except (ValueError, KeyError) as error:
            example = str(known[name]).lower()
            raise InputError(f"--policy {name} takes a value such as {example}, not {text!r}") from error
    return replace(DEFAULT, **values)


def show_counts(index: dict[str, Any]) -> None:
    """Print crystals and sites by split, and skips by rule."""
    splits = [*index["splits"].items(), ("all", index)]
    rows = [(name, f"{counts['crystals']:,}", f"{counts['sites']:,}") for name, counts in splits]
    show_table(("split", "crystals", "sites"), "lrr", rows)
    if index["skipped"]:
        skips = sorted(index["skipped"].items(), key=lambda item: -item[1])
        show_table(("skipped", "crystals"), "lr", [(rule, f"{n:,}") for rule, n in skips])


def _format_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
