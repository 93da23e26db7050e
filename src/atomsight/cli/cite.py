"""The verb ``cite``: BibTeX of the methods and data used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from atomsight.citations import find_citations, is_known
from atomsight.cli import options
from atomsight.cli._output import emit, note

EPILOG = "Example: atomsight cite mofs run sweep > references.bib"


def cite(
    names: Annotated[
        list[str] | None,
        Argument(
            metavar="[NAME|PATH]...",
            help="Works, topics (software, method, data), or folders of datasets, runs and results.",
            show_default="all works",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print BibTeX entries of the methods and data that atomsight uses.

    For folders of datasets, runs and results the output lists exactly the methods and corpora that were used.
    If a folder has the name of a topic, write it as a path, such as ./data.
    """
    chosen = names or []
    folders = [Path(name) for name in chosen if not is_known(name) and Path(name).exists()]
    works = [name for name in chosen if is_known(name) or not Path(name).exists()]
    for citation in find_citations([*works, *_used(folders)]):
        if as_json:
            record = {key: getattr(citation, key) for key in ("name", "topic", "reason")}
            links = {key: v for key, v in citation.fields.items() if key in ("doi", "eprint", "url")}
            emit({**record, **links, "bibtex": citation.bibtex})
        else:
            typer.echo(f"% {citation.topic}: {citation.reason}\n{citation.bibtex}\n")


def _used(folders: Sequence[Path]) -> tuple[str, ...]:
    if not folders:
        return ()
    from atomsight.report.inputs import recognise
    from atomsight.report.works import find_works

    found = find_works(recognise(folders))
    for path in found.absent:
        note(f"the dataset {path} is missing or has changed; name it too, so that its corpora are cited")
    return found.names
