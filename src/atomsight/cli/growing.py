"""``atomsight dataset merge``, ``add`` and ``split-like``: datasets that grow without being built again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomsight.cli._output import AGAIN, emit, err, finish, keeps
from atomsight.core.wording import counted

MERGE_EPILOG = "Example: [bold]atomsight dataset merge part1 part2 --out whole[/]"
SPLIT_LIKE_EPILOG = "Example: [bold]atomsight dataset split-like mofs all-versions --out more[/]"
ADD_EPILOG = "Example: [bold]atomsight dataset add mofs this-week/[/]"


@keeps(f"the new dataset is not finished; {AGAIN}")
def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders of datasets, in order.")],
    to: Annotated[Path, typer.Option("--out", help="A new folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Merge datasets that were built with the same settings, without computing anything again.

    A crystal met twice is taken once, and the split is decided anew over all groups.
    """
    from rich.progress import Progress

    from atomsight.cli.dataset import _show_counts
    from atomsight.core.files import check_folder
    from atomsight.dataset.merge import merge as merge_datasets

    check_folder("--out", to)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("merging", total=None)
        summary = merge_datasets(
            parts, to, progress=lambda now: bar.update(task, completed=now.done, total=now.total)
        )
    index = summary.index
    if as_json:
        emit(
            {
                "dataset": str(to),
                "k": index["k"],
                "crystals": index["crystals"],
                "sites": index["sites"],
                "duplicates": summary.duplicates,
                "superseded": summary.superseded,
                "renamed": summary.renamed,
                "fingerprint": index["fingerprint"],
            }
        )
    else:
        told = f"merged {counted(len(parts), 'dataset')} into {to}"
        for count, what in (
            (summary.duplicates, "in more than one, taken once"),
            (summary.superseded, "of a refcode met before, left out"),
            (summary.renamed, "with a longer id, since another of that id came first"),
        ):
            told += f"; {counted(count, 'crystal')} {what}" if count else ""
        err.print(told)
        _show_counts(index)
    finish(index["crystals"])


@keeps(f"the new dataset is not finished; {AGAIN}")
def split_like(
    held: Annotated[Path, typer.Argument(metavar="HELD", help="Dataset that tells the splits.")],
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="One that holds the same crystals and more.")
    ],
    to: Annotated[Path, typer.Option("--out", help="A new folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Split a dataset as a smaller one is, to train on more and be judged on the same crystals.

    What HELD lacks goes to train, or is left out where it hangs together with a crystal of val or test.
    """
    from atomsight.cli.dataset import _show_counts
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset
    from atomsight.dataset.resplit import split_like as copy_split_like

    check_folder("--out", to)
    whole = open_dataset(dataset)
    copy = copy_split_like(open_dataset(held), whole, to)
    left_out = whole.n_crystals - copy.n_crystals
    if as_json:
        emit(
            {
                "dataset": str(to),
                "k": copy.k,
                "crystals": copy.n_crystals,
                "sites": copy.n_sites(),
                "left_out": left_out,
                "fingerprint": copy.fingerprint,
            }
        )
    else:
        told = f"split {to} as {held} is; {counted(left_out, 'crystal')} of {dataset} left out"
        err.print(told)
        _show_counts(copy.metadata)
    finish(copy.n_crystals)


@keeps(f"the dataset is complete, the old one or the new one; {AGAIN} to continue")
def add(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a dataset.")],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="CIFs, folders, tar or zip archives, in order.")
    ],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="A crystal whose name comes again with other content gives way."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one per core.", min=1, show_default=False)
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Workers elsewhere: tcp://HOST:PORT of Dask, slurm, mpi."),
    ] = None,
    licence: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Licence of all sources, or one for each.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Add what is new in the sources, by name and content, read with the dataset's own settings.

    The dataset is whole at every moment: the old one, then in one step the new one. Stopped and started
    again it goes on where it was.
    """
    from atomsight.cli.dataset import _progress_bar
    from atomsight.dataset.add import add as add_to
    from atomsight.parallel.executors import executor_of

    with executor_of(cluster, workers) as executor, _progress_bar() as progress:
        summary = add_to(
            dataset,
            paths,
            replace=replace,
            executor=executor,
            licence=licence[0] if licence and len(licence) == 1 else licence or None,
            progress=progress,
        )
    if as_json:
        emit(
            {
                "dataset": str(dataset),
                "added": summary.added,
                "changed": summary.changed,
                "replaced": summary.replaced,
                "known": summary.known,
                "resumed": summary.resumed,
                "crystals": summary.index["crystals"],
                "sites": summary.index["sites"],
                "fingerprint": summary.index["fingerprint"],
            }
        )
    else:
        told = f"{counted(summary.added, 'crystal')} added, {counted(summary.known, 'file')} known already"
        if summary.changed:
            what = "took the place of older ones" if replace else "have a longer id beside the older ones"
            told += f"; {summary.changed:,} of the new with a known name {what}"
        err.print(f"{told}; {dataset} now holds {summary.index['crystals']:,}")
    finish(summary.index["crystals"])
