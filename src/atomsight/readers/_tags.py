"""Single values of a CIF block."""

from __future__ import annotations

import gemmi

from atomsight.readers._block import Block

UNKNOWN = ("?", ".")
"""How a CIF says that a value is unknown, or does not apply."""


def text_of(block: Block, tag: str) -> str | None:
    """The value of a tag without its quotes; None where it is missing, unknown or empty."""
    value = block.find_value(tag)
    if value is None or value in UNKNOWN:
        return None
    return gemmi.cif.as_string(value).strip() or None
