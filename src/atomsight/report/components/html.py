"""HTML that cannot be broken out of: whatever is not marked as HTML is escaped."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_VOID = {"br", "hr", "img", "input", "meta", "link"}


class Html(str):
    """Text that is HTML already; every other string is escaped where it is put into a page."""

    __slots__ = ()


def safe(child: object) -> str:
    """A child as HTML: escaped unless it is `Html`; None gives nothing."""
    if child is None:
        return ""
    return str(child) if isinstance(child, Html) else escape(str(child), quote=True)


def join(*children: object) -> Html:
    """Children one after another."""
    return Html("".join(safe(child) for child in children))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. Attributes end in ``_`` where Python keeps the word (``class_``), have ``_`` for ``-``, and
    are left out where they are None or False; True gives the bare name."""
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
    """A value for scripts to read, as an element that no content can end: ``<``, ``>`` and ``&`` are written
    as escapes of JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    name = escape(identifier, quote=True)
    return Html(f'<script type="application/json" id="{name}">{text}</script>')
