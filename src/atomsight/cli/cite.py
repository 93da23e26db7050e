"""``atomsight cite``: what to cite, as BibTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from atomsight.citations import find_citations, is_known
from atomsight.cli._output import emit, note

EPILOG = "Example: atomsight cite mofs run sweep > references.bib"


def cite(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|PATH]...",
            help="Works, topics (software, method, data), or folders of datasets, runs and results; all "
            "works when none is named.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per work.")] = False,
) -> None:
    """Print BibTeX for the methods and the data behind atomsight.

    For a dataset, a run, or what evaluate, sweep, distances or bonds wrote with --out: exactly what it used,
    methods and corpora. A folder that is called like a topic is named with a path, such as ./data.
    """
    given = names or []
    folders = [Path(name) for name in given if not is_known(name) and Path(name).exists()]
    words = [name for name in given if is_known(name) or not Path(name).exists()]
    for citation in find_citations([*words, *_used(folders)]):
        if as_json:
            emit(
                {
                    "name": citation.name,
                    "topic": citation.topic,
                    "reason": citation.reason,
                    **{
                        key: citation.fields[key]
                        for key in ("doi", "eprint", "url")
                        if key in citation.fields
                    },
                    "bibtex": citation.bibtex,
                }
            )
        else:
            typer.echo(f"% {citation.topic}: {citation.reason}\n{citation.bibtex}\n")


def _used(folders: Sequence[Path]) -> tuple[str, ...]:
    if not folders:
        return ()
    from atomsight.report.inputs import recognise
    from atomsight.report.works import find_works

    found = find_works(recognise(folders))
    for path in found.absent:
        note(
            f"the dataset {path} is not at hand or has changed: name it too, so that its corpora are cited",
        )
    return found.names
