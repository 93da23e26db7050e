"""Outside formats to crystals.

| module | what it holds |
|---|---|
| `sources` | files, folders and archives, streamed one CIF at a time |
| `cif` | a CIF's data blocks to crystals |
| `quality` | the one policy on imperfect crystals |
"""

from __future__ import annotations

from collections.abc import Iterator

from atomsight.crystal import Crystal
from atomsight.readers.cif import crystals_of
from atomsight.readers.quality import DEFAULT, QualityPolicy, Reason
from atomsight.readers.sources import Member, OnSkip, Paths, iter_members

__all__ = ["DEFAULT", "Member", "QualityPolicy", "Reason", "crystals_of", "iter_members", "read"]


def read(
    paths: Paths, *, policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> Iterator[Crystal]:
    """Every crystal of CIFs, folders (recursive), tar and zip archives, or a list of those, in stable order.

    Archives are streamed: nothing is written to disk and one member is in memory at a time.

    Args:
        paths: a path or a list of paths.
        policy: what is accepted, mended and turned away.
        on_skip: receives ``(source, reason)`` for everything left out; `reason` is a `Reason`, whose ``rule``
            is a short word to count by.

    Raises:
        InputError: a path does not exist.

    Example:
        >>> for crystal in read("cifs/"):  # doctest: +SKIP
        ...     print(crystal.name, crystal.formula, crystal.n_sites)
    """
    for member in iter_members(paths, on_skip, max_bytes=policy.max_bytes):
        yield from crystals_of(member, policy, on_skip)
