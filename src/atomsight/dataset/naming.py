"""Names inside a dataset: sources that do not depend on where the data lies, and ids that are unique."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from atomsight.errors import InputError


def portable_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each source path: its last part, or as many last parts as tell it from the other
    sources.

    The same data gives the same dataset wherever it lies, so no absolute path may enter it.

    Raises:
        InputError: a path is given twice.
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    for index, path in enumerate(absolute):
        if path in absolute[:index]:
            raise InputError(f"{paths[index]} is given twice")
    length = 1
    while True:
        names = ["/".join(path.parts[-length:]) for path in absolute]
        if len(set(names)) == len(names):
            return names
        length += 1


def portable_source(source: str, path: Path, name: str) -> str:
    """The source of a member of ``path`` with the path replaced by its portable name."""
    return (
        name + source.removeprefix(str(path)).replace(os.sep, "/") if source.startswith(str(path)) else source
    )


def unique_ids(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Unique ids in the order given: the first crystal of a name keeps it, a later one gets more of its
    source.

    ``ABAVIJ_clean`` of ``2014.tar.xz::ABAVIJ_clean.cif`` and of ``2019-ASR.tar.xz::ABAVIJ_clean.cif`` become
    ``ABAVIJ_clean`` and ``2019-ASR/ABAVIJ_clean``: the nearest folder (or archive) goes in front, then the
    one above, and where that does not help a number goes behind, ``ABAVIJ_clean~2``.
    """
    taken: set[str] = set()
    ids = []
    for name, source in zip(names, sources, strict=True):
        chosen = name
        if name in taken:
            chosen = next(candidate for candidate in _candidates(name, source) if candidate not in taken)
        taken.add(chosen)
        ids.append(chosen)
    return ids


_ARCHIVE_SUFFIXES = (".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".txz", ".tbz2", ".tar", ".zip")


def _candidates(name: str, source: str) -> Iterable[str]:
    archive, _, member = source.rpartition("::")
    folders = list(PurePosixPath(member).parts[:-1])
    if archive:
        suffix = next((s for s in _ARCHIVE_SUFFIXES if archive.lower().endswith(s)), "")
        folders = [*PurePosixPath(archive[: len(archive) - len(suffix)]).parts, *folders]
    for count in range(1, len(folders) + 1):
        yield "/".join([*folders[-count:], name])
    number = 2
    while True:
        yield f"{name}~{number}"
        number += 1
