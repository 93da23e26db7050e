"""Where crystals lie: paths, lists of paths and databases, as one stream of members.

Sources that are no path (``cod:2016452``) are told from one by `is_remote` and handed on to their reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from atomsight.core.errors import InputError, MissingExtraError, UnreachableError
from atomsight.io.budgets import Budget
from atomsight.io.cod import members_of as cod_members
from atomsight.io.csd import members_of as csd_members
from atomsight.io.files import members_of as file_members
from atomsight.io.formats import library_of
from atomsight.io.member import Member, OnSkip
from atomsight.io.optimade import members_of as optimade_members
from atomsight.io.policy import DEFAULT, reason_of

Paths = str | Path | Sequence["Paths"]

REMOTE: dict[str, Callable[[str, OnSkip, Budget], Iterator[Member]]] = {
    "cod": cod_members,
    "optimade": optimade_members,
    "csd": csd_members,
}
"""The databases, by what stands before the colon of a source that is no path."""


def is_remote(path: str | Path) -> bool:
    """Whether a source is no path but names a database: ``cod:2016452``, ``optimade:mp?...``, ``csd:``."""
    return str(path).partition(":")[0] in REMOTE and ":" in str(path)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a database is taken to exist until it is asked."""
    if is_remote(path):
        return True
    try:
        return path.exists()
    except OSError:  # a name too long for the file system
        return False


def flatten(paths: Any, objects: bool = False) -> Iterator[Any]:
    """The paths of a path, a list, or a list of lists; and structures of other libraries where `objects`."""
    if isinstance(paths, (str, Path)):
        yield Path(paths)
    elif objects and library_of(paths) is not None:
        yield paths
    elif isinstance(paths, Iterable) and library_of(paths) is None:
        for item in paths:
            yield from flatten(item, objects)
    else:
        wanted = "paths, ASE Atoms, pymatgen Structures" if objects else "paths"
        raise InputError(f"paths must be {wanted} or a list of those, not {type(paths).__name__}")


def check_exist(paths: Iterable[Path]) -> None:
    """Raise InputError for the first path that does not exist."""
    for path in paths:
        if not exists(path):
            raise InputError(f"{path}: no such file or folder")


def iter_members(
    paths: Paths, on_skip: OnSkip | None = None, *, budget: Budget = DEFAULT
) -> Iterator[Member]:
    """Iterate over the structure files of files, folders, archives and databases, in order.

    Folders are read recursively, names in order; archives are tar (plain, gz, xz, bz2) and zip. A file that
    is named is read whatever its suffix, as a CIF where `formats` knows none; in folders and archives those
    of a known format are. Archives inside folders or archives are not opened. What cannot be read is reported
    through ``on_skip(source, reason)`` with a `Reason`, and the next source is read.

    Raises:
        InputError: a path does not exist, or a database is asked for what it cannot give; all paths are
            looked at before the first is read.
        MissingExtraError: a database needs a package that is not installed.
        UnreachableError: its server does not answer.
    """
    report = on_skip or (lambda source, reason: None)
    found = list(flatten(paths))
    check_exist(found)
    skips: list[tuple[str, str]] = []
    for path in found:
        members = _members_of(path, lambda *skip: skips.append(skip), budget)
        more = True
        while more:
            failed: Exception | None = None
            member = None
            try:
                member = next(members, None)
            except (InputError, MissingExtraError, UnreachableError) as error:
                failed = error
            except Exception as error:
                skips.append((str(path), reason_of(error)))
            # Outside of the try: an error of the callback is the caller's, not the source's.
            for skip in skips:
                report(*skip)
            skips.clear()
            if failed is not None:
                raise failed
            if member is not None:
                yield member
            more = member is not None


def _members_of(path: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    if is_remote(path):
        name, _, asked = str(path).partition(":")
        yield from REMOTE[name](asked, report, budget)
    else:
        yield from file_members(path, report, budget)
