"""``atomsight check``: wrong elements in published structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._engine import Cluster, Workers, executor_for
from atomsight.cli._output import PRINTED, Skips, emit, err, finish, keeps, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.check.check import Checked

EPILOG = "Example: [bold]atomsight check paracetamol.cif[/]"


@keeps(PRINTED)
def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="CIFs, folders, tar or zip archives.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|RUN", help="A masked-site model; a bundled one by default.", show_default=False
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Calibration of another model than the bundled one."),
    ] = None,
    precedents: Annotated[
        Path | None,
        typer.Option(metavar="DATASET", help="Name the sites most like a flagged one."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DATASET", help="Look for crystals of the same geometry with other elements."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show crystals without a flag or sign too.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network; 0 takes all cores.")] = 0,
    workers: Workers = 1,
    cluster: Cluster = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per crystal, with all sites.")
    ] = False,
) -> None:
    """Look for wrongly assigned elements, and say what speaks against them.

    Each site's element is hidden and named again from the distances and from the other elements. A suspicion
    of 2 is reached by one correct crystal in a hundred, and is flagged.
    """
    from atomsight.check.check import check as check_crystals

    skips = Skips(as_json)
    handled = flagged = 0
    with executor_for(cluster, workers) as executor, err.status("checking") as status:
        for found in check_crystals(
            paths,
            model,
            calibration=calibration,
            precedents=precedents,
            against=against,
            threads=threads,
            on_skip=skips,
            executor=executor,
        ):
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
        for words in site.evidence:
            block.append(f"    {words}\n", style="not bold")
    for finding in found.findings:
        block.append(f"* {finding.text}\n", style="not bold yellow")
    out.print(block, soft_wrap=True)
