"""The verb ``report``: datasets, runs and results on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from atomsight.cli import options
from atomsight.cli._output import AGAIN, emit, err, finish, interruptible

EPILOG = "Example: atomsight report run crystals --out report.html"


@interruptible(f"no page was written; {AGAIN}")
def report(
    paths: Annotated[
        list[Path],
        Argument(
            metavar="PATH...",
            help="Dataset folders, run folders, and folders that evaluate, mistakes, sweep, distances or "
            "bonds wrote with --out.",
        ),
    ],
    out_path: Annotated[Path, Option("--out", "-o", metavar="FILE", help="HTML file to write.")],
    title: Annotated[str, Option(help="Title of the page.", show_default="names of the folders")] = "",
    duplicates: options.Duplicates = None,
    sites: Annotated[
        int, Option(min=1, help="Maximum number of misclassified sites of an evaluation.")
    ] = 3000,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
) -> None:
    """Write one HTML page about datasets, runs and results: figures, tables, citations.

    Tables can be sorted and filtered. The page needs no network and no server. If the dataset of an
    evaluation is available, each misclassified site can be opened. A run without an evaluation on the test
    split is evaluated first; the result is stored in its folder.
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
    for section in made.sections:
        if as_json:
            emit({"section": section.title, "source": section.source, "report": str(made.path)})
        else:
            err.print(section.title)
    if not as_json:
        err.print(f"{made.path}: {made.size / 1e6:.1f} MB")
    finish(len(made.sections))
