"""Sources cut into chunks: the units of work of a build, in an order that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atomsight.dataset.naming import Source, printable
from atomsight.dataset.split import entry
from atomsight.parallel.scheduler import CHUNK_BYTES

if TYPE_CHECKING:
    from atomsight.io.budgets import Budget
    from atomsight.io.member import Member
    from atomsight.io.policy import Reason

CHUNK_FILES = 128
"""Most files in one chunk: half a second of work, so that little is lost when a build is stopped."""


@dataclass(frozen=True)
class Skip:
    """A crystal left out: where it came from, the rule's short word, and the whole sentence."""

    source: str
    rule: str
    reason: str

    @classmethod
    def superseded(cls, source: str, stands_for: str) -> Skip:
        """The skip of a crystal whose entry gave one before."""
        return cls(source, "superseded", f"{stands_for} was already taken from an earlier source")


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

    def size(self) -> int:
        """Bytes of the members."""
        return sum(len(member.data) for member in self.members)

    @property
    def files(self) -> Sequence[str]:
        """Where the members come from."""
        return [member.source for member in self.members]

    def only(self, index: int) -> Chunk:
        """A chunk of one of the members."""
        return replace(self, members=(self.members[index],), digests=(self.digests[index],), skips=())

    def without(self, failures: Mapping[int, Reason]) -> Chunk:
        """The chunk with skips in the place of members that cannot be read; its fingerprint stays."""
        left = [place for place in range(len(self.members)) if place not in failures]
        skips = [Skip(self.files[place], rule_of(why), str(why)) for place, why in failures.items()]
        return replace(
            self,
            members=tuple(self.members[place] for place in left),
            digests=tuple(self.digests[place] for place in left),
            skips=(*self.skips, *skips),
        )


def rule_of(reason: str) -> str:
    """The short word of a skip reason (see ``readers/quality.py``)."""
    return getattr(reason, "rule", "other")


def chunks_of(
    source: Source,
    start: int,
    budget: Budget,
    superseded: Callable[[str], bool],
    known: Callable[[str, str], bool] = lambda name, digest: False,
) -> Iterator[Chunk]:
    """Chunks of one source, numbered from ``start``.

    Args:
        source: where the files are.
        start: index of the first chunk.
        budget: limits on what one source may cost, see `readers.budgets`.
        superseded: tells whether the entry of a file name (see `split.entry`) was accepted from an earlier
            source.
        known: tells by name and SHA-256 whether a file is passed over without a word.
    """
    from atomsight.io.sources import iter_members

    members: list[Member] = []
    digests: list[str] = []
    skips: list[Skip] = []
    size = 0
    index = start

    def on_skip(place: str, reason: str) -> None:
        skips.append(Skip(source.portable(place), rule_of(reason), source.portable(str(reason))))

    def close() -> Chunk:
        nonlocal size, index
        mark = hashlib.sha256()
        for member, digest in zip(members, digests, strict=True):
            mark.update(f"{member.name}\0{member.source}\0{digest}\0".encode())
        for skip in skips:
            mark.update(f"{skip.source}\0{skip.rule}\0{skip.reason}\0".encode())
        chunk = Chunk(index, tuple(members), tuple(digests), tuple(skips), mark.hexdigest())
        members.clear()
        digests.clear()
        skips.clear()
        size = 0
        index += 1
        return chunk

    for member in iter_members(source.paths, on_skip, budget=budget):
        place = source.portable(member.source)
        digest = hashlib.sha256(member.data).hexdigest()
        if known(member.name, digest):
            continue
        stands_for = entry(member.name)
        if stands_for is not None and superseded(stands_for):
            skips.append(Skip.superseded(place, stands_for))
        else:
            members.append(replace(member, name=printable(member.name), source=place))
            digests.append(digest)
            size += len(member.data)
        if len(members) == CHUNK_FILES or size >= CHUNK_BYTES or len(skips) >= 100 * CHUNK_FILES:
            yield close()
    if members or skips:
        yield close()
