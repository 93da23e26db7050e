"""Opening, streaming, shuffling, filtering and capping, against the whole table read at once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import Dataset, open_dataset
from atomsight.dataset.batches import CapSelection
from atomsight.dataset.schema import CRYSTALS_SCHEMA, SKIPPED_SCHEMA, sites_schema

COLUMNS = [
    "crystal",
    "site",
    "element",
    "distances",
    "neighbours",
    "neighbour_elements",
    "label",
    "split",
    "bonds",
]


def whole(dataset: Dataset) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in dataset.shards()])


def keys(batches: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [key for b in batches for key in zip(b["crystal"], b["site"].tolist(), strict=True)]


def test_schemas(small: Dataset) -> None:
    assert len(small.shards()) > 4
    for path in small.shards():
        assert pq.read_schema(path).equals(sites_schema(6))
        assert pq.ParquetFile(path).num_row_groups > 1 or pq.read_metadata(path).num_rows <= 200
    assert small.crystals().schema.equals(CRYSTALS_SCHEMA)
    assert small.skipped().schema.equals(SKIPPED_SCHEMA)
    assert pq.read_schema(small.shards()[0]).metadata[b"atomsight.k"] == b"6"


def test_rows_of_a_crystal_are_contiguous_in_one_shard_and_match_the_crystals_table(small: Dataset) -> None:
    seen: dict[str, str] = {}
    sites: Counter[str] = Counter()
    for path in small.shards():
        names = pq.read_table(path, columns=["crystal", "site"]).to_pydict()
        previous = None
        for name, site in zip(names["crystal"], names["site"], strict=True):
            if name != previous:
                assert name not in seen, "a crystal's rows are in two places"
                seen[name] = path.name
            assert site == sites[name]
            sites[name] += 1
            previous = name
    table = small.crystals().to_pydict()
    assert dict(zip(table["crystal"], table["n_sites"], strict=True)) == sites
    for name, split in zip(table["crystal"], table["split"], strict=True):
        assert seen[name].startswith(f"{split}-")
    assert len(seen) == small.n_crystals
    assert sum(sites.values()) == small.n_sites()


def test_batches_are_the_table(small: Dataset) -> None:
    table = whole(small)
    batches = list(small.batches(COLUMNS, batch_size=300))
    assert [len(b["site"]) for b in batches[:-1]] == [300] * (len(batches) - 1)
    for name in COLUMNS:
        got = np.concatenate([b[name] for b in batches])
        assert got.tolist() == table.column(name).to_pylist(), name
    assert batches[0]["distances"].dtype == np.float32
    assert batches[0]["distances"].shape == (300, 6)
    assert batches[0]["neighbours"].dtype == np.uint32
    assert batches[0]["crystal"].dtype == object
    assert (np.diff(batches[0]["distances"], axis=1) >= 0).all()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_holds_its_crystals_only(small: Dataset, split: str) -> None:
    table = whole(small)
    wanted = [
        key
        for *key, where in zip(
            *(table.column(n).to_pylist() for n in ("crystal", "site", "split")), strict=True
        )
        if where == split
    ]
    assert wanted
    assert [list(key) for key in keys(list(small.batches(["crystal", "site"], split=split)))] == wanted
    assert small.n_sites(split) == len(wanted)


def test_shuffling_keeps_every_row_once_and_whole(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomsight.dataset.batches.POOL_ROWS", 500)
    plain = {
        (c, s): d.tolist()
        for b in small.batches(["crystal", "site", "distances"])
        for c, s, d in zip(b["crystal"], b["site"], b["distances"], strict=True)
    }
    batches = list(small.batches(["crystal", "site", "distances"], shuffle=1, batch_size=128))
    order = keys(batches)
    assert sorted(order) == sorted(plain)
    for b in batches:
        for c, s, d in zip(b["crystal"], b["site"], b["distances"], strict=True):
            assert plain[c, s] == d.tolist()
    assert order == keys(list(small.batches(["crystal", "site"], shuffle=1, batch_size=128)))
    assert order != keys(list(small.batches(["crystal", "site"], shuffle=2, batch_size=128)))
    # Mixed across shards: the first batch has rows of several.
    shard_of = {
        name: p.name for p in small.shards() for name in pq.read_table(p).column("crystal").to_pylist()
    }
    assert len({shard_of[name] for name in batches[0]["crystal"]}) > 2


def test_elements_filter(small: Dataset) -> None:
    table = whole(small)
    batches = list(small.batches(["crystal", "site"], elements=(6, 30)))
    expected = [
        (c, s)
        for c, s, z in zip(
            *(table.column(n).to_pylist() for n in ("crystal", "site", "element")), strict=True
        )
        if z in (6, 30)
    ]
    assert keys(batches) == expected


@pytest.mark.parametrize("cap", [1, 37, 300, 10**6])
def test_cap_is_exact_and_independent_of_order_and_filter(small: Dataset, cap: int) -> None:
    counts = small.element_counts()
    taken = list(small.batches(["crystal", "site", "element"], cap=cap))
    numbers = Counter(np.concatenate([b["element"] for b in taken]).tolist())
    assert numbers == {z: min(n, cap) for z, n in counts.items()}
    again = list(small.batches(["crystal", "site", "element"], cap=cap, shuffle=5, batch_size=50))
    assert sorted(keys(again)) == sorted(keys(taken))
    carbon = [k for b in taken for k in keys([{n: v[b["element"] == 6] for n, v in b.items()}])]
    assert keys(list(small.batches(["crystal", "site"], cap=cap, elements=[6]))) == carbon
    if cap == 37:
        other = list(small.batches(["crystal", "site", "element"], cap=cap, seed=1))
        assert sorted(keys(other)) != sorted(keys(taken))


def test_cap_takes_the_least_hashes(small: Dataset) -> None:
    """Against sorting all hashes at once; the stream keeps only a few candidates."""
    selection = CapSelection(small.shards(), 20, 3)
    table = whole(small)
    hashes = selection._hashes(table)
    numbers = table.column("element").to_numpy()
    everything = list(zip(table.column("crystal").to_pylist(), table.column("site").to_pylist(), strict=True))
    expected = {
        everything[i]
        for z in np.unique(numbers)
        for i in sorted(np.flatnonzero(numbers == z), key=lambda i: hashes[i])[:20]
    }
    assert set(keys(list(small.batches(["crystal", "site"], cap=20, seed=3)))) == expected


def test_counts(small: Dataset) -> None:
    numbers = Counter(whole(small).column("element").to_pylist())
    assert small.element_counts() == numbers
    assert list(small.element_counts().values()) == sorted(numbers.values(), reverse=True)
    assert small.top_elements(2) == (1, 6)
    with pytest.raises(InputError, match="9 elements"):
        small.top_elements(9)
    train = Counter(
        np.concatenate([b["element"] for b in small.batches(["element"], split="train")]).tolist()
    )
    assert small.element_counts("train") == train


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.batches(["distance"]), "no column 'distance'"),
        (lambda d: d.batches(["site"], split="training"), "no split"),
        (lambda d: d.batches(["site"], batch_size=0), "at least 1"),
        (lambda d: d.batches(["site"], cap=0), "at least 1"),
    ],
)
def test_wrong_use_is_refused_at_once(small: Dataset, call: Callable[[Dataset], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(small)


def test_not_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is not a dataset"):
        open_dataset(tmp_path)
    (tmp_path / "build.json").write_text("{}")
    with pytest.raises(DatasetError, match="unfinished build"):
        open_dataset(tmp_path)


@pytest.fixture
def copy(small: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small.path, tmp_path / "copy"))


def test_other_schema_version(copy: Path) -> None:
    index = json.loads((copy / "dataset.json").read_text())
    index["schema"]["version"] += 1
    (copy / "dataset.json").write_text(json.dumps(index))
    with pytest.raises(DatasetError, match=r"version 3.*version 2"):
        open_dataset(copy)


def test_damaged_index(copy: Path) -> None:
    (copy / "dataset.json").write_text('{"schema": ')
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(copy)


def test_truncated_missing_and_edited_shards(copy: Path) -> None:
    shard = open_dataset(copy).shards()[1]
    content = shard.read_bytes()
    shard.write_bytes(content[:-10])
    with pytest.raises(DatasetError, match=rf"{shard.name}.*damaged"):
        open_dataset(copy)
    shard.unlink()
    with pytest.raises(DatasetError, match=rf"{shard.name}.*missing"):
        open_dataset(copy)
    middle = len(content) // 2
    shard.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    assert open_dataset(copy).damaged() == [f"sites/{shard.name}"]


def test_a_shard_that_is_no_parquet_is_named(copy: Path) -> None:
    dataset = open_dataset(copy)
    shard = dataset.shards()[0]
    shard.write_bytes(b"x" * shard.stat().st_size)
    with pytest.raises(DatasetError, match=shard.name):
        list(dataset.batches(["site"]))


def test_all_means_every_split(small: Dataset) -> None:
    assert small.n_sites("all") == sum(small.n_sites(split) for split in ("train", "val", "test"))
    assert small.element_counts("all") == small.element_counts()
    assert sum(len(batch["element"]) for batch in small.batches(["element"], split="all")) == small.n_sites()
