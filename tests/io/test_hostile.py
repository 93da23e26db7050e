"""Hostile and broken input ends in reasons: within the budgets, and without taking the batch along."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atomsight
import atomsight.core.errors
import atomsight.io
from atomsight.core.errors import SkippedWarning
from atomsight.io import Budget, Member, QualityPolicy, crystals_of, iter_members, read
from atomsight.io._atoms import AtomTable
from atomsight.io.assemble import Structure, assemble
from atomsight.io.policy import SkipError

HALITE = (Path(__file__).parents[1] / "data" / "halite.cif").read_bytes()
POSCAR = "salt\n1.0\n5.6 0 0\n0 5.6 0\n0 0 5.6\nNa Cl\n{}\nDirect\n0 0 0\n0.5 0.5 0.5\n"
COMMENT = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3'


def rules_of(data: bytes, format: str = "cif", **limits: int) -> list[str]:
    rules: list[str] = []
    policy = QualityPolicy(**limits)  # type: ignore[arg-type]
    crystals_of(Member("x", "x", data, format), policy, lambda s, r: rules.append(r.rule))  # type: ignore[attr-defined]
    return rules


def members(path: Path, **limits: int) -> tuple[int, list[str]]:
    rules: list[str] = []
    found = iter_members(path, lambda s, r: rules.append(r.rule), budget=Budget(**limits))  # type: ignore[attr-defined]
    return sum(1 for _ in found), rules


def test_skips_that_nobody_hears_of_are_warned_of_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.cif").write_bytes(b"no cif")
    (tmp_path / "c.cif").write_bytes(HALITE)
    with pytest.warns(SkippedWarning, match=r"2 structures were skipped; the first is .*a\.cif: ") as told:
        assert len(list(atomsight.read(tmp_path))) == 1
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(read(tmp_path / "a.cif", on_skip=lambda s, r: None)) == []
        assert len(list(read(tmp_path / "c.cif"))) == 1


@pytest.mark.parametrize("counts", ["-1 3", "100000000 -99999998", "nan 1", "inf 1", "1.5 0.5", "9" * 5000])
def test_counts_of_a_poscar_are_whole_numbers(counts: str) -> None:
    assert rules_of(POSCAR.format(counts).encode(), "poscar") == ["syntax"]
    assert rules_of(POSCAR.format("1 1").encode(), "poscar") == []


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": np.array([11, 17, 17], np.uint8)},
        {"numbers": np.array([11, 119], np.uint8)},
        {"numbers": np.array([0, 17], np.uint8)},
        {"fractional": np.zeros((2, 2))},
        {"fractional": np.zeros((2, 3), np.float32)},
        {"occupancy": np.ones(1)},
        {"labels": ["Na"]},
        {"groups": ["1", "2", ""]},
    ],
)
def test_columns_that_do_not_fit_never_reach_compiled_code(change: dict) -> None:
    columns = {
        "labels": ["Na", "Cl"],
        "numbers": np.array([11, 17], np.uint8),
        "fractional": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        "occupancy": np.ones(2),
    }
    assert len(assemble(Structure(np.eye(3) * 4, AtomTable(**columns)), "x", "x").crystal.numbers) == 2
    with pytest.raises(SkipError, match=r"columns|no element"):
        assemble(Structure(np.eye(3) * 4, AtomTable(**{**columns, **change})), "x", "x")
    with pytest.raises(SkipError, match="finite"):
        assemble(Structure(np.full((3, 3), np.nan), AtomTable(**columns)), "x", "x")


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (ValueError("x"), "syntax"),
        (RecursionError(), "syntax"),
        (MemoryError(), "memory"),
        (OSError(5, "Input/output error"), "damaged"),
        (SkipError("density", "x"), "density"),
    ],
)
def test_any_error_of_a_reader_is_a_skip(
    error: Exception, rule: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*unused: object) -> None:
        raise error

    monkeypatch.setitem(atomsight.io._READERS, "poscar", fail)
    monkeypatch.setattr("atomsight.io._crystals_of_cif", fail)
    for format in ("poscar", "cif"):
        assert rules_of(HALITE, format) == [rule]
    # While a source is listed, too: the next one is read.
    monkeypatch.setattr("atomsight.io.sources.file_members", fail)
    rules: list[str] = []
    assert list(iter_members([tmp_path, tmp_path], lambda s, r: rules.append(r.rule))) == []  # type: ignore[attr-defined]
    assert rules == [rule, rule]


def test_interrupts_and_errors_of_the_callback_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(*unused: object) -> None:
        raise StopError

    (tmp_path / "x.tar").write_bytes(b"\0" * 10_240)
    (tmp_path / "x.cif").write_bytes(b"no cif")
    (tmp_path / "x.extxyz").write_bytes(b"no number")
    for name in ("x.tar", "x.cif", "x.extxyz"):
        with pytest.raises(StopError):
            list(read(tmp_path / name, on_skip=stop))

    def interrupt(*unused: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(atomsight.io._READERS, "poscar", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rules_of(b"x", "poscar")


@pytest.mark.parametrize("first", ["9" * 5000, "²", "-1", "1e3", "1234567890"])
def test_the_first_line_of_a_frame_is_a_count(first: str, tmp_path: Path) -> None:
    (tmp_path / "a.extxyz").write_text(f"{first}\n{COMMENT}\nSi 0 0 0\n", encoding="utf-8")
    (tmp_path / "b.cif").write_bytes(HALITE)
    rules: list[str] = []
    assert len(list(read(tmp_path, on_skip=lambda s, r: rules.append(r.rule)))) == 1  # type: ignore[attr-defined]
    assert rules == ["syntax"]


def test_frames_are_read_within_their_budgets(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz.gz"
    frame = f"1\n{COMMENT}\nSi 0 0 0\n".encode()

    def of(data: bytes, **limits: int) -> tuple[int, list[str]]:
        path.write_bytes(gzip.compress(data))
        return members(path, **limits)

    assert of(frame * 3) == (3, [])
    assert of(frame * 3, max_frames=2) == (2, ["too_many_frames"])
    assert of(b"\n" * 2000) == (0, ["syntax"])
    assert of(frame + b"\n" * 900 + frame) == (2, [])
    assert of(b"9000\n" + b"\n" * 9000) == (0, ["syntax"])
    assert of(b"1\n" + b"a" * 2000 + b"\nH 0 0 0\n", max_line=1000) == (0, ["too_large"])
    assert of(b"1\n\n" + b"a" * 2000, max_bytes=1000) == (0, ["too_large"])
    assert of(frame * 100, max_unpacked=2000, max_ratio=1) == (28, ["too_large"])


@pytest.mark.parametrize(
    ("width", "rule"), [("3", ""), ("99999", "too_many_columns"), ("1000000000", "syntax"), ("-1", "syntax")]
)
def test_announced_columns_are_limited(width: str, rule: str) -> None:
    pytest.importorskip("ase")
    data = f"1\n{COMMENT}:forces:R:{width}\nSi 0 0 0 0 0 0\n".encode()
    assert rules_of(data, "extxyz") == [rule] * bool(rule)


def test_blocks_are_limited_and_words_like_theirs_are_not_counted() -> None:
    assert rules_of(b"".join(b"data_%d\n_a 1\n" % i for i in range(20)), max_blocks=10) == ["too_many_blocks"]
    assert rules_of(HALITE + b"_x_data_y 1\n" * 1 + b"# data_\n" * 20, max_blocks=10) == []


def _header(name: str, length: int, **pax: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.pax_headers = length, pax
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("header", [_header("a.cif", 10**17), _header("a.cif", 0, size=str(10**17))])
def test_a_tar_member_that_claims_more_than_there_can_be(
    tmp_path: Path, header: bytes, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "x.tar").write_bytes(pack(header + b"\0" * 1024))
    assert members(tmp_path / "x.tar") == (0, ["too_large"])


def test_what_an_archive_unpacks_to_is_limited_compressed_members_included(tmp_path: Path) -> None:
    inner = gzip.compress(b" " * 100_000)
    with tarfile.open(tmp_path / "x.tar", "w") as archive, zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for i in range(20):
            info = tarfile.TarInfo(f"{i}.cif.gz")
            info.size = len(inner)
            archive.addfile(info, io.BytesIO(inner))
            packed.writestr(f"{i}.cif", b" " * 100_000, zipfile.ZIP_DEFLATED)
    for name in ("x.tar", "x.zip"):
        assert members(tmp_path / name) == (20, [])
        count, rules = members(tmp_path / name, max_unpacked=500_000, max_ratio=1)
        assert 1 <= count <= 5
        assert set(rules) == {"too_large"}
        assert members(tmp_path / name, max_members=5) == (5, ["too_many_members"])


def test_zip_entries_that_share_their_content_are_refused(tmp_path: Path) -> None:
    data = os.urandom(1000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packer.compress(data) + packer.flush()
    sizes = b"".join(n.to_bytes(4, "little") for n in (zlib.crc32(data), len(content), len(data)))
    fixed = b"\x14\0\0\0\x08\0\0\0\0\0" + sizes + b"\x05\0\0\0"
    local = b"PK\x03\x04" + fixed + b"a.cif" + content
    listed = (b"PK\x01\x02\x14\0" + fixed + b"\0" * 14 + b"a.cif") * 2000
    end = b"PK\x05\x06\0\0\0\0" + (2000).to_bytes(2, "little") * 2
    end += len(listed).to_bytes(4, "little") + len(local).to_bytes(4, "little") + b"\0\0"
    (tmp_path / "x.zip").write_bytes(local + listed + end)
    assert len(zipfile.ZipFile(tmp_path / "x.zip").infolist()) == 2000
    assert members(tmp_path / "x.zip") == (0, ["damaged"])


def test_pipes_and_names_beyond_the_file_system_do_not_hang_or_raise(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.cif")
    assert members(tmp_path / "pipe.cif") == (0, ["damaged"])
    with pytest.raises(atomsight.core.errors.InputError, match="no such file"):
        members(tmp_path / ("x" * 5000))
