"""``atomsight cite``: what to cite, as BibTeX."""

from __future__ import annotations

from typing import Annotated

import typer

from atomsight.citations import find_citations
from atomsight.cli._output import emit

EPILOG = "Example: atomsight cite core-mof method > references.bib"


def cite(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Works or topics (software, method, data); all when none is named."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per work.")] = False,
) -> None:
    """Print BibTeX for the methods and the data behind atomsight."""
    for citation in find_citations(names or []):
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
