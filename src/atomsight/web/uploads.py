"""Uploaded files, stored in one temporary folder under safe names."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO

from atomsight.core.errors import AtomsightError, InputError
from atomsight.io.formats import BY_PATH, format_of

EXAMPLES = Path(__file__).parent / "examples"

MAX_UPLOAD = 1 << 30
"""Largest size of all uploads together in bytes, unless another is set."""

MOST_FILES = 50_000
"""Most files of one upload."""

MOST_NAME = 120
"""Largest number of bytes of a file name and of a folder name."""

_PIECE = 1 << 20
_STRANGE = re.compile(r"[^\w.()+, -]")


class TooLargeError(AtomsightError):
    """The upload is larger than the server accepts."""


@dataclass
class Upload:
    """Files that belong together.

    Attributes:
        identifier: random text that grants access to the files.
        folder: folder with the files.
        names: cleaned names of the files in order, as the keys of a dictionary for fast access.
        size: total size in bytes.
        skipped: names and reasons of files that were not stored.
        temporary: whether the folder is deleted with the upload; false for examples.
    """

    identifier: str
    folder: Path
    names: dict[str, None] = field(default_factory=dict)
    size: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    temporary: bool = True

    @property
    def paths(self) -> list[Path]:
        """Paths of the files."""
        return [self.folder / name for name in self.names]

    def shown(self, source: str) -> str:
        """Return a source as the page shows it, without the folder."""
        return source.removeprefix(f"{self.folder}/")


class Uploads:
    """All uploads of one server; a context manager that deletes the files at its end.

    Args:
        most_bytes: largest size of all uploads together in bytes.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._held: dict[str, Upload] = {}
        self._lock = Lock()

    def __enter__(self) -> Uploads:
        self._folder = tempfile.TemporaryDirectory(prefix="atomsight-page-")
        self._root = Path(self._folder.name)
        return self

    def __exit__(self, *unused: object) -> None:
        self._folder.cleanup()

    def start(self) -> Upload:
        """Create an upload without files."""
        identifier = secrets.token_urlsafe(12)
        upload = Upload(identifier, self._root / identifier)
        upload.folder.mkdir()
        self._held[identifier] = upload
        return upload

    def example(self, name: str) -> Upload:
        """Create an upload of a bundled example.

        Raises:
            InputError: there is no such example.
        """
        known = [*crystal_examples(), *candidate_examples()]
        if name not in known:
            raise InputError(f"there is no example {name!r}; there are {', '.join(known)}")
        upload = Upload(secrets.token_urlsafe(12), EXAMPLES, {name: None}, temporary=False)
        self._held[upload.identifier] = upload
        return upload

    def get(self, identifier: str) -> Upload:
        """Return the upload with an identifier.

        Raises:
            KeyError: there is no such upload.
        """
        return self._held[identifier]

    def add(self, upload: Upload, name: str, file: IO[bytes]) -> None:
        """Copy a file into an upload; a file that cannot be stored is added to `Upload.skipped`.

        Raises:
            TooLargeError: the file exceeds the size limit; its copy is removed.
        """
        try:
            self._add(upload, name, file)
        except InputError as error:
            upload.skipped.append((clean(name), str(error)))

    def _add(self, upload: Upload, name: str, file: IO[bytes]) -> None:
        cleaned = clean(name)
        if format_of(cleaned) in BY_PATH:
            raise InputError("databases and trajectories are read by the command line only")
        with self._lock:
            if len(upload.names) >= MOST_FILES:
                raise TooLargeError(f"more than {MOST_FILES:,} files; upload an archive instead")
            cleaned = _unused(upload, cleaned)
            upload.names[cleaned] = None
        target = upload.folder / cleaned
        written = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                while piece := file.read(_PIECE):
                    written += len(piece)
                    if sum(one.size for one in list(self._held.values())) + written > self.most_bytes:
                        raise TooLargeError(
                            f"{cleaned}: all uploads together exceed {self.most_bytes >> 20:,} MB; close "
                            "other pages, increase --max-upload, or use the command line, which has no limit"
                        )
                    copy.write(piece)
            upload.size += written
        except (OSError, TooLargeError) as error:
            del upload.names[cleaned]
            with suppress(OSError):
                target.unlink()
            if isinstance(error, TooLargeError):
                raise
            raise InputError(f"it could not be stored: {error.strerror or type(error).__name__}") from error

    def drop(self, upload: Upload) -> None:
        """Delete an upload and its files."""
        if self._held.pop(upload.identifier, None) is not None and upload.temporary:
            shutil.rmtree(upload.folder, ignore_errors=True)


def crystal_examples() -> list[str]:
    """Return the names of the bundled crystals."""
    return sorted(path.name for path in EXAMPLES.glob("*.cif"))


def candidate_examples() -> list[str]:
    """Return the names of the bundled archives of candidates."""
    return sorted(path.name for path in EXAMPLES.glob("*.zip"))


def clean(name: str) -> str:
    """Return a safe relative path of at most one folder and a file name.

    Each part has at most `MOST_NAME` bytes of UTF-8. Longer names lose their start, because the suffix
    indicates the format.
    """
    parts = [_shortened(_STRANGE.sub("_", part)) for part in name.replace("\\", "/").split("/")]
    return "/".join([part for part in parts if part][-2:]) or "structure.cif"


def _shortened(part: str) -> str:
    return part.encode("utf-8", "replace")[-MOST_NAME:].decode("utf-8", "ignore").lstrip(". ")


def _unused(upload: Upload, name: str) -> str:
    """Return the name, with a number if a file or folder already has it; letter case is ignored."""
    folder, _, base = name.rpartition("/")
    files = {other.casefold() for other in upload.names}
    folders = {other.rpartition("/")[0].casefold() for other in upload.names}
    wanted, number = name, 1
    while wanted.casefold() in files | folders or wanted.rpartition("/")[0].casefold() in files:
        number += 1
        wanted = f"{number}-{base}"
        if folder and folder.casefold() not in files:
            wanted = f"{folder}/{wanted}"
    return wanted
