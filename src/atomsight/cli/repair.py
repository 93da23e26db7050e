"""The verb ``dataset repair``: damaged shards rebuilt from their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from atomsight.cli import options
from atomsight.cli._display import progress_bar
from atomsight.cli._output import AGAIN, emit, err, interruptible
from atomsight.cli.dataset import app
from atomsight.cli.options import executor_of


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
