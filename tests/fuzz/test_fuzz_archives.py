"""Archives made to hurt: paths that leave, links, bombs. Whatever is in one, memory and time stay bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.io import iter_members

CIF = next((Path(__file__).parents[1] / "data").glob("halite.cif")).read_bytes()
LEAVING = ["../x.cif", "/etc/x.cif", "a/../../x.cif", "C:/x.cif", "..\\x.cif", "a\\..\\..\\x.cif"]
KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]


def read(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the members read, and the skips with their rules."""
    skips: list[tuple[str, str]] = []
    names = [m.name for m in iter_members(path, lambda source, reason: skips.append((source, reason.rule)))]
    return names, skips


@settings(deadline=None, max_examples=60)
@given(
    members=st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(["a.cif", "b/c.CIF", "b/", *LEAVING]), st.text("ab./\\:\0é", max_size=20)
            ),
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, *KINDS]),
            st.sampled_from(["/etc/passwd", "../../x", "a.cif", ""]),
        ),
        max_size=6,
    ),
    mode=st.sampled_from(["w", "w:gz", "w:bz2"]),
)
def test_tar_members_of_any_kind(
    members: list[tuple[str, bytes, str]], mode: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = target
            info.size = len(CIF) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(CIF))
    path.write_bytes(buffer.getvalue())
    names, skips = read(path)
    regular = [name for name, kind, _ in members if kind == tarfile.REGTYPE and ".cif" in name.lower()]
    assert len(names) <= len(regular)
    assert names or skips
    # Nothing was unpacked.
    assert [p.name for p in path.parent.iterdir()] == ["x.tar"]


@pytest.mark.parametrize("name", LEAVING)
def test_paths_that_leave_the_archive(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, CIF)
        archive.writestr("good.cif", CIF)
    names, skips = read(tmp_path / "x.zip")
    assert names == ["good"]
    assert [rule for _, rule in skips] == ["unsafe_member"]


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_devices(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("link.cif")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert read(tmp_path / "x.tar") == ([], [(f"{tmp_path / 'x.tar'}::link.cif", "unsafe_member")])


BOUNDED = """
import resource, sys
from atomsight.io import iter_members
import atomsight.io.cif
resource.setrlimit(resource.RLIMIT_DATA, (400 * 2**20,) * 2)
rules = []
count = sum(1 for _ in iter_members(sys.argv[1], lambda source, reason: rules.append(reason.rule)))
print(count, *rules)
"""


def zeros(megabytes: int, opener: object) -> bytes:
    buffer = io.BytesIO()
    with opener(buffer, "wb") as file:  # type: ignore[operator]
        for _ in range(megabytes):
            file.write(bytes(2**20))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "cif.gz", "gz in zip", "tar of a huge header"])
def test_bombs(kind: str, tmp_path: Path) -> None:
    """A quarter of a gigabyte of zeros in some hundred kilobytes; the process may not hold it twice."""
    big = 256
    if kind == "zip":
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.cif", "w") as file:
            for _ in range(big):
                file.write(bytes(2**20))
    elif kind == "gz in zip":
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.cif.gz", zeros(big, gzip.open))
    elif kind == "cif.gz":
        path = tmp_path / "x.cif.gz"
        path.write_bytes(zeros(big, gzip.open))
    else:
        path = tmp_path / "x.tar.gz"
        info = tarfile.TarInfo("x.cif")
        info.type = tarfile.XHDTYPE if "header" in kind else tarfile.REGTYPE
        info.size = big * 2**20
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(big):
                file.write(bytes(2**20))
    assert path.stat().st_size < 4 * 2**20
    run = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() in (["0", "too_large"], ["0", "damaged"])


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_damaged_compression(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    pack = data.draw(st.sampled_from([gzip.compress, bz2.compress, lzma.compress]))
    content = bytearray(pack(CIF * 3))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path_factory.mktemp("packed") / data.draw(st.sampled_from(["x.tar", "x.cif.gz", "x", "x.zip"]))
    path.write_bytes(content)
    names, skips = read(path)
    assert names or skips


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_damaged_zips(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(3):
            archive.writestr(f"{index}.cif", CIF)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(content)
    names, skips = read(path)
    assert len(names) <= 3
    assert names or skips


def test_the_limit_of_this_test_is_a_limit() -> None:
    """RLIMIT_DATA stops a process that does hold what a bomb unpacks to."""
    code = "import resource as r; r.setrlimit(r.RLIMIT_DATA, (400 * 2**20,) * 2); bytes(500 * 2**20)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0
