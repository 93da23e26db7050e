"""Where crystals lie: files, folders and archives, streamed one member at a time, never unpacked to disk.

Sources that are no path (``cod:2016452``) are told from one by `is_remote` and handed on to their reader.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO, Any

from atomsight.errors import InputError
from atomsight.readers.formats import BY_PATH, kind_of, library_of, stem
from atomsight.readers.quality import DEFAULT, Reason, SkipError

OnSkip = Callable[[str, str], None]
Paths = str | Path | Sequence["Paths"]

REMOTE = ("cod", "optimade", "csd")
"""What stands before the colon of a source that is no path; each has a module of its name."""

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz", ".zip")
_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}
_MAX_HEADER = 1024 * 1024
PIECE = 256 * 1024
"""Bytes asked of a stream at once."""


@dataclass(frozen=True)
class Member:
    """One structure file, or one frame of a file that holds many.

    Attributes:
        name: the file's stem.
        source: its ``path`` or ``archive::member``, with ``#number`` after it for a frame.
        data: its bytes.
        kind: its format, see `formats`.
    """

    name: str
    source: str
    data: bytes
    kind: str = "cif"


def is_cif(name: str) -> bool:
    """Whether a file name ends in ``.cif`` or ``.cif.gz``, in any case."""
    return kind_of(name) == "cif"


def is_remote(path: str | Path) -> bool:
    """Whether a source is no path but names a database: ``cod:2016452``, ``optimade:mp?...``, ``csd:``."""
    return str(path).partition(":")[0] in REMOTE and ":" in str(path)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a database is taken to exist until it is asked."""
    return is_remote(path) or path.exists()


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
    paths: Paths, on_skip: OnSkip | None = None, *, max_bytes: int = DEFAULT.max_bytes
) -> Iterator[Member]:
    """Every structure file of files, folders (recursive, sorted), tar (plain, gz, xz, bz2) and zip archives,
    in order; and the entries of databases.

    A file that is named is read whatever its suffix, as a CIF where `formats` knows none; in folders and
    archives those of a known format are. Archives inside folders or archives are not opened. What cannot be
    read is reported through ``on_skip(source, reason)``, each with a `Reason`.

    Raises:
        InputError: a path does not exist, or a database is asked for what it cannot give; all paths are
            looked at before the first is read.
        MissingExtraError: a database needs a package that is not installed.
        UnreachableError: its server does not answer.
    """
    report = on_skip or (lambda source, reason: None)
    found = list(flatten(paths))
    check_exist(found)
    for path in found:
        yield from _members_of(path, report, max_bytes)


def _members_of(path: Path, report: OnSkip, max_bytes: int) -> Iterator[Member]:
    if is_remote(path):
        name, _, asked = str(path).partition(":")
        reader = import_module(f"atomsight.readers.{name}")
        yield from reader.members_of(asked, report, max_bytes)
        return
    if path.is_dir():
        yield from _folder(path, report, max_bytes)
        return
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        report(str(path), Reason("damaged", f"cannot be opened: {error.strerror or error}"))
        return
    if kind_of(path.name) is not None:
        yield from _file(path, report, max_bytes)
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or path.name.lower().endswith(".zip"):
        yield from _whole(path, _zip(path, report, max_bytes), report)
    elif _opener(head) is not open or head[257:262] == b"ustar" or path.name.lower().endswith(_ARCHIVES):
        yield from _whole(path, _tar(path, _opener(head), report, max_bytes), report)
    else:
        yield from _file(path, report, max_bytes)


def _opener(head: bytes) -> Callable[..., Any]:
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), open)


def _file(path: Path, report: OnSkip, max_bytes: int) -> Iterator[Member]:
    if kind_of(path.name) in BY_PATH:
        from atomsight.readers.ase import members_of, problem_with

        try:
            yield from members_of(path, report)
        except Exception as error:  # a damaged file raises whatever its decoder meets first
            report(str(path), problem_with(path, error))
        return
    try:
        with path.open("rb") as file:
            yield from _members(file, str(path), str(path), report, max_bytes)
    except OSError as error:
        report(str(path), Reason("damaged", f"cannot be read: {error.strerror or error}"))


def _folder(folder: Path, report: OnSkip, max_bytes: int) -> Iterator[Member]:
    """Depth first, names in order; a folder reached again through a link is passed over."""
    empty, archives = True, 0
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(root)
        key = (status.st_dev, status.st_ino)
        if key in seen:
            folders.clear()
            continue
        seen.add(key)
        folders.sort()
        for name in sorted(names):
            archives += name.lower().endswith(_ARCHIVES)
            path = Path(root, name)
            if kind_of(name) is not None and path.is_file():
                empty = False
                yield from _file(path, report, max_bytes)
    if empty:
        hint = (
            f"; it holds {archives} archive{'s'[: archives != 1]}: name them one by one" if archives else ""
        )
        report(str(folder), Reason("no_cif", f"no CIF in this folder{hint}"))


