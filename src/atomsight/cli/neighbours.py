"""The verb ``neighbours``: the k-NN distances of each symmetry-unique site."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._output import PRINTED, Skips, emit, finish, interruptible, out
from atomsight.core.wording import counted

EPILOG = "Example: [bold]atomsight neighbours quartz.cif -k 6[/]"


@interruptible(PRINTED)
def neighbours(
    paths: options.Sources,
    k: Annotated[int, Option("-k", help="Neighbours of each site.", min=1)] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Print the distances in Å from each symmetry-unique site to its k nearest neighbours.

    All atoms of the infinite crystal are neighbours, including periodic images of the site itself.
    """
    from atomsight.core.elements import SYMBOLS
    from atomsight.geometry.neighbours import checked_k, site_neighbours
    from atomsight.io import read

    checked_k(k)
    handled = 0
    for crystal in read(paths, on_skip=Skips(as_json)):
        distances, _ = site_neighbours(crystal, k)
        handled += 1
        symbols = [SYMBOLS[z] for z in crystal.site_numbers.tolist()]
        multiplicities = crystal.multiplicities.tolist()
        rows = list(zip(crystal.labels, symbols, multiplicities, distances.tolist(), strict=True))
        if as_json:
            sites = [
                {
                    "site": site,
                    "label": label,
                    "element": symbol,
                    "multiplicity": multiplicity,
                    "distances": [round(distance, 6) for distance in ascending],
                }
                for site, (label, symbol, multiplicity, ascending) in enumerate(rows)
            ]
            names = {"crystal": crystal.name, "source": crystal.source, "formula": crystal.formula}
            emit({**names, "sites": sites})
        else:
            width = max(len(label) for label in crystal.labels)
            count = f"{counted(len(rows), 'site')}, {counted(crystal.n_atoms, 'atom')} in the cell"
            out.print(f"{crystal.name}  {crystal.formula}  {count}", style="bold")
            for label, symbol, multiplicity, ascending in rows:
                figures = " ".join(f"{distance:.4f}" for distance in ascending)
                out.print(f"  {label:{width}}  {symbol:2}  ×{multiplicity:<3} {figures}", soft_wrap=True)
    finish(handled)
