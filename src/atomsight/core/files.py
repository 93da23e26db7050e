"""Output files that are complete or absent, and CSV tables that a spreadsheet opens safely."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from atomsight.core.errors import InputError, OutputError

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def reason(error: OSError) -> str:
    """What the operating system says about an error, without number and name."""
    return os.strerror(error.errno) if error.errno else str(error)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; a no-op where folders cannot be opened (Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Open a context whose temporary path becomes the file when the context ends.

    After an error or an interruption the old file is unchanged, or none exists. Missing folders are made.
    Devices and pipes are written directly.

    Args:
        path: the file.
        durable: wait until the file is on the disk, so that it survives a power failure.

    Yields:
        The temporary path.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            yield target
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        try:
            yield temporary
            if durable:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error


@contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that is whole or absent, see `whole`; UTF-8, line ends as written."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_bytes(path: Path, *pieces: bytes | memoryview, durable: bool = False) -> None:
    """Write a file that is whole or absent, see `whole`."""
    with whole(path, durable=durable) as temporary, temporary.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def write_text(path: Path, text: str) -> None:
    """Write a text file that is whole or absent, see `whole`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, indent: int = 1, *, durable: bool = False) -> None:
    """Write JSON, whole or absent: keys in the order given, NaN is an error."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, text.encode(), durable=durable)


def cell(text: str) -> str:
    """Convert a text to a CSV cell that no spreadsheet interprets as a formula.

    An apostrophe is put before = + - and @. Texts that are numbers stay as they are. `cell_text` is the
    inverse.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def cell_text(value: str) -> str:
    """Convert a CSV cell back to the text that `cell` received."""
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value


def csv_writer(file: TextIO, digits: str = "") -> Callable[[Iterable[Any]], None]:
    """Make a function that writes one row to an open CSV file.

    Args:
        file: opened with ``newline=""``.
        digits: format of floating-point numbers, such as ``.6f``; as many digits as needed by default.

    Returns:
        The function; it writes None as an empty cell, text by `cell`, and numbers as numbers.
    """
    writer = csv.writer(file, lineterminator="\n")

    def form(value: Any) -> Any:
        if isinstance(value, str):
            return cell(value)
        return format(value, digits) if isinstance(value, float) and digits else value

    return lambda row: writer.writerow([form(value) for value in row])


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]], digits: str = "") -> None:
    """Write a CSV table that is whole or absent, see `whole` and `csv_writer`."""
    with whole_text(path) as file:
        write = csv_writer(file, digits)
        write(header)
        for row in rows:
            write(row)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], digits: str = "") -> None:
    """Write rows with the same keys as a CSV table, see `write_csv`. Without rows it has no header."""
    held = list(rows)
    write_csv(path, list(held[0]) if held else [], (row.values() for row in held), digits)


def read_csv(path: Path) -> Iterator[dict[str, str]]:
    """Read the rows of a table that `write_csv` wrote, with the original texts."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: cell_text(value or "") for name, value in row.items()}


def check_folder(option: str, folder: Path | None) -> None:
    """Check before long work that files can be written into a folder; it need not exist yet.

    Args:
        option: its name on the command line, for the message.
        folder: the folder; None is not checked.

    Raises:
        InputError: it is a file.
        OutputError: it cannot be written, or its disk is full.
    """
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{option} {folder} is a file; name a folder")
    _check_writable(option, folder, folder)


def check_file(option: str, path: Path | None) -> None:
    """Check before long work that a file can be written; see `check_folder`.

    Raises:
        InputError: it is a folder.
        OutputError: its folder cannot be written, or its disk is full.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; name a file")
    if not path.exists() or path.is_file():
        _check_writable(option, path, path.resolve().parent)


def _check_writable(option: str, path: Path, folder: Path) -> None:
    """Write and remove a temporary file in the folder, or in its nearest parent that exists."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise OutputError(f"{option} {path} cannot be written: {reason(error)}") from error
