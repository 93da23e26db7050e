"""The unit that sources are cut into, and the callback that hears of what is left out."""

from __future__ import annotations

from dataclasses import dataclass

from atomsight.core.progress import OnSkip as OnSkip


@dataclass(frozen=True)
class Member:
    """One structure file, or one frame of a file that holds many.

    Attributes:
        name: the file's stem.
        source: its ``path`` or ``archive::member``, with ``#number`` after it for a frame.
        data: its bytes.
        format: see `formats`.
    """

    name: str
    source: str
    data: bytes
    format: str = "cif"
