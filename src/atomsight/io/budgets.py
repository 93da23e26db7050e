"""Limits on what one input may cost, so that a small file cannot use hours of time or all memory.

A limit that is passed ends the reading of that file, member or source with a skip reason; the rest of a batch
goes on. Each field of `Budget` is also a field of `QualityPolicy`: ``read(..., policy=QualityPolicy(
max_frames=10**7))`` and ``atomsight dataset build --policy max_frames=10000000`` change one.

| budget | default | what it limits | reason when passed |
|---|---|---|---|
| `max_bytes` | 64 MiB | one file, archive member or frame, after unpacking | `too_large` |
| `max_atoms` | 20,000 | atoms of one cell, and of one atom list | `too_many_atoms` |
| `max_unpacked` | 256 MiB | what one compressed file or archive unpacks to, in bytes; \
`max_ratio` times its own size where that is more | `too_large` |
| `max_ratio` | 200 | unpacked bytes for each byte of the file | `too_large` |
| `max_members` | 2,000,000 | entries of one archive, or of one answer of a database | `too_many_members` |
| `max_frames` | 2,000,000 | frames of one file, or rows of one ASE database | `too_many_frames` |
| `max_blocks` | 50,000 | data blocks of one CIF | `too_many_blocks` |
| `max_columns` | 10,000 | values of each atom in extended XYZ | `too_many_columns` |
| `max_line` | 1 MiB | the comment line of an extended XYZ frame, in bytes | `too_large` |
| `max_blank_lines` | 1,000 | blank lines in a row between two frames | `syntax` |
| `max_empty_pages` | 20 | pages in a row without a structure, of one OPTIMADE answer | `damaged` |
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What reading one input may cost at most; see the table of this module.

    Attributes:
        max_bytes: bytes of one file, archive member or frame, after unpacking.
        max_atoms: atoms of one cell, and of one atom list.
        max_unpacked: bytes that one compressed file or archive may unpack to, whatever its own size.
        max_ratio: unpacked bytes for each byte of a file; a larger file may unpack to more.
        max_members: entries of one archive, or structures of one answer of a database.
        max_frames: frames of one file, or rows of one ASE database.
        max_blocks: data blocks of one CIF.
        max_columns: values of each atom in extended XYZ.
        max_line: bytes of the comment line of an extended XYZ frame.
        max_blank_lines: blank lines in a row between two frames.
        max_empty_pages: pages in a row without a structure, of one OPTIMADE answer.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_atoms: int = 20_000
    max_unpacked: int = 256 * 1024 * 1024
    max_ratio: int = 200
    max_members: int = 2_000_000
    max_frames: int = 2_000_000
    max_blocks: int = 50_000
    max_columns: int = 10_000
    max_line: int = 1024 * 1024
    max_blank_lines: int = 1_000
    max_empty_pages: int = 20

    def unpacked(self, size: int) -> int:
        """Bytes that a file of a size may unpack to."""
        return max(self.max_unpacked, self.max_ratio * size)
