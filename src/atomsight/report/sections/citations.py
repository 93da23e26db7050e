"""What to cite for the content of a page."""

from __future__ import annotations

from collections.abc import Iterable

from atomsight.citations import find_citations
from atomsight.report.components import Section, folded, join, tag

CORPORA = {
    "core-mof": ("2019-fsr", "2019-asr", "2014", "core"),
    "qmof": ("qmof",),
    "materials-project": ("materials-project", "mp-"),
    "curated-cofs": ("curated-cofs", "cofs"),
    "cod": ("cod",),
}
"""How the names of the archives of a corpus begin, by the name of the work to cite."""


def corpora_cited(sources: Iterable[str]) -> tuple[str, ...]:
    """Works to cite for archives or folders of these names."""
    names = {source.replace("\\", "/").rstrip("/").split("/")[-1].lower() for source in sources}
    return tuple(
        work for work, heads in CORPORA.items() if any(name.startswith(heads) for name in sorted(names))
    )


def citations_section(names: Iterable[str]) -> Section:
    """BibTeX of the works of these names, as ``atomsight cite`` prints it."""
    found = find_citations(sorted({"atomsight", *names}))
    items = [tag("li", tag("strong", work.name), ": ", work.reason, " (", work.topic, ")") for work in found]
    bibtex = "\n\n".join(f"% {work.topic}: {work.reason}\n{work.bibtex}" for work in found)
    body = join(
        tag("p", "What this page rests on. The same prints ", tag("code", "atomsight cite"), "."),
        tag("ul", *items, class_="notes"),
        folded("BibTeX", tag("pre", bibtex)),
    )
    return Section("citations", "To cite", body)
