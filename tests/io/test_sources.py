"""CIFs come out of files, folders and archives in a stable order; what cannot be read is named."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from atomsight.core.errors import InputError
from atomsight.io import Budget, Member, iter_members, read

HALITE = (Path(__file__).parents[1] / "data" / "halite.cif").read_bytes()


def members(paths: object, **options: Budget) -> tuple[list[Member], list[tuple[str, str, str]]]:
    skips: list[tuple[str, str, str]] = []
    found = list(iter_members(paths, lambda s, r: skips.append((s, r.rule, r)), **options))  # type: ignore[arg-type]
    return found, skips


def tar(path: Path, entries: list[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_named_file_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    found, _ = members(tmp_path / "a.txt")
    assert found == [Member("a.txt", str(tmp_path / "a.txt"), b"x")]


def test_folders_are_walked_in_order_and_links_do_not_loop(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.CIF", "a.cif", "b/d.cif", "b/readme.txt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "e.cif.gz").write_bytes(gzip.compress(b"packed"))
    found, skips = members(tmp_path)
    assert [(m.name, m.data) for m in found] == [
        ("a", b"a.cif"), ("c", b"c.CIF"), ("e", b"packed"), ("d", b"b/d.cif"),
    ]  # fmt: skip
    assert skips == []


def test_an_empty_folder_is_reported_and_archives_in_it_are_hinted_at(tmp_path: Path) -> None:
    tar(tmp_path / "x.tar", [("a.cif", HALITE)])
    found, skips = members(tmp_path)
    assert found == []
    assert skips[0][1] == "no_cif"
    assert "archive" in skips[0][2]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "tar.bz2", "tgz", "anything"])
def test_tar_archives_are_streamed_in_their_order(tmp_path: Path, suffix: str) -> None:
    mode = {"tar.gz": "w:gz", "tgz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}.get(suffix, "w")
    path = tar(
        tmp_path / f"x.{suffix}",
        [("z/b.cif", b"1"), ("notes", b"2"), ("a.Cif", b"3"), ("z/b.cif", b"4")],
        mode,
    )
    found, skips = members(path)
    assert [(m.name, m.source, m.data) for m in found] == [
        ("b", f"{path}::z/b.cif", b"1"), ("a", f"{path}::a.Cif", b"3"), ("b", f"{path}::z/b.cif", b"4"),
    ]  # fmt: skip
    assert skips == []


def test_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/one.cif", HALITE)
        archive.writestr("../out.cif", HALITE)
        link = zipfile.ZipInfo("link.cif")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    found, skips = members(path)
    assert [m.source for m in found] == [f"{path}::b/one.cif"]
    assert [rule for _, rule, _ in skips] == ["unsafe_member"] * 2


def test_tar_members_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../out.cif", "/abs.cif", "a/../../b.cif"):
            archive.addfile(tarfile.TarInfo(name))
        for kind, name in (
            (tarfile.SYMTYPE, "s.cif"),
            (tarfile.LNKTYPE, "h.cif"),
            (tarfile.CHRTYPE, "dev.cif"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    found, skips = members(path)
    assert found == []
    assert [rule for _, rule, _ in skips] == ["unsafe_member"] * 6


def test_the_size_limit_holds_for_what_unpacks(tmp_path: Path) -> None:
    big = b" " * 5000
    (tmp_path / "a.cif").write_bytes(big)
    (tmp_path / "b.cif.gz").write_bytes(gzip.compress(big))
    archive = tar(tmp_path / "x.tar.gz", [("c.cif", big), ("d.cif", b"ok")], "w:gz")
    with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("e.cif", big)
    found, skips = members([tmp_path, archive, tmp_path / "y.zip"], budget=Budget(max_bytes=4000))
    assert [m.name for m in found] == ["d"]
    assert [rule for _, rule, _ in skips] == ["too_large"] * 4


def test_a_cut_archive_keeps_what_came_before(tmp_path: Path) -> None:
    import random

    noise = random.Random(0).randbytes(200_000)
    whole = tar(tmp_path / "w.tar.xz", [("a.cif", HALITE), ("b.cif", noise)], "w:xz").read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(whole[: len(whole) // 2])
    found, skips = members(tmp_path / "cut.tar.xz")
    assert [m.name for m in found] == ["a"]
    assert {rule for _, rule, _ in skips} == {"damaged"}
    assert skips[-1][0] == str(tmp_path / "cut.tar.xz")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.cif.gz"])
def test_rubbish_under_an_archives_name_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8bPK no archive at all")
    found, skips = members(tmp_path / name)
    assert found == []
    assert [rule for _, rule, _ in skips] == ["damaged"]


def test_an_extended_header_of_absurd_size_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = tmp_path / "bomb.tar.xz"
    path.write_bytes(lzma.compress(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * (1 << 22)))
    _, skips = members(path)
    assert skips[0][1] == "damaged"
    assert "extended header" in skips[0][2]


def test_lists_may_be_nested_and_a_missing_path_is_named_first(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_bytes(b"1")
    found, _ = members([tmp_path / "a.cif", [str(tmp_path / "a.cif"), [tmp_path]]])
    assert len(found) == 3
    with pytest.raises(InputError, match=r"missing\.cif"):
        list(read([tmp_path / "a.cif", tmp_path / "missing.cif"]))
    with pytest.raises(InputError):
        list(read(7))  # type: ignore[arg-type]
