"""Names that do not depend on where the data lies, and ids that are unique."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomsight.core.errors import InputError
from atomsight.dataset.naming import group_sources, portable_names, unique_ids


def test_portable_names_are_as_short_as_tells_them_apart() -> None:
    assert portable_names([Path("/data/a/cifs"), Path("/data/core.tar.xz")]) == ["cifs", "core.tar.xz"]
    assert portable_names([Path("/data/a/cifs"), Path("/data/b/cifs")]) == ["a/cifs", "b/cifs"]


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="given twice"):
        portable_names([Path("cifs"), Path("./cifs/")])


def test_files_of_one_folder_are_one_source() -> None:
    paths = [
        Path(p) for p in ("/d/a/1.cif", "/d/a/2.CIF", "/d/more.zip", "/d/a/3.cif", "/d/b/1.cif", "/d/cifs")
    ]
    sources = group_sources(paths)
    assert [source.paths for source in sources] == [
        (paths[0], paths[1]),
        (paths[2],),
        (paths[3],),
        (paths[4],),
        (paths[5],),
    ]
    assert sources[0].portable("/d/a/1.cif") == "a/1.cif"
    assert sources[3].portable("/d/b/1.cif") == "b/1.cif"


def test_portable_places() -> None:
    folder, archive = group_sources([Path("/data/a/cifs"), Path("/data/core.tar.xz")])
    assert folder.portable("/data/a/cifs/x/1.cif") == "cifs/x/1.cif"
    assert archive.portable("/data/core.tar.xz::1.cif") == "core.tar.xz::1.cif"
    assert folder.portable("/data/a/cifs/\udce9.cif") == "cifs/\ufffd.cif"


def test_later_namesakes_get_more_of_their_source() -> None:
    sources = [
        "2014.tar.xz::ABAVIJ.cif",
        "2019.tar.xz::ABAVIJ.cif",
        "csp/MACE/x.cif",
        "csp/PBE/x.cif",
        "other/PBE/x.cif",
        "other/PBE/x.cif#2",
        "ABAVIJ.cif",
    ]
    names = ["ABAVIJ", "ABAVIJ", "x", "x", "x", "x", "ABAVIJ"]
    assert unique_ids(names, sources) == [
        "ABAVIJ",
        "2019/ABAVIJ",
        "x",
        "PBE/x",
        "other/PBE/x",
        "x~2",
        "ABAVIJ~2",
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "a~2", "d/a"]), st.sampled_from(["d/a.cif", "e.zip::d/a.cif"]))
    )
)
def test_ids_are_unique_and_the_first_keeps_its_name(pairs: list[tuple[str, str]]) -> None:
    names = [name for name, _ in pairs]
    ids = unique_ids(names, [source for _, source in pairs])
    assert len(set(ids)) == len(ids)
    for index, name in enumerate(names):
        if name not in ids[:index]:
            assert ids[index] == name
