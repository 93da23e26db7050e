"""Values of a CIF block."""

from __future__ import annotations

import gemmi

UNKNOWN = ("?", ".")
"""How a CIF says that a value is unknown, or does not apply."""

_QUOTES = ("'", '"', ";")


def text_of(block: gemmi.cif.Block, tag: str) -> str | None:
    """The value of a tag without its quotes; None where it is missing, unknown or empty."""
    value = block.find_value(tag)
    return None if value is None or value in UNKNOWN else gemmi.cif.as_string(value).strip() or None


def unquoted(values: list[str]) -> list[str]:
    """Values without their quotes."""
    return [gemmi.cif.as_string(value) if value[:1] in _QUOTES else value for value in values]
