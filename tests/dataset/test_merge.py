"""Datasets built apart, merged: the same bytes as one build of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from atomsight.core.errors import DatasetError, InputError
from atomsight.core.progress import Progress
from atomsight.dataset import build, chunks, open_dataset
from atomsight.dataset._files import fingerprint_of
from atomsight.dataset.existing import file_stem
from atomsight.dataset.merge import merge
from atomsight.dataset.naming import plain_name, unique_ids
from atomsight.io.policy import QualityPolicy
from small_crystals import cif_text, content, write_cifs

K = 4


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks, row groups and shards, of sizes that do not divide one another."""
    monkeypatch.setattr(chunks, "CHUNK_FILES", 7)
    monkeypatch.setattr("atomsight.dataset.existing.PORTION", 5)
    monkeypatch.setattr("atomsight.dataset.shards.ROW_GROUP_ROWS", 37)
    monkeypatch.setattr("atomsight.dataset.shards.SHARD_BYTES", 90 * (9 * K + 40))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("sources")
    return [write_cifs(root / name, 22, first=first) for name, first in (("a", 0), ("b", 100), ("c", 200))]


def test_the_same_bytes_as_one_build(sources: list[Path], tmp_path: Path) -> None:
    build(sources, tmp_path / "whole", K, licence=["MIT", "CC0", "MIT"])
    licences = ("MIT", "CC0", "MIT")
    for source, licence in zip(sources, licences, strict=True):
        build(source, tmp_path / f"part-{source.name}", K, licence=licence)
    seen = []
    summary = merge(
        [tmp_path / "part-a", tmp_path / "part-b", tmp_path / "part-c"],
        tmp_path / "merged",
        progress=lambda now: seen.append((now.done, now.total)),
    )
    assert len(open_dataset(tmp_path / "whole").shards("train")) > 1
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert (summary.duplicates, summary.superseded) == (0, 0)
    assert seen[-1] == (66, 66)
    # Merging may be done in steps.
    merge([tmp_path / "part-a", tmp_path / "part-b"], tmp_path / "ab")
    merge([tmp_path / "ab", tmp_path / "part-c"], tmp_path / "abc")
    assert content(tmp_path / "abc") == content(tmp_path / "whole")


def test_ids_met_again(tmp_path: Path) -> None:
    """The same file is taken once; another file of the same name gets more of its source, as in a build."""
    for folder, seed in (("one/cifs", 1), ("two/cifs", 1), ("three/new", 2)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.cif").write_text(cif_text(seed))
    (tmp_path / "two/cifs/y.cif").write_text(cif_text(3))
    parts = []
    for name in ("one/cifs", "two/cifs", "three/new"):
        parts.append(tmp_path / f"{name}-built")
        build(tmp_path / name, parts[-1], K)
    summary = merge(parts, tmp_path / "merged")
    assert open_dataset(tmp_path / "merged").crystals().column("crystal").to_pylist() == ["x", "y", "new/x"]
    assert (summary.duplicates, summary.renamed) == (1, 1)


def test_groups_join_across_parts(tmp_path: Path) -> None:
    """One family in two parts is one group, whatever its formulas."""
    for part, seed in (("p", 1), ("q", 2)):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"ABAVIJ0{seed}.cif").write_text(cif_text(seed))
        build(tmp_path / part, tmp_path / f"{part}-built", K)
    merge([tmp_path / "p-built", tmp_path / "q-built"], tmp_path / "merged")
    crystals = open_dataset(tmp_path / "merged").crystals()
    assert len(set(crystals.column("formula").to_pylist())) == 2
    assert len(set(crystals.column("group").to_pylist())) == 1
    assert len(set(crystals.column("split").to_pylist())) == 1


