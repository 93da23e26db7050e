"""The staging area of an unfinished build: what was asked for, and the parts that are done.

```
OUT/build.json               the settings: a build is only ever continued with the same ones
OUT/staging/000012.part      one finished chunk: SHA-256 of the rest, then the part (see `work.encode`)
OUT/build.lock               held while a build runs
```
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from atomsight.core.errors import DatasetError
from atomsight.core.files import sync_folder
from atomsight.dataset._files import write_atomically, write_json
from atomsight.dataset.schema import MANIFEST_NAME
from atomsight.dataset.work import Header, decode, decode_crystals, decode_header


class Staging:
    """Parts of a build under a folder that is locked by the caller."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "staging"

    def begin(self, settings: dict[str, Any]) -> None:
        """Start or continue a build.

        Raises:
            DatasetError: the folder holds an unfinished build with other settings; the message names them.
        """
        manifest = self.out / MANIFEST_NAME
        if manifest.exists():
            refuse_other_settings(self.out, json.loads(manifest.read_text(encoding="utf-8")), settings)
        else:
            write_json(manifest, settings)
        self.folder.mkdir(exist_ok=True)
        sync_folder(self.out)
        for leftover in self.folder.glob("*.tmp"):
            leftover.unlink()

    def path(self, index: int) -> Path:
        """File of the part with this index."""
        return self.folder / f"{index:06d}.part"

    def put(self, index: int, part: bytes) -> None:
        """Store a part; it is there whole or not at all."""
        write_atomically(self.path(index), hashlib.sha256(part).digest(), part)

    def get(self, index: int) -> pa.Buffer:
        """A part, mapped from disk."""
        return pa.memory_map(str(self.path(index))).read_buffer().slice(32)

    def header(self, index: int) -> Header | None:
        """Header of a part; None where it is not there or was damaged on disk."""
        path = self.path(index)
        if not path.exists() or path.stat().st_size <= 32:
            return None
        whole = pa.memory_map(str(path)).read_buffer()
        part = whole.slice(32)
        undamaged = hashlib.sha256(part).digest() == whole.slice(0, 32).to_pybytes()
        return decode_header(part) if undamaged else None

    def drop_from(self, count: int) -> None:
        """Remove parts with index ``count`` and above: left by a source that has since become shorter."""
        for path in self.folder.glob("*.part"):
            if int(path.stem) >= count:
                path.unlink()

    def remove(self) -> None:
        """Remove the staging area; the manifest goes last, so that a stop in between is met again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.out / MANIFEST_NAME).unlink(missing_ok=True)


class StagedParts:
    """The parts 0 .. count - 1 of a staging area, see `finalise.Parts`."""

    def __init__(self, staging: Staging, count: int) -> None:
        self._staging = staging
        self._count = count

    def crystals(self) -> Iterator[pa.Table]:
        """The crystals of each part."""
        for index in range(self._count):
            yield decode_crystals(self._staging.get(index))

    def tables(self) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
        """Crystals, skipped and sites of each part."""
        for index in range(self._count):
            crystals, skipped, sites = decode(self._staging.get(index))
            yield owned(crystals), owned(skipped), sites


def owned(table: pa.Table) -> pa.Table:
    """A copy of a table that was read from a mapped file.

    Rows that wait to be written, a few of each part, would keep the mapping of every part alive.
    """
    return table.take(pa.array(np.arange(len(table))))


def refuse_other_settings(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare the settings of a build found in a folder with those wanted.

    Raises:
        DatasetError: they differ; the message names each setting with both values.
    """
    wanted = json.loads(json.dumps(wanted))
    names = [name for name in dict.fromkeys([*found, *wanted]) if found.get(name) != wanted.get(name)]
    if names:
        differences = "; ".join(
            f"{name}: {shortened(str(found.get(name)))} there, {shortened(str(wanted.get(name)))} now"
            for name in names
        )
        raise DatasetError(
            f"{out} was built with other settings ({differences}); use the same ones, give another --out, "
            "or remove it"
        )


def shortened(text: str, length: int = 120) -> str:
    """A text cut so that it fits in a message."""
    return text if len(text) <= length else f"{text[:length]} ..."
