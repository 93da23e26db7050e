"""Output files are whole or absent, and their text cells harmless in a spreadsheet."""

from __future__ import annotations

import csv
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomsight.core.errors import InputError, OutputError
from atomsight.core.files import (
    cell,
    cell_text,
    check_file,
    check_folder,
    read_csv,
    whole,
    whole_text,
    write_bytes,
    write_csv,
    write_json,
    write_rows,
    write_text,
)


def numbers() -> Iterator[tuple[str, int]]:
    yield "first", 1
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def figure(path: Path) -> None:
    from atomsight.plots.style import new_figure, save

    save(new_figure(1, 1), path)


def ranking(path: Path) -> None:
    from atomsight.rank.rank import Ranked
    from atomsight.rank.write import write_ranking

    names = (f"crystal {number}" for number in range(3000))
    write_ranking((Ranked(1, name, "file.cif", "H2O", "molecular", 0.5, "keep") for name in names), path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: write_bytes(path, bytes(100_000)),
    "durable.bin": lambda path: write_bytes(path, bytes(100_000), durable=True),
    "text.txt": lambda path: write_text(path, "x" * 100_000),
    "record.json": lambda path: write_json(path, ["x"] * 20_000),
    "table.csv": lambda path: write_csv(path, ("name", "n"), [("x" * 100, 1)] * 1000),
    "figure.svg": figure,
    "order.csv": ranking,
    "order.json": ranking,
    "order.jsonl": ranking,
    "order.parquet": ranking,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("before", [None, "old"])
def test_a_write_that_fails_at_its_end_leaves_the_old_file_or_none(
    name: str, before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if before is not None:
        path.write_text(before)

    def full(*unused: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("atomsight.core.files.os.replace", full)
        with pytest.raises(OutputError, match=f"cannot write .*{name}: No space left on device"):
            WRITERS[name](path)
    assert [p.name for p in tmp_path.iterdir()] == ([name] if before else [])
    assert before is None or path.read_text() == before
    WRITERS[name](path)
    assert path.stat().st_size > 100


def write_half(path: Path) -> None:
    with whole_text(path) as file:
        file.write("half")
        raise KeyboardInterrupt


def test_rows_that_fail_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*table\.csv: No space left"):
        write_csv(tmp_path / "new" / "table.csv", ("name", "n"), numbers())
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "text")
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 64 kB, where this process may mount one."""
    place = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_no_partial_file(name: str, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(65_536))
    with pytest.raises(OutputError, match=f"cannot write .*{name}: No space left on device"):
        WRITERS[name](small_disk / name)
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


def test_a_full_disk_is_noticed_before_the_work(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(65_536))
    for check, option in ((check_file, "--out"), (check_folder, "--keep-dir")):
        with pytest.raises(OutputError, match=f"{option} .*new cannot be written: No space left on device"):
            check(option, small_disk / "new")
    command = [
        sys.executable,
        "-m",
        "atomsight",
        "dataset",
        "dedupe",
        "data",
        "--out",
        str(small_disk / "a.csv"),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: --out {small_disk}/a.csv cannot be written: No space left on device\n"


def test_checks_leave_no_trace(tmp_path: Path) -> None:
    check_file("--out", tmp_path / "deep" / "file.csv")
    check_folder("--out", tmp_path / "deep" / "folder")
    check_file("--out", None)
    check_file("--out", Path("/dev/null"))
    assert not any(tmp_path.iterdir())
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_file("--out", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; name a folder"):
        check_folder("--out", tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        check_folder("--out", tmp_path / "file" / "folder")


def test_links_are_followed_and_devices_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    write_text(Path("/dev/null"), "text")
    assert not Path("/dev/null").is_file()
    with pytest.raises(OutputError, match="Is a directory"), whole(tmp_path) as place:
        place.open("wb")


@given(st.text(alphabet="=+-@\t\r'a1.e5", max_size=8))
def test_cells_are_no_formulas_and_keep_their_text(text: str) -> None:
    value = cell(text)
    assert cell_text(value) == text
    if value[:1] in tuple("=+-@\t\r"):
        float(value)  # a number, which a spreadsheet does not evaluate


def test_tables_are_safe_and_exact(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [("=HYPERLINK(1)", -1.5, -2, None), ("-3", 0.1234567, 1, "@x")]
    write_csv(path, ("name", "a", "b", "c"), rows, ".3f")
    assert path.read_text() == "name,a,b,c\n'=HYPERLINK(1),-1.500,-2,\n-3,0.123,1,'@x\n"
    assert [row["name"] for row in read_csv(path)] == ["=HYPERLINK(1)", "-3"]
    with path.open(newline="") as file:
        assert next(csv.DictReader(file))["name"] == "'=HYPERLINK(1)"


def test_rows_with_the_same_keys_are_a_table(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "rows.csv", iter([{"name": "=a", "share": 0.5}, {"name": "b", "share": None}]), ".3f"
    )
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == "name,share\n'=a,0.500\nb,\n"
    write_rows(tmp_path / "none.csv", [])
    assert list(read_csv(tmp_path / "none.csv")) == []
