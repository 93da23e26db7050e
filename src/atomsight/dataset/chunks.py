"""Sources cut into chunks: the units of work of a build, in an order that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.dataset.naming import portable_source
from atomsight.dataset.split import entry

if TYPE_CHECKING:
    from atomsight.readers.sources import Member

CHUNK_FILES = 128
"""Most files in one chunk: half a second of work, so that little is lost when a build is stopped."""

CHUNK_BYTES = 16 * 2**20
"""A chunk is closed once it holds this many bytes, so that memory stays flat."""


@dataclass(frozen=True)
class Skip:
    """A crystal left out: where it came from, the rule's short word, and the whole sentence."""

    source: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Consecutive members of one source, with what was skipped while listing them.

    ``digests`` are the SHA-256 of the members' bytes; ``fingerprint`` is that of everything which decides the
    result.
    """

    index: int
    members: tuple[Member, ...]
    digests: tuple[str, ...]
    skips: tuple[Skip, ...]
    fingerprint: str


def rule_of(reason: str) -> str:
    """The short word of a skip reason (see ``readers/quality.py``)."""
    return getattr(reason, "rule", "other")


def chunks_of(
    path: Path, name: str, start: int, max_bytes: int, superseded: Callable[[str], bool]
) -> Iterator[Chunk]:
    """Chunks of one source path, numbered from ``start``.

    Args:
        path: a file, folder or archive, absolute.
        name: what stands for ``path`` in the dataset, see `naming.portable_names`.
        start: index of the first chunk.
        max_bytes: the largest file that is read.
        superseded: tells whether the entry of a file name (see `split.entry`) was accepted from an earlier
            source.
    """
    from atomsight.readers.sources import iter_members

    members: list[Member] = []
    digests: list[str] = []
    skips: list[Skip] = []
    size = 0
    index = start

    def on_skip(source: str, reason: str) -> None:
        text = str(reason).replace(str(path), name)
        skips.append(Skip(portable_source(source, path, name), rule_of(reason), text))

    def close() -> Chunk:
        nonlocal size, index
        mark = hashlib.sha256()
        for member, digest in zip(members, digests, strict=True):
            mark.update(f"{member.name}\0{member.source}\0{digest}\0".encode("utf-8", "surrogateescape"))
        for skip in skips:
            mark.update(f"{skip.source}\0{skip.rule}\0{skip.reason}\0".encode("utf-8", "surrogateescape"))
        chunk = Chunk(index, tuple(members), tuple(digests), tuple(skips), mark.hexdigest())
        members.clear()
        digests.clear()
        skips.clear()
        size = 0
        index += 1
        return chunk

    for member in iter_members([path], on_skip, max_bytes=max_bytes):
        source = portable_source(member.source, path, name)
        stands_for = entry(member.name)
        if stands_for is not None and superseded(stands_for):
            skips.append(Skip(source, "superseded", f"{stands_for} was already taken from an earlier source"))
        else:
            members.append(replace(member, source=source))
            digests.append(hashlib.sha256(member.data).hexdigest())
            size += len(member.data)
        if len(members) == CHUNK_FILES or size >= CHUNK_BYTES or len(skips) >= 100 * CHUNK_FILES:
            yield close()
    if members or skips:
        yield close()
