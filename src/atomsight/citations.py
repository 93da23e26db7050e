"""Works to cite for the methods and data of atomsight, as BibTeX.

The works are in ``citations.bib``. The comment before each entry gives its topic and the reason to cite it,
so that a paper can cite exactly the works that it used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from atomsight.core.errors import InputError
from atomsight.core.version import __version__

_ENTRY = re.compile(r"% (\w+): ([^\n]+)\n@(\w+)\{([^,\n]+),\n(.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Citation:
    """One work to cite.

    Attributes:
        name: Short stable name, as ``atomsight cite NAME`` takes it, and the BibTeX key.
        topic: ``software``, ``method`` or ``data``.
        reason: Reason to cite it.
        entry_type: BibTeX entry type.
        fields: BibTeX fields in order.
    """

    name: str
    topic: str
    reason: str
    entry_type: str
    fields: Mapping[str, str]

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX."""
        width = max(len(key) for key in self.fields)
        lines = [f"  {key:<{width}} = {{{value}}}," for key, value in self.fields.items()]
        return "\n".join([f"@{self.entry_type}{{{self.name},", *lines, "}"])


def parse_citations(text: str) -> tuple[Citation, ...]:
    """Read works from BibTeX with a comment ``% TOPIC: REASON`` before each entry and a line per field."""
    return tuple(
        Citation(name, topic, reason, entry_type, dict(_FIELD.findall(body)))
        for topic, reason, entry_type, name, body in _ENTRY.findall(text)
    )


_TEXT = Path(__file__).with_name("citations.bib").read_text(encoding="utf-8")
CITATIONS = parse_citations(_TEXT.replace("{VERSION}", f"{{{__version__}}}"))


def is_known(name: str) -> bool:
    """Return whether a name is that of a work or a topic."""
    word = name.strip().lower()
    return any(word in (citation.name, citation.topic) for citation in CITATIONS)


def find_citations(names: Iterable[str] = ()) -> list[Citation]:
    """Find works by name, in the order of :data:`CITATIONS`; all of them without names.

    Args:
        names: Names of works, or topics (``software``, ``method``, ``data``), in any case.

    Raises:
        InputError: A name is unknown; the message lists the known ones.
    """
    wanted = {name.strip().lower() for name in names}
    unknown = wanted - {c.name for c in CITATIONS} - {c.topic for c in CITATIONS}
    if unknown:
        known = ", ".join(c.name for c in CITATIONS)
        raise InputError(
            f"nothing to cite under {', '.join(sorted(unknown))}; there are {known}, "
            "and the topics software, method, data"
        )
    return [c for c in CITATIONS if not wanted or c.name in wanted or c.topic in wanted]
