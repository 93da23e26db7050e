"""``atomsight dataset repair``: damaged shards made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomsight.cli._output import AGAIN, emit, err, keeps

EPILOG = "Example: [bold]atomsight dataset repair mofs cifs/ more.tar.xz[/]"


@keeps(f"the shards mended so far are complete; {AGAIN} to continue")
def repair(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a dataset.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="The files it was built from.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one per core.", min=1, show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per mended shard.")] = False,
) -> None:
    """Make truncated, edited or missing shards again from their sources, the same bytes as at first."""
    from atomsight.cli.dataset import _progress_bar
    from atomsight.dataset.repair import repair as mend
    from atomsight.parallel.executors import executor_of

    with executor_of(None, workers) as executor, _progress_bar() as progress:
        mended = mend(dataset, paths, executor=executor, progress=progress)
    for name in mended:
        if as_json:
            emit({"dataset": str(dataset), "mended": name})
        else:
            err.print(f"mended {dataset / name}")
    if not mended and not as_json:
        err.print(f"{dataset} is whole: every file is as it was written")