def _whole(archive: Path, members: Iterator[Member | None], report: OnSkip) -> Iterator[Member]:
    """Pass an archive's members on; report it when it breaks off or holds none. None is a refused member."""
    met = False
    try:
        for member in members:
            met = True
            if member is not None:
                yield member
    except Exception as error:  # a damaged archive raises whatever its decoder meets first
        report(
            str(archive), Reason("damaged", f"the archive cannot be read to its end: {error or type(error)}")
        )
        return
    if not met:
        report(str(archive), Reason("no_cif", "no CIF in this archive"))


class _TarInfo(tarfile.TarInfo):
    """A header that refuses extended headers of absurd size, which tarfile would read into memory whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        longname = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if self.type in extended + longname and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"an extended header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _tar(path: Path, opener: Callable[..., Any], report: OnSkip, max_bytes: int) -> Iterator[Member | None]:
    with (
        opener(path, "rb") as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarInfo, bufsize=1 << 16) as archive,
    ):
        for info in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # else every header stays in memory
            if info.isdir():
                continue
            source = f"{path}::{info.name}"
            problem = _unsafe(info.name) or ("" if info.isreg() else "is a link or a device, not a file")
            if problem:
                report(source, Reason("unsafe_member", f"the archive member {problem}; it is not followed"))
                if _readable(info.name):
                    yield None
            elif _readable(info.name):
                file = archive.extractfile(info)
                if file is not None:
                    yield None
                    yield from _members(file, info.name, source, report, max_bytes)


def _zip(path: Path, report: OnSkip, max_bytes: int) -> Iterator[Member | None]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            source = f"{path}::{info.filename}"
            mode = info.external_attr >> 16
            linked = stat.S_IFMT(mode) not in (0, stat.S_IFREG)
            problem = _unsafe(info.filename) or ("is a link or a device, not a file" if linked else "")
            if problem:
                report(source, Reason("unsafe_member", f"the archive member {problem}; it is not followed"))
                if _readable(info.filename):
                    yield None
            elif _readable(info.filename):
                yield None
                try:
                    with archive.open(info) as file:
                        yield from _members(file, info.filename, source, report, max_bytes)
                except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
                    report(source, Reason("damaged", f"the archive member cannot be unpacked: {error}"))


def _unsafe(name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or (parts and (parts[0] == "/" or parts[0].endswith(":"))):
        return "points outside its archive"
    return ""


def _readable(name: str) -> bool:
    """Whether an archive's member is of a format that is read from bytes."""
    kind = kind_of(name)
    return kind is not None and kind not in BY_PATH


def _members(file: IO[bytes], name: str, source: str, report: OnSkip, max_bytes: int) -> Iterator[Member]:
    """The structure in a file, or its frames one by one."""
    kind = kind_of(name) or "cif"
    try:
        if kind != "extxyz":
            yield Member(stem(name), source, _read(file, name, max_bytes), kind)
            return
        stream: Any = gzip.GzipFile(fileobj=file) if name.lower().endswith(".gz") else file
        yield from _frames(stream, name, source, report, max_bytes)
    except SkipError as error:
        report(source, error.reason)


def _frames(stream: IO[bytes], name: str, source: str, report: OnSkip, max_bytes: int) -> Iterator[Member]:
    """The frames of an extended XYZ; a file with only one gives it the file's own name."""
    from atomsight.readers.extxyz import frames

    base, number, held = stem(name), 0, None
    cut = frames(stream, max_bytes)
    problem = None
    while True:
        try:
            frame = next(cut, None)
        except SkipError as error:
            frame, problem = None, error.reason
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            frame, problem = None, Reason("damaged", f"the compressed file cannot be unpacked: {error}")
        if held is not None:
            alone = frame is None and number == 1
            place = number - 1
            yield Member(
                base if alone else f"{base}/{place}", source if alone else f"{source}#{place}", held, "extxyz"
            )
        if frame is None:
            break
        held, number = frame, number + 1
    if problem is not None:
        report(source, problem)
    elif not number:
        report(source, Reason("no_sites", "the file is empty"))


def _read(file: IO[bytes], name: str, max_bytes: int) -> bytes:
    """All bytes, unpacked where the name ends in ``.gz``; the limit holds for what comes out."""
    packed = name.lower().endswith(".gz")
    try:
        data = _up_to(gzip.GzipFile(fileobj=file) if packed else file, max_bytes + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SkipError("damaged", f"the compressed file cannot be unpacked: {error}") from None
    if len(data) > max_bytes:
        raise SkipError("too_large", f"larger than the limit of {max_bytes} bytes per file")
    return data


def _up_to(stream: IO[bytes] | gzip.GzipFile, limit: int) -> bytes:
    """At most so many bytes, asked for piece by piece: one large request would set its whole size aside."""
    pieces = []
    while limit > 0 and (piece := stream.read(min(limit, PIECE))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)
