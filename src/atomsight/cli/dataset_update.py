"""The verbs ``dataset merge``, ``split-like``, ``add`` and ``repair``: datasets made from datasets."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar
from atomsight.cli._output import AGAIN, emit, err, finish, interruptible
from atomsight.cli.dataset import app, emit_skip, show_counts
from atomsight.cli.options import executor_of
from atomsight.core.wording import counted


@app.command(epilog="Example: [bold]atomsight dataset merge part1 part2 --out whole[/]")
@interruptible(f"the new dataset is not finished; {AGAIN}")
def merge(
    parts: Annotated[list[Path], Argument(metavar="PART...", help="Dataset folders, in order.")],
    to: options.NewDataset,
    as_json: options.AsJson = False,
) -> None:
    """Merge datasets that were built with the same settings, without reading the crystals again.

    Duplicate crystals are stored once. The crystals are split again over all groups.
    """
    from atomsight.core.files import check_folder
    from atomsight.dataset.merge import merge as merge_datasets

    check_folder("--out", to)
    with progress_bar() as progress:
        summary = merge_datasets(parts, to, progress=progress)
    index = summary.index
    if as_json:
        counts = {key: index[key] for key in ("k", "crystals", "sites")}
        changes = {key: getattr(summary, key) for key in ("duplicates", "superseded", "renamed")}
        emit({"dataset": str(to), **counts, **changes, "fingerprint": index["fingerprint"]})
    else:
        text = f"merged {counted(len(parts), 'dataset')} into {to}"
        for count, description in (
            (summary.duplicates, "in several datasets, stored once"),
            (summary.superseded, "with the refcode of an earlier crystal, left out"),
            (summary.renamed, "with a longer id, because an earlier crystal has the same id"),
        ):
            text += f"; {counted(count, 'crystal')} {description}" if count else ""
        err.print(text)
        show_counts(index)
    finish(index["crystals"])


@app.command(
    "split-like", epilog="Example: [bold]atomsight dataset split-like mofs all-versions --out more[/]"
)
@interruptible(f"the new dataset is not finished; {AGAIN}")
def split_like(
    reference: Annotated[Path, Argument(metavar="REFERENCE", help="Dataset with the wanted splits.")],
    dataset: Annotated[Path, Argument(metavar="DATASET", help="Dataset with the same crystals and more.")],
    to: options.NewDataset,
    as_json: options.AsJson = False,
) -> None:
    """Copy a dataset with the splits of a smaller one, to train on more data and test on the same crystals.

    Crystals that REFERENCE does not contain become training data, or are left out if they are related to a
    crystal of the validation or test split.
    """
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset
    from atomsight.dataset.resplit import split_like as copy_split_like

    check_folder("--out", to)
    source = open_dataset(dataset)
    copy = copy_split_like(open_dataset(reference), source, to)
    left_out = source.n_crystals - copy.n_crystals
    if as_json:
        counts = {"k": copy.k, "crystals": copy.n_crystals, "sites": copy.n_sites(), "left_out": left_out}
        emit({"dataset": str(to), **counts, "fingerprint": copy.fingerprint})
    else:
        err.print(f"split {to} like {reference}; {counted(left_out, 'crystal')} of {dataset} left out")
        show_counts(copy.metadata)
    finish(copy.n_crystals)


@app.command(epilog="Example: [bold]atomsight dataset add mofs this-week/[/]")
@interruptible(f"the dataset is complete, with or without the new crystals; {AGAIN} to continue")
def add(
    dataset: options.DatasetPath,
    paths: options.Sources,
    replace: Annotated[
        bool, Option("--replace", help="Replace crystals of the same name and other content.")
    ] = False,
    workers: options.WorkersOrCores = None,
    cluster: options.Cluster = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    licence: options.Licence = None,
    as_json: options.AsJson = False,
) -> None:
    """Add new crystals to a dataset, read with the settings of the dataset.

    New means another name or other content. The dataset is complete at any time: the addition becomes visible
    in one step. The same command continues an interrupted addition.
    """
    from atomsight.dataset.add import add as add_to

    with executor_of(cluster, workers, max_seconds, max_memory) as executor, progress_bar("crystal") as show:
        work = partial(add_to, on_skip=emit_skip if as_json else None, progress=show, executor=executor)
        summary = work(dataset, paths, replace=replace, licence=options.licences_of(licence))
    if as_json:
        keys = ("added", "changed", "replaced", "known", "resumed")
        counts = {key: summary.index[key] for key in ("crystals", "sites", "fingerprint")}
        emit({"dataset": str(dataset), **{key: getattr(summary, key) for key in keys}, **counts})
    else:
        text = f"{counted(summary.added, 'crystal')} added, {counted(summary.known, 'file')} already present"
        if summary.changed:
            effect = "replaced older crystals" if replace else "got a longer id next to older crystals"
            text += f"; {summary.changed:,} of the new crystals with a known name {effect}"
        err.print(f"{text}; {dataset} now contains {counted(summary.index['crystals'], 'crystal')}")
    finish(summary.index["crystals"])


@app.command(epilog="Example: [bold]atomsight dataset repair mofs cifs/ more.tar.xz[/]")
@interruptible(f"the shards repaired so far are complete; {AGAIN} to continue")
def repair(
    dataset: options.DatasetPath,
    paths: Annotated[list[Path], Argument(metavar="PATH...", help="Files that the dataset was built from.")],
    workers: options.WorkersOrCores = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    as_json: options.AsJson = False,
) -> None:
    """Rebuild truncated, edited or missing shards from their sources, byte for byte."""
    from atomsight.dataset.repair import repair as repair_shards

    with executor_of(None, workers, max_seconds, max_memory) as executor, progress_bar("crystal") as show:
        repaired = repair_shards(dataset, paths, executor=executor, progress=show)
    for name in repaired:
        if as_json:
            emit({"dataset": str(dataset), "mended": name})
        else:
            err.print(f"repaired {dataset / name}")
    if not repaired and not as_json:
        err.print(f"{dataset} is complete: no file is damaged")
