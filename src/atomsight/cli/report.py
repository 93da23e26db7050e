"""``atomsight report``: datasets, runs and results on one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomsight.cli._output import AGAIN, emit, err, finish, keeps

EPILOG = "Example: atomsight report run crystals --out report.html"


@keeps(f"no page was written; {AGAIN}")
def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Datasets, runs, and what evaluate, mistakes, sweep, distances or bonds wrote with --out.",
        ),
    ],
    out_path: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page to write.")],
    title: Annotated[str, typer.Option(help="Title of the page.", show_default="names of the folders")] = "",
    duplicates: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Near duplicates from atomsight dataset dedupe --out."),
    ] = None,
    sites: Annotated[
        int, typer.Option(min=1, help="Misclassified sites of an evaluation in the page.")
    ] = 3000,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network; 0 takes all cores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per section.")] = False,
) -> None:
    """Put datasets, runs and results on one HTML page: figures, tables that sort and filter, citations.

    The page needs no network and no server. Each misclassified site can be opened where its dataset is at
    hand. A run that has not been evaluated on test is, and the result kept in its folder.
    """
    from rich.text import Text

    from atomsight.analyse.mistakes_duplicates import read_near_duplicates
    from atomsight.core.files import check_file
    from atomsight.report import write_report

    check_file("--out", out_path)
    near = None if duplicates is None else read_near_duplicates(duplicates)
    with err.status("reading") as status:
        made = write_report(
            paths,
            out_path,
            title=title,
            near_duplicates=near,
            most_sites=sites,
            threads=threads,
            on_step=lambda step: status.update(Text(step)),
        )
    if as_json:
        for section in made.sections:
            emit({"section": section.title, "source": section.source, "report": str(made.path)})
    else:
        for section in made.sections:
            err.print(section.title)
        err.print(f"{made.path}: {made.size / 1e6:.1f} MB")
    finish(len(made.sections))
