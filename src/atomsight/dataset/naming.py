"""Names inside a dataset: sources that do not depend on where the data lies, and ids that are unique."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, groupby
from pathlib import Path, PurePosixPath

from atomsight.core.errors import InputError
from atomsight.io.formats import format_of
from atomsight.io.sources import is_remote


def portable_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each source path: as many of its last parts as make it unique.

    The same data gives the same dataset wherever it lies, so no absolute path may enter it. A database
    (``cod:2016452``) is called as it was asked for; of a mirror or a list on disk the last part counts.

    Raises:
        InputError: a path is given twice.
    """
    absolute = [_absolute(path) for path in paths]
    repeated = [path for path, times in Counter(absolute).items() if times > 1]
    if repeated:
        raise InputError(f"{repeated[0]} is given twice")
    candidates = ([_name(path, length) for path in absolute] for length in count(1))
    return next(names for names in candidates if len(set(names)) == len(names))


def _absolute(path: Path) -> Path:
    return path if is_remote(path) else Path(os.path.abspath(path))


def _name(path: Path, length: int) -> str:
    if not is_remote(path):
        return "/".join(path.parts[-length:])
    database, _, asked = str(path).partition(":")
    on_disk = "?" not in asked and Path(asked).exists()
    return f"{database}:{_name(_absolute(Path(asked)), length)}" if on_disk and asked else str(path)


def printable(text: str) -> str:
    """A name whose bytes on disk are no UTF-8, with U+FFFD where they are not: tables hold Unicode only."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True)
class Source:
    """A folder, an archive, or files of one folder that were named one after another.

    Attributes:
        paths: absolute.
        names: portable name of each path.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]

    def portable(self, text: str) -> str:
        """A member's source, or a reason, with the path replaced by its portable name."""
        if len(self.paths) > 1:
            path, _, frame = text.rpartition("#") if text not in self._names else (text, "", "")
            return printable(f"{self._names[path]}#{frame}".rstrip("#") if path in self._names else text)
        return printable(text.replace(str(self.paths[0]), self.names[0]))

    @cached_property
    def _names(self) -> dict[str, str]:
        return {str(path): name for path, name in zip(self.paths, self.names, strict=True)}


def group_sources(paths: Sequence[Path]) -> list[Source]:
    """Sources of a build, in order; see `portable_names`.

    A shell's ``cifs/*.cif`` gives thousands of paths, which are one source, like the folder.
    """
    absolute = [_absolute(path) for path in paths]
    sources = []

    def kind(pair: tuple[Path, str]) -> tuple[Path, bool]:
        if is_remote(pair[0]) or format_of(pair[0].name) is None or pair[0].is_dir():
            return pair[0], False
        return pair[0].parent, True

    for _, pairs in groupby(zip(absolute, portable_names(paths), strict=True), kind):
        found, names = zip(*pairs, strict=True)
        sources.append(Source(found, names))
    return sources


def unique_ids(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Return a unique id for each crystal: a name that is taken gets parts of the crystal's source.

    ``ABAVIJ_clean`` of ``2014.tar.xz::ABAVIJ_clean.cif`` and of ``2019-ASR.tar.xz::ABAVIJ_clean.cif`` become
    ``ABAVIJ_clean`` and ``2019-ASR/ABAVIJ_clean``: the nearest folder (or archive) goes in front, then the
    one above, and where that does not help a number goes behind, ``ABAVIJ_clean~2``.
    """
    taken: set[str] = set()
    ids = []
    for name, source in zip(names, sources, strict=True):
        chosen = name
        if name in taken:
            candidates = _candidates(plain_name(name, source), source)
            chosen = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(chosen)
        ids.append(chosen)
    return ids


def plain_name(name: str, source: str) -> str:
    """Return the name that a crystal had before `unique_ids` made it unique."""
    parts = name.split("/")
    folders = _folders(source)
    for depth in range(1, len(parts)):
        if folders[-depth:] == parts[:depth]:
            return "/".join(parts[depth:])
    return re.sub(r"(?<=.)~\d+$", "", name)


_ARCHIVE_SUFFIXES = (".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".txz", ".tbz2", ".tar", ".zip")


def _candidates(name: str, source: str) -> Iterable[str]:
    folders = _folders(source)
    yield from ("/".join([*folders[-depth:], name]) for depth in range(1, len(folders) + 1))
    yield from (f"{name}~{number}" for number in count(2))


def _folders(source: str) -> list[str]:
    """Folders above a source, an archive counting as one by its name without suffix."""
    archive, _, member = source.rpartition("::")
    folders = list(PurePosixPath(member).parts[:-1])
    if archive:
        suffix = next((s for s in _ARCHIVE_SUFFIXES if archive.lower().endswith(s)), "")
        folders = [*PurePosixPath(archive[: len(archive) - len(suffix)]).parts, *folders]
    return folders
