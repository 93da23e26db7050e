"""The files that ship with the package, and how they are verified.

``pretrained/artefacts.json`` lists every shipped network, calibration and table with its SHA-256 and with the
SHA-256 of each file that it was fitted with. ``python -m workshop.write_artefacts`` writes it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from atomsight.core.errors import ModelError

ROOT = Path(__file__).parents[1]
"""Folder of the package. Paths in the manifest are relative to it."""

VERSION = 1
"""Format of the manifest."""

WRITE = "python -m workshop.write_artefacts"
"""Command that writes the manifest."""


@dataclass(frozen=True)
class Artefact:
    """A shipped file.

    Attributes:
        name: unique among the shipped files.
        path: relative to the folder of the package, with forward slashes.
        sha256: of its bytes.
        format_version: of its contents.
        calibrated_with: SHA-256 of each file that it was fitted with, by the name of that file.
        made_by: command that makes it; empty for weights.
    """

    name: str
    path: str
    sha256: str
    format_version: int
    calibrated_with: dict[str, str] = field(default_factory=dict)
    made_by: str = ""


def manifest_file() -> Path:
    """Return the path of the manifest."""
    return ROOT / "models" / "pretrained" / "artefacts.json"


def artefacts() -> dict[str, Artefact]:
    """Return the shipped files by name, as the manifest lists them.

    Raises:
        ModelError: the manifest is missing, damaged, or of another format.
    """
    file = manifest_file()
    try:
        return _artefacts(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the manifest {file} cannot be read ({error}); write it with: {WRITE}") from error


@lru_cache(maxsize=4)
def _artefacts(file: Path, changed: int) -> dict[str, Artefact]:
    held = json.loads(file.read_text(encoding="utf-8"))
    if held["format_version"] != VERSION:
        raise ValueError(f"it is of format {held['format_version']}, this version reads {VERSION}")
    return {entry["name"]: Artefact(**entry) for entry in held["artefacts"]}


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes, computed once per process unless the file changes.

    Raises:
        OSError: the file cannot be read.
    """
    state = path.stat()
    return _sha256_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _sha256_of(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint_of(path: Path, format_version: int = 1) -> str:
    """Return the hexadecimal SHA-256 of a file; verify a shipped file against the manifest.

    Args:
        path: weights, a calibration or a table; shipped or a user's own.
        format_version: of the contents that the caller reads, for shipped files.

    Raises:
        ModelError: it cannot be read. Or it is a shipped file, and it or a file that it was fitted with is
            not the one in the manifest, or its contents have another format.
    """
    path = path.absolute()
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if path.is_relative_to(ROOT):
        _verify(path, found, format_version)
    return found


def _verify(path: Path, found: str, format_version: int) -> None:
    listed = artefacts()
    place = path.relative_to(ROOT).as_posix()
    entry = next((one for one in listed.values() if one.path == place), None)
    if entry is None:
        raise ModelError(f"{path} is not in the manifest of the package; if you added it, run: {WRITE}")
    if found != entry.sha256:
        raise ModelError(
            f"{path} is not the file that was released; install atomsight again, or if you replaced it on "
            f"purpose, run: {WRITE}"
        )
    if entry.format_version != format_version:
        raise ModelError(
            f"{path} is of format {entry.format_version}, this version of atomsight reads {format_version}; "
            "install atomsight again"
        )
    for name, expected in entry.calibrated_with.items():
        other = listed.get(name)
        if other is None or fingerprint_of(ROOT / other.path, other.format_version) != expected:
            raise ModelError(
                f"{path} was fitted with another {other.path if other else name}; fit it again "
                f"({entry.made_by}), or install atomsight again"
            )
