"""What to cite for the content of a page."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from atomsight.citations import find_citations
from atomsight.report.components import Section, folded, join, tag


def citations_section(names: Iterable[str], paths: Iterable[Path]) -> Section:
    """BibTeX of the works of these names, as ``atomsight cite`` prints it for these folders."""
    found = find_citations(sorted({"atomsight", *names}))
    items = [tag("li", tag("strong", work.name), ": ", work.reason, " (", work.topic, ")") for work in found]
    bibtex = "\n\n".join(f"% {work.topic}: {work.reason}\n{work.bibtex}" for work in found)
    body = join(
        tag(
            "p",
            "What this page rests on. As a file of its own: ",
            tag("code", shlex.join(["atomsight", "cite", *map(str, paths)])),
            ".",
        ),
        tag("ul", *items, class_="notes"),
        folded("BibTeX", tag("pre", bibtex)),
    )
    return Section("citations", "To cite", body)
