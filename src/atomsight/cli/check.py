"""The verb ``check``: wrong elements in published structures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._output import PRINTED, Skips, emit, err, finish, interruptible, out
from atomsight.cli.options import executor_of
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.check.check import Checked

EPILOG = "Example: [bold]atomsight check paracetamol.cif[/]"


@interruptible(PRINTED)
def check(
    paths: options.Sources,
    model: Annotated[
        str | None,
        Option(
            metavar="NAME|RUN",
            help="Masked-site model: name, run folder or .onnx file.",
            show_default="the bundled model",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        Option(metavar="FILE", help="Calibration file; needed for any model but the bundled one."),
    ] = None,
    precedents: Annotated[
        Path | None, Option(metavar="DATASET", help="Report the most similar sites in this dataset.")
    ] = None,
    against: Annotated[
        Path | None,
        Option(
            metavar="DATASET",
            help="Search this dataset for crystals with the same geometry and other elements.",
        ),
    ] = None,
    everything: Annotated[
        bool, Option("--all", help="Also print crystals without flagged sites and other findings.")
    ] = False,
    threads: options.Threads = 0,
    workers: options.Workers = 1,
    cluster: options.Cluster = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    as_json: options.AsJson = False,
) -> None:
    """Find wrongly assigned elements in crystal structures, with the evidence for each.

    The model predicts the element of each site from the distances and the elements of all other sites. The
    suspicion of a site is calibrated: one correct crystal in a hundred has a site with a suspicion of 2 or
    more. Such sites are flagged.
    """
    from atomsight.check.check import check as check_crystals

    handled = flagged = 0
    with executor_of(cluster, workers, max_seconds, max_memory) as executor, err.status("checking") as status:
        work = partial(check_crystals, threads=threads, on_skip=Skips(as_json), executor=executor)
        for found in work(paths, model, calibration=calibration, precedents=precedents, against=against):
            handled += 1
            flagged += bool(found.flagged)
            status.update(f"{counted(handled, 'crystal')} checked, {flagged:,} flagged")
            if as_json:
                emit(found.as_dict())
            elif everything or found.flagged or found.findings:
                _show(found)
    if not as_json:
        err.print(f"{counted(handled, 'crystal')} checked, {flagged:,} with a flagged site")
    finish(handled)


def _show(found: Checked) -> None:
    from rich.text import Text

    block = Text(
        f"{found.crystal.name}  {found.crystal.formula}  suspicion {found.score:.1f}\n", style="bold"
    )
    for site in found.flagged or sorted(found.sites, key=lambda s: -s.suspicion)[:1]:
        mark, style = ("!", "red") if site.flagged else (" ", "green")
        block.append(
            f"{mark} {site.label}: {site.element} (probability {site.probability:.2g}), better "
            f"{site.suggested}, suspicion {site.suspicion:.1f}\n",
            style=f"not bold {style}",
        )
        for sentence in site.evidence:
            block.append(f"    {sentence}\n", style="not bold")
    for finding in found.findings:
        block.append(f"* {finding.text}\n", style="not bold yellow")
    out.print(block, soft_wrap=True)
