"""Files and folders as members; archives are handed on to `archives`. Nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from atomsight.io.archives import SUFFIXES, Meter, Metered, entries, is_archive
from atomsight.io.ase import members_of as ase_members
from atomsight.io.budgets import Budget
from atomsight.io.extxyz import frames
from atomsight.io.formats import BY_PATH, format_of, stem
from atomsight.io.member import Member, OnSkip
from atomsight.io.policy import Reason, SkipError, reason_of

PIECE = 256 * 1024
"""Bytes asked of a stream at once."""


def members_of(path: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """The members of one file, folder or archive."""
    if path.is_dir():
        yield from _folder(path, report, budget)
        return
    if not path.is_file():  # reading a pipe could wait for ever
        report(str(path), Reason("damaged", "cannot be opened: it is a pipe or a device, not a file"))
        return
    if format_of(path.name) is None:
        try:
            with path.open("rb") as file:
                head = file.read(512)
        except OSError as error:
            report(str(path), Reason("damaged", f"cannot be opened: {error.strerror or error}"))
            return
        if is_archive(path.name, head):
            yield from _archive(path, head, report, budget)
            return
    yield from _file(path, report, budget)


def _file(path: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    try:
        if format_of(path.name) in BY_PATH:
            yield from ase_members(path, report, budget)
            return
        meter = Meter(path.stat().st_size, budget)
        yield from _members(lambda: path.open("rb"), str(path), str(path), meter, report, budget)
    except Exception as error:  # here, so that the other files of a folder are read
        report(str(path), reason_of(error))


def _folder(folder: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """Depth first, names in order; a folder reached again through a link is passed over."""
    empty, packed = True, 0
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
            packed += name.lower().endswith(SUFFIXES)
            path = Path(root, name)
            if format_of(name) is not None and path.is_file():
                empty = False
                yield from _file(path, report, budget)
    if empty:
        hint = f"; it holds {packed} archive{'s'[: packed != 1]}: name them one by one" if packed else ""
        report(str(folder), Reason("no_cif", f"no CIF in this folder{hint}"))


def _archive(path: Path, head: bytes, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """The members of an archive; it is reported when it breaks off or holds none."""
    meter = Meter(path.stat().st_size, budget)
    met = False
    try:
        for number, entry in enumerate(entries(path, head, meter)):
            if number == budget.max_members:
                raise SkipError("too_many_members", f"it has more than {budget.max_members} entries")
            source = f"{path}::{entry.name}"
            # Libraries that open their files by path are not given members of archives.
            readable = format_of(entry.name) not in (None, *BY_PATH)
            met = met or readable
            if entry.unsafe:
                text = f"the archive member {entry.unsafe}; it is not followed"
                report(source, Reason("unsafe_member", text))
            elif readable:
                yield from _members(entry.open, entry.name, source, meter, report, budget)
    except Exception as error:  # a damaged archive raises whatever its decoder meets first
        report(str(path), reason_of(error, "the archive cannot be read to its end"))
    else:
        if not met:
            report(str(path), Reason("no_cif", "no CIF in this archive"))


def _members(
    opened: Callable[[], IO[bytes]], name: str, source: str, meter: Meter, report: OnSkip, budget: Budget
) -> Iterator[Member]:
    """The structure in a file, or its frames one by one; the limits hold for what comes out of a ``.gz``."""
    format = format_of(name) or "cif"
    try:
        with opened() as file:
            packed = name.lower().endswith(".gz")
            stream: Any = Metered(gzip.GzipFile(fileobj=file), meter) if packed else file  # type: ignore[arg-type]
            if format == "extxyz":
                yield from _frames(stream, name, source, report, budget)
            else:
                yield Member(stem(name), source, _read(stream, budget.max_bytes), format)
    except Exception as error:  # a damaged file raises whatever its decoder meets first
        report(source, reason_of(error, "it cannot be read to its end"))


def _frames(stream: IO[bytes], name: str, source: str, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """The frames of an extended XYZ; a file with only one gives it the file's own name."""
    base, held, number = stem(name), b"", 0
    problem: Exception | None = None
    try:
        for number, frame in enumerate(frames(stream, budget), start=1):
            if number > 1:
                yield Member(f"{base}/{number - 2}", f"{source}#{number - 2}", held, "extxyz")
            held = frame
    except Exception as error:  # what came before is read all the same
        problem = error
    if number == 1:
        yield Member(base, source, held, "extxyz")
    elif number:
        yield Member(f"{base}/{number - 1}", f"{source}#{number - 1}", held, "extxyz")
    elif problem is None:
        problem = SkipError("no_sites", "the file is empty")
    if problem is not None:
        raise problem


def _read(stream: IO[bytes], limit: int) -> bytes:
    """All bytes, asked for piece by piece: one large request would set its whole size aside.

    Raises:
        SkipError: ``too_large``.
    """
    pieces, size = [], 0
    while size <= limit and (piece := stream.read(min(limit + 1 - size, PIECE))):
        pieces.append(piece)
        size += len(piece)
    if size > limit:
        raise SkipError("too_large", f"larger than the limit of {limit} bytes per file")
    return b"".join(pieces)
