"""The copies that ``rank --keep-dir`` makes, when the disk fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atomsight.cli import rank
from atomsight.cli.rank import Survivors
from atomsight.core.errors import OutputError
from atomsight.io import Member


def test_a_full_disk_ends_the_copies_and_keeps_what_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [Member(name, f"{name}.cif", name.encode()) for name in "abc"]

    def write(path: Path, data: bytes) -> None:
        if data != b"a":
            raise OutputError(f"cannot write {path}: No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(rank, "write_bytes", write)
    survivors = Survivors(tmp_path / "kept")
    with survivors:
        sources: Iterator[Any] = survivors.watch(iter(members))
        copies = [survivors.add(cast("Any", SimpleNamespace(source=member.source))) for member in sources]
        assert copies == ["a.cif", None, None]
        with pytest.raises(OutputError, match="No space left on device"):
            survivors.keep(["a.cif"])
    assert [(p.name, p.read_text()) for p in (tmp_path / "kept").iterdir()] == [("a.cif", "a")]
