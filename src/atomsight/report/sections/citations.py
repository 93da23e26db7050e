"""Section with the works to cite for a page."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from atomsight.citations import find_citations
from atomsight.report import components as ui


def citations_section(names: Iterable[str], paths: Iterable[Path]) -> ui.Section:
    """List works with their BibTeX, as ``atomsight cite`` prints it for these folders."""
    found = find_citations(sorted({"atomsight", *names}))
    items = [
        ui.tag("li", ui.tag("strong", work.name), ": ", work.reason, " (", work.topic, ")") for work in found
    ]
    bibtex = "\n\n".join(f"% {work.topic}: {work.reason}\n{work.bibtex}" for work in found)
    command = ui.tag("code", shlex.join(["atomsight", "cite", *map(str, paths)]))
    return ui.section(
        "citations",
        "References",
        ui.tag("p", "Methods and data used for this page. ", command, " prints them as BibTeX."),
        ui.tag("ul", *items, class_="notes"),
        ui.details("BibTeX", ui.tag("pre", bibtex)),
    )
