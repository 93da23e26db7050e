"""Files that were dropped on the page: in one temporary folder, by names that lead nowhere else."""

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
"""Bytes of a file's name, and of its folder's."""

_PIECE = 1 << 20
_STRANGE = re.compile(r"[^\w.()+, -]")


class TooLargeError(AtomsightError):
    """More than the page takes."""


@dataclass
class Upload:
    """Files that belong together.

    Attributes:
        identifier: random; whoever knows it may use the files.
        folder: where they lie; for an example, where it ships.
        names: their names as given, cleaned, in order; a dict, for many are looked up.
        size: bytes.
        skipped: names and reasons of files that were sent but not kept.
        temporary: the folder goes with the upload.
    """

    identifier: str
    folder: Path
    names: dict[str, None] = field(default_factory=dict)
    size: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    temporary: bool = True

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [self.folder / name for name in self.names]

    def shown(self, source: str) -> str:
        """A source as the page may see it: without the folder."""
        return source.removeprefix(f"{self.folder}/")


class Uploads:
    """All uploads of one server. A context manager: the folder goes at its end.

    Args:
        most_bytes: that all uploads together may hold.
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
        """An upload without files."""
        identifier = secrets.token_urlsafe(12)
        upload = Upload(identifier, self._root / identifier)
        upload.folder.mkdir()
        self._held[identifier] = upload
        return upload

    def example(self, name: str) -> Upload:
        """An upload of one of the crystals, or archives of candidates, that ship with the page.

        Raises:
            InputError: there is no such one.
        """
        known = [*examples(), *landscapes()]
        if name not in known:
            raise InputError(f"there is no example {name!r}; there are {', '.join(known)}")
        upload = Upload(secrets.token_urlsafe(12), EXAMPLES, {name: None}, temporary=False)
        self._held[upload.identifier] = upload
        return upload

    def get(self, identifier: str) -> Upload:
        """The upload of that identifier.

        Raises:
            KeyError: there is none.
        """
        return self._held[identifier]

    def add(self, upload: Upload, name: str, file: IO[bytes]) -> None:
        """Copy a file into an upload. A file that cannot be kept is noted in `Upload.skipped`.

        Raises:
            TooLargeError: it does not fit any more; what was copied of it is removed.
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
                raise TooLargeError(f"more than {MOST_FILES:,} files; put them into an archive")
            cleaned = _unused(upload, cleaned)
            upload.names[cleaned] = None
        target = upload.folder / cleaned
        written = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                while piece := file.read(_PIECE):
                    written += len(piece)
                    if self._total() + written > self.most_bytes:
                        break
                    copy.write(piece)
                else:
                    upload.size += written
                    return
        except OSError as error:
            del upload.names[cleaned]
            with suppress(OSError):
                target.unlink()
            raise InputError(f"it could not be stored: {error.strerror or type(error).__name__}") from error
        target.unlink()
        del upload.names[cleaned]
        raise TooLargeError(
            f"{cleaned}: more than {self.most_bytes >> 20:,} MB in all; close what is open, start with "
            "--max-upload, or use the command line, which has no limit"
        )

    def drop(self, upload: Upload) -> None:
        """Forget an upload and remove its files."""
        if self._held.pop(upload.identifier, None) is not None and upload.temporary:
            shutil.rmtree(upload.folder, ignore_errors=True)

    def _total(self) -> int:
        return sum(upload.size for upload in list(self._held.values()))


def examples() -> list[str]:
    """Names of the crystals that ship with the page."""
    return sorted(path.name for path in EXAMPLES.glob("*.cif"))


def landscapes() -> list[str]:
    """Names of the archives of candidates that ship with the page."""
    return sorted(path.name for path in EXAMPLES.glob("*.zip"))


def clean(name: str) -> str:
    """Return a name that stays inside its folder: harmless parts of its last folder and its file name.

    Each part has at most `MOST_NAME` bytes of UTF-8; the end, which tells the format, is kept.
    """
    parts = [_shortened(_STRANGE.sub("_", part)) for part in name.replace("\\", "/").split("/")]
    return "/".join([part for part in parts if part][-2:]) or "structure.cif"


def _shortened(part: str) -> str:
    return part.encode("utf-8", "replace")[-MOST_NAME:].decode("utf-8", "ignore").lstrip(". ")


def _unused(upload: Upload, name: str) -> str:
    """Return the name, numbered where a file or folder has it already; letter case is ignored."""
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