def test_one_per_refcode(tmp_path: Path) -> None:
    for part, names in (("p", ["ABAVIJ_clean", "ABEXEM"]), ("q", ["ABAVIJ_freeONLY", "ABESUX"])):
        (tmp_path / part).mkdir()
        for seed, name in enumerate(names):
            (tmp_path / part / f"{name}.cif").write_text(cif_text(seed + 10 * (part == "q")))
        build(tmp_path / part, tmp_path / f"{part}-built", K, one_per_refcode=True)
    build([tmp_path / "p", tmp_path / "q"], tmp_path / "whole", K, one_per_refcode=True)
    summary = merge([tmp_path / "p-built", tmp_path / "q-built"], tmp_path / "merged")
    assert summary.superseded == 1
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 5}, r"k: 4 and 5"),
        ({"policy": QualityPolicy(min_distance=0.7)}, r"policy min_distance: 0.5 and 0.7"),
        ({"bonds": "none"}, r"bonds: file and none"),
    ],
)
def test_other_settings_are_refused(
    settings: dict, message: str, sources: list[Path], tmp_path: Path
) -> None:
    build(sources[0], tmp_path / "p", K)
    build(sources[1], tmp_path / "q", **{"k": K, **settings})
    with pytest.raises(DatasetError, match=message):
        merge([tmp_path / "p", tmp_path / "q"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_cannot_be_merged(sources: list[Path], tmp_path: Path) -> None:
    build(sources[0], tmp_path / "p", K)
    build(sources[1], tmp_path / "q", K)
    with pytest.raises(InputError, match="at least two"):
        merge([tmp_path / "p"], tmp_path / "m")
    with pytest.raises(InputError, match="given twice"):
        merge([tmp_path / "p", tmp_path / "q", tmp_path / "p"], tmp_path / "m")
    with pytest.raises(InputError, match="one of the parts"):
        merge([tmp_path / "p", tmp_path / "q"], tmp_path / "p")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="not empty"):
        merge([tmp_path / "p", tmp_path / "q"], tmp_path / "full")
    shard = open_dataset(tmp_path / "q").shards()[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(DatasetError, match=shard.name):
        merge([tmp_path / "p", tmp_path / "q"], tmp_path / "m")
    shard.write_bytes(whole)
    merge([tmp_path / "p", tmp_path / "q"], tmp_path / "m")  # goes on where the refused one left off
    index = tmp_path / "q" / "dataset.json"
    edited = {**json.loads(index.read_text()), "resplit": {"salt": "s"}}
    index.write_text(json.dumps({**edited, "fingerprint": fingerprint_of(edited)}))
    with pytest.raises(DatasetError, match="split of its own"):
        merge([tmp_path / "p", tmp_path / "q"], tmp_path / "n")


def test_interrupted(sources: list[Path], tmp_path: Path) -> None:
    build(sources[0], tmp_path / "p", K)
    build(sources[1], tmp_path / "q", K)
    parts = [tmp_path / "p", tmp_path / "q"]

    def stop(progress: Progress) -> None:
        if progress.done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(parts, tmp_path / "m", progress=stop)
    with pytest.raises(DatasetError, match="unfinished"):
        open_dataset(tmp_path / "m")
    merge(parts, tmp_path / "m")
    # Stopped once the dataset was there, before its manifest was gone; or not stopped at all.
    whole = content(tmp_path / "m")
    (tmp_path / "m" / "build.json").write_text("{}")
    for _ in range(2):
        merge(parts, tmp_path / "m")
        assert content(tmp_path / "m") == whole
    with pytest.raises(DatasetError, match="holds another dataset"):
        merge(parts[::-1], tmp_path / "m")
    shutil.rmtree(tmp_path / "q")
    merge_again = open_dataset(tmp_path / "m")
    build(sources[:2], tmp_path / "whole", K)
    assert merge_again.fingerprint == open_dataset(tmp_path / "whole").fingerprint


def test_names_taken_back() -> None:
    source = "deep/2019-ASR.tar.xz::b/ABAVIJ.cif"
    names = ["ABAVIJ"] * 5
    ids = unique_ids(names, [source] * 5)
    assert ids == ["ABAVIJ", "b/ABAVIJ", "2019-ASR/b/ABAVIJ", "deep/2019-ASR/b/ABAVIJ", "ABAVIJ~2"]
    assert [plain_name(name, source) for name in ids] == names
    assert plain_name("x/block", "x.cif#block") == "x/block"


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("a/x.cif", "x"),
        ("a.tar.xz::b/x_clean.CIF", "x_clean"),
        ("a.zip::b/x.cif.gz#block", "x"),
        ("a/x.cif#odd/block#1", "x"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_file_of_a_source(source: str, stem: str) -> None:
    assert file_stem(source) == stem
