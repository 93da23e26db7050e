"""Files that are either whole or absent, and the lock that keeps two builds out of one folder."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atomsight.core.errors import DatasetError, InputError, OutputError
from atomsight.core.files import write_bytes
from atomsight.dataset.schema import INDEX_NAME, MANIFEST_NAME

GO_ON = "the same command goes on once there is room"
"""What to do about a full disk."""


def write_atomically(path: Path, *pieces: bytes | memoryview) -> None:
    """Write a file that is whole or absent, and durable.

    Raises:
        DatasetError: the disk is full or the folder cannot be written.
    """
    try:
        write_bytes(path, *pieces, durable=True)
    except OutputError as error:
        raise DatasetError(f"{error}; {GO_ON}") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given, the same bytes for the same value."""
    write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def fingerprint_of(index: dict[str, Any]) -> str:
    """Hexadecimal SHA-256 of the index, which identifies a dataset: the index holds all other checksums."""
    rest = {name: value for name, value in index.items() if name != "fingerprint"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def prepare_folder(out: Path) -> None:
    """Make the output folder of a build or merge, or accept that of an earlier one.

    Raises:
        InputError: it is a file, holds something else, or cannot be made.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the dataset")
    own = (INDEX_NAME, MANIFEST_NAME, f"{MANIFEST_NAME}.tmp", "build.lock")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in own):
        raise InputError(f"{out} is not empty and holds no dataset; give a new folder")
    make_folder(out)


def make_folder(out: Path) -> None:
    """Make a folder and those above it.

    Raises:
        InputError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror or error}") from error


@contextmanager
def writing(path: Path, advice: str = "") -> Iterator[None]:
    """Report what the operating system refuses as an error of the dataset.

    Raises:
        DatasetError: the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror or error}{advice}") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the build lock of a folder. The operating system frees it when its holder dies, however it dies.

    Raises:
        DatasetError: another build holds it; the message names its host and process.
    """
    path = folder / "build.lock"
    while True:
        handle = path.open("a+", encoding="utf-8")
        try:
            _lock(handle.fileno())
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            handle.close()
            raise DatasetError(
                f"{folder} is being built by {holder}; wait for it to end, or give another --out"
            ) from error
        # The last holder may have removed the file between our opening and our locking it.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            break
        handle.close()
    try:
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        handle.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
