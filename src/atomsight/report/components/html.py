"""HTML in which every text is escaped unless it is marked as HTML."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_VOID = {"br", "hr", "img", "input", "meta", "link"}


class Html(str):
    """Text that is HTML. Every other string is escaped where it is put into a page."""

    __slots__ = ()


def safe(child: object) -> str:
    """Return a child as HTML: escaped unless it is `Html`, empty for None."""
    if child is None:
        return ""
    return str(child) if isinstance(child, Html) else escape(str(child), quote=True)


def join(*children: object) -> Html:
    """Join children one after another."""
    return Html("".join(safe(child) for child in children))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """Make an element.

    Args:
        name: Name of the element.
        children: Its content, see `safe`.
        attributes: Its attributes, with ``_`` for ``-``. A ``_`` at the end is removed, for Python's keywords
            (``class_``). None and False leave the attribute out; True gives the bare name.
    """
    written = []
    for key, value in attributes.items():
        word = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {word}")
        elif value is not None and value is not False:
            written.append(f' {word}="{escape(str(value), quote=True)}"')
    head = f"<{name}{''.join(written)}>"
    return Html(head if name in _VOID else f"{head}{join(*children)}</{name}>")


def json_block(identifier: str, value: Any) -> Html:
    """Put a value into the page as JSON that scripts read.

    ``<``, ``>`` and ``&`` are escaped, so that no content can end the element.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    name = escape(identifier, quote=True)
    return Html(f'<script type="application/json" id="{name}">{text}</script>')


def note(*children: object) -> Html:
    """Make a paragraph that warns or explains."""
    return tag("p", *children, class_="note")
