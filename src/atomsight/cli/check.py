"""``atomsight check``: wrong elements in published structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atomsight.screen.check import Checked

EPILOG = "Example: [bold]atomsight check paracetamol.cif[/]"


def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="CIFs, folders, tar or zip archives.")
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|RUN", help="A masked-site model; else the default.", show_default=False),
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
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per crystal, with all sites.")
    ] = False,
) -> None:
    """Look for wrongly assigned elements, and say what speaks against them.

    Each site's element is hidden and named again from the distances and from the other elements. A suspicion
    of 2 is reached by one correct crystal in a hundred, and is flagged.
    """
    from atomsight.cli._output import Skips, emit, err, finish
    from atomsight.dataset import open_dataset
    from atomsight.models import load_model
    from atomsight.readers import read
    from atomsight.screen.check import check as check_crystals
    from atomsight.screen.precedents import Witnesses

    network = load_model(model, threads=threads)
    likely = None if precedents is None else Witnesses(open_dataset(precedents))
    if against is None or against != precedents:
        known = None if against is None else Witnesses(open_dataset(against))
    else:
        known = likely
    skips = Skips(as_json)
    handled = flagged = 0
    with err.status("checking") as status:
        for found in check_crystals(
            read(paths, on_skip=skips),
            network,
            calibration=calibration,
            precedents=likely,
            against=known,
            on_skip=skips,
        ):
            handled += 1
            flagged += bool(found.flagged)
            status.update(f"{handled:,} crystals checked, {flagged:,} flagged")
            if as_json:
                emit(found.as_dict())
            elif everything or found.flagged or found.signs:
                _show(found)
    if not as_json:
        err.print(f"{handled:,} crystals checked, {flagged:,} with a flagged site", highlight=False)
    finish(handled)


def _show(found: Checked) -> None:
    from rich.text import Text

    from atomsight.cli._output import out

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
    for sign in found.signs:
        block.append(f"* {sign.text}\n", style="not bold yellow")
    out.print(block, soft_wrap=True)
