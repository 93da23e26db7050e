"""Single values of a CIF block."""

from __future__ import annotations

import gemmi

from atomsight.readers._block import Block

UNKNOWN = ("?", ".")
"""How a CIF says that a value is unknown, or does not apply."""


def text_of(block: Block, tag: str) -> str | None:
    """The value of a tag without its quotes; None where it is missing, unknown or empty."""
    value = block.find_value(tag)
    return None if value is None else said(value)


def said(value: str) -> str | None:
    """A value without its quotes; None where it is unknown or empty."""
    return None if value in UNKNOWN else gemmi.cif.as_string(value).strip() or None


def cod_number_of(code: str | None) -> str | None:
    """A number in the Crystallography Open Database, seven digits; None for anything else."""
    return code if code and code.isdigit() and len(code) == 7 else None
