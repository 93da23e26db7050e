"""Tar and zip archives, entry by entry; none is unpacked to disk, and what they unpack to is counted."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from atomsight.io.budgets import Budget
from atomsight.io.policy import SkipError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz", ".zip")
"""Of the names of archives."""

_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_HEADER = 1024 * 1024


class Meter:
    """Counts what one file unpacks to, that of compressed files inside of an archive included.

    Args:
        size: bytes of the file itself.
        budget: says how many it may unpack to.
    """

    def __init__(self, size: int, budget: Budget) -> None:
        self.limit = budget.unpacked(size)
        self._taken = 0

    def take(self, count: int) -> None:
        """Count some bytes.

        Raises:
            SkipError: ``too_large``, where the file has unpacked to more than its limit.
        """
        self._taken += count
        self.check(self._taken)

    def check(self, total: int) -> None:
        """Raise SkipError where `total` bytes are more than the limit."""
        if total > self.limit:
            raise SkipError("too_large", f"it unpacks to more than the limit of {self.limit} bytes")


class Metered:
    """A stream whose bytes are counted.

    Args:
        stream: anything with ``read`` and ``readline``.
        meter: counts them.
    """

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        data = self._stream.read(size)
        self._meter.take(len(data))
        return data

    def readline(self, size: int = -1) -> bytes:
        """One line of at most `size` bytes."""
        line = self._stream.readline(size)
        self._meter.take(len(line))
        return line

    def __enter__(self) -> Metered:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stream.close()


class Entry(NamedTuple):
    """One entry of an archive that is no folder.

    Attributes:
        name: its path in the archive.
        unsafe: why it is not read; empty for a file inside of the archive.
        open: gives its content, to be read before the next entry is asked for.
    """

    name: str
    unsafe: str
    open: Callable[[], Any]


def is_archive(name: str, head: bytes) -> bool:
    """Whether a file is an archive, by its name and its first 512 bytes."""
    return (
        name.lower().endswith(SUFFIXES)
        or head.startswith(_ZIP)
        or _opener(head) is not open
        or head[257:262] == b"ustar"
    )


def entries(path: Path, head: bytes, meter: Meter) -> Iterator[Entry]:
    """The entries of an archive in order; what they unpack to is counted.

    Raises:
        SkipError: ``too_large`` beyond the meter's limit, ``damaged`` where entries of a zip overlap.
        Exception: whatever the decoder of a damaged archive meets.
    """
    if head.startswith(_ZIP) or path.name.lower().endswith(".zip"):
        return _zip(path, meter)
    return _tar(path, _opener(head), meter)


def _opener(head: bytes) -> Callable[..., Any]:
    return next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), open)


class _TarInfo(tarfile.TarInfo):
    """A header that refuses extended headers of absurd size, which tarfile would read into memory whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        longname = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if self.type in extended + longname and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"an extended header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _tar(path: Path, opener: Callable[..., Any], meter: Meter) -> Iterator[Entry]:
    with opener(path, "rb") as stream:
        counted: Any = Metered(stream, meter)
        archive = tarfile.open(fileobj=counted, mode="r|", tarinfo=_TarInfo, bufsize=1 << 16)  # noqa: SIM115
        for info in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # else every header stays in memory
            # Where the next header should be: tarfile would go on reading towards it after the file's end.
            meter.check(archive.offset)
            if not info.isdir():
                unsafe = _outside(info.name) or ("" if info.isreg() else "is a link or a device, not a file")
                yield Entry(info.name, unsafe, lambda info=info: archive.extractfile(info))  # type: ignore[misc]


def _zip(path: Path, meter: Meter) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        if sum(info.compress_size for info in listed) > path.stat().st_size:
            raise SkipError("damaged", "the entries of the zip archive overlap")
        for info in listed:
            meter.take(0)
            if not info.is_dir():
                linked = stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG)
                unsafe = _outside(info.filename) or ("is a link or a device, not a file" if linked else "")
                yield Entry(info.filename, unsafe, lambda info=info: Metered(archive.open(info), meter))  # type: ignore[misc]


def _outside(name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or (parts and (parts[0] == "/" or parts[0].endswith(":"))):
        return "points outside its archive"
    return ""
