"""Datasets split as another one is: more to learn from, judged on the same."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase

import pytest

from atomsight.core.errors import InputError
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.dataset.resplit import split_like
from atomsight.dataset.split import groups
from small_crystals import cif_text

K = 4
ENTRIES = 60


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """A dataset of one version of each entry, and one of two versions, some of which share a formula with
    another family."""
    root = tmp_path_factory.mktemp("versions")
    for folder, shift in (("first", 0), ("second", 40)):
        (root / folder).mkdir()
        for number in range(ENTRIES):
            refcode = "ABCD" + ascii_uppercase[number // 26] + ascii_uppercase[number % 26]
            (root / folder / f"{refcode}_clean.cif").write_text(cif_text(number + shift, refcode))
    sources = [root / "first", root / "second"]
    build(sources, root / "one", K, one_per_refcode=True)
    build(sources, root / "all", K)
    return open_dataset(root / "one"), open_dataset(root / "all")


def test_the_same_crystals_are_held_out_and_nothing_leaks(
    versions: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    one, every = versions
    more = split_like(one, every, tmp_path / "more")
    assert not more.damaged()
    table = more.crystals().to_pydict()
    before = one.crystals().to_pydict()
    split_of = dict(zip(table["source"], table["split"], strict=True))
    for source, split in zip(before["source"], before["split"], strict=True):
        assert split_of[source] == split
    assert more.element_counts("test") == one.element_counts("test")
    assert more.element_counts("val") == one.element_counts("val")
    assert one.n_crystals < more.n_crystals < every.n_crystals
    for split in ("val", "test"):
        for name in ("formula", "family", "group"):
            held = {v for v, s in zip(table[name], table["split"], strict=True) if s == split}
            others = {v for v, s in zip(table[name], table["split"], strict=True) if s != split}
            assert held
            assert not held & others
    assert table["group"] == groups(table["formula"], table["family"])
    assert more.metadata["crystals"] == len(table["source"])
    assert more.metadata["sites"] == sum(table["n_sites"]) == more.n_sites()
    assert split_like(one, every, tmp_path / "more").fingerprint == more.fingerprint


def test_what_does_not_fit_is_refused(versions: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    one, every = versions
    with pytest.raises(InputError, match="lacks"):
        split_like(every, one, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    (tmp_path / "full").mkdir()
    with pytest.raises(InputError, match="other files"):
        split_like(one, every, tmp_path / "full")
