"""Words of messages and tables."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 crystal``, ``2,000 crystals``."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
