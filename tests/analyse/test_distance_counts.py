from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.analyse import Pair, Ranks, count_distances, parse_ranks, summarise_pairs, write_distances
from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import Dataset, open_dataset

COLUMNS = ["element", "multiplicity", "distances", "neighbour_elements"]


def rows_of(dataset: Dataset, split: str | None = None) -> dict[str, np.ndarray]:
    batches = list(dataset.batches(COLUMNS, split=split))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in COLUMNS}


def test_rock_salt_and_a_hydrocarbon_count_as_stated(known: Dataset) -> None:
    counts = count_distances(known, (6, 1, 11, 17), high=4.0, bins=400)
    assert {str(Pair(*pair)): counts.total(Pair(*pair)) for pair in counts.pairs()} == {
        "C-H": 1,  # the first carbon; the second one's nearest is the first carbon
        "C-C": 1,
        "H-C": 1,
        "Na-Cl": 1,
        "Cl-Na": 1,
    }
    assert counts.total(Pair(11, 17), "atoms") == 4
    assert counts.total(Pair(6, 1), "atoms") == 1
    edges = counts.edges()
    filled = np.flatnonzero(counts.histogram(Pair(11, None)))
    assert [edges[i] for i in filled] == pytest.approx([2.82], abs=0.011)
    assert counts.neighbours(6) == {1: 1, 6: 1}


def test_the_six_neighbours_of_a_cation_and_all_eight(known: Dataset) -> None:
    six = count_distances(known, (11,), Ranks(1, 6))
    assert [six.total(Pair(11, 17), rank=n) for n in range(1, 8)] == [1] * 6 + [0]
    everything = count_distances(known, (11,), Ranks(1, 8, apart=False), high=5.0)
    assert everything.total(Pair(11, 17)) == 6
    assert everything.total(Pair(11, 11)) == 2  # two of twelve at 3.99 Å
    assert everything.total(Pair(11, 17), "atoms") == 24


def test_distances_outside_the_range_are_counted_but_in_no_bin(known: Dataset) -> None:
    counts = count_distances(known, (6, 1, 11), low=1.2, high=2.0, bins=8)
    assert counts.outside() == (2, 1)  # C-H and H-C below, Na-Cl above
    assert counts.total() == 4
    assert counts.histogram().sum() == 1


@settings(max_examples=25, deadline=None)
@given(
    elements=st.lists(st.sampled_from([1, 6, 7, 8, 30]), min_size=1, max_size=5, unique=True),
    first=st.integers(1, 8),
    many=st.integers(0, 4),
    apart=st.booleans(),
    low=st.sampled_from([0.0, 0.3, 1.17]),
    width=st.sampled_from([0.5, 1.9, 4.0]),
    bins=st.sampled_from([1, 7, 100, 800]),
    split=st.sampled_from([None, "train", "test"]),
    weight=st.sampled_from(["sites", "atoms"]),
)
def test_counts_agree_with_numpy(
    mixed: Dataset,
    elements: list[int],
    first: int,
    many: int,
    apart: bool,
    low: float,
    width: float,
    bins: int,
    split: str | None,
    weight: str,
) -> None:
    elements = [z for z in elements if z in mixed.element_counts(split)]
    if not elements:
        return
    ranks = Ranks(first, min(first + many, 8), apart)
    counts = count_distances(mixed, elements, ranks, split=split, low=low, high=low + width, bins=bins)
    rows = rows_of(mixed, split)
    size = rows["multiplicity"] if weight == "atoms" else np.ones(len(rows["element"]), dtype=np.int64)
    columns = slice(ranks.first - 1, ranks.last)
    d = rows["distances"][:, columns].astype(np.float64)
    for centre in elements:
        for neighbour in (1, 6, 30, None):
            here = np.broadcast_to((rows["element"] == centre)[:, None], d.shape)
            if neighbour is not None:
                here = here & (rows["neighbour_elements"][:, columns] == neighbour)
            sizes = np.broadcast_to(size[:, None], d.shape)[here]
            expected, _ = np.histogram(d[here], counts.edges(), weights=sizes)
            pair = Pair(centre, neighbour)
            assert counts.histogram(pair, weight).tolist() == expected.astype(int).tolist()
            assert counts.total(pair, weight) == sizes.sum()
            assert counts.histogram(pair, weight, fine=True).sum() == expected.sum()
    everything, _ = np.histogram(d[np.isin(rows["element"], elements)], counts.edges())
    assert counts.histogram().tolist() == everything.tolist()


def test_one_thread_or_many_and_little_memory_give_the_same(mixed: Dataset) -> None:
    some = count_distances(mixed, (6, 1), Ranks(1, 4), threads=1, memory_mb=100)
    same = count_distances(mixed, (6, 1), Ranks(1, 4), threads=4)
    assert some.rows.tolist() == same.rows.tolist()


def test_what_a_dataset_does_not_hold_is_named(mixed: Dataset) -> None:
    with pytest.raises(InputError, match=r"holds no Au, U; it holds .*C"):
        count_distances(mixed, (6, 79, 92))
    with pytest.raises(InputError, match=r"neighbour 9 was requested.* k = 8 .*-k 9"):
        count_distances(mixed, (6,), Ranks(2, 9))
    with pytest.raises(InputError, match="from 3 to 2"):
        count_distances(mixed, (6,), low=3, high=2)
    with pytest.raises(InputError, match="not 0"):
        count_distances(mixed, (6,), bins=0)
    with pytest.raises(InputError, match="more than once: C"):
        count_distances(mixed, (6, 6))
    with pytest.raises(InputError, match="'dev' is no split"):
        count_distances(mixed, (6,), split="dev")


def test_an_empty_split_says_what_there_is(known: Dataset) -> None:
    empty = next(split for split in ("train", "val", "test") if known.n_sites(split) == 0)
    with pytest.raises(DatasetError, match=f"the split '{empty}' .* is empty; the dataset holds .*sites"):
        count_distances(known, (6,), split=empty)


def test_a_damaged_shard_is_an_error_not_a_crash(known: Dataset, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(known.path, copy)
    dataset = open_dataset(copy)
    for shard in dataset.shards():
        shard.write_bytes(b"x" * shard.stat().st_size)
    with pytest.raises(DatasetError, match="damaged"):
        count_distances(dataset, (6,))


@pytest.mark.parametrize(
    ("text", "ranks"), [("1", Ranks(1, 1)), (" 2 - 4 ", Ranks(2, 4)), ("any", Ranks(1, 8, False))]
)
def test_ranks_are_read(text: str, ranks: Ranks) -> None:
    assert parse_ranks(text, 8) == ranks


@pytest.mark.parametrize("text", ["0", "4-2", "first", "-1", "1.5"])
def test_other_ranks_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--neighbour"):
        parse_ranks(text, 8)


def test_shares_and_means_are_those_of_the_pairs(mixed: Dataset) -> None:
    counts = count_distances(mixed, (6, 8), high=6.0)
    rows = rows_of(mixed)
    for pair in summarise_pairs(counts):
        here = (rows["element"] == pair.pair.centre) & (
            rows["neighbour_elements"][:, 0] == pair.pair.neighbour
        )
        assert pair.sites == here.sum()
        assert pair.share == pytest.approx(here.sum() / (rows["element"] == pair.pair.centre).sum())
        assert pair.mean == pytest.approx(rows["distances"][here, 0].mean(), abs=0.0013)
        assert pair.median == pytest.approx(np.median(rows["distances"][here, 0]), abs=0.15)


def test_the_files_hold_the_counts(mixed: Dataset, tmp_path: Path) -> None:
    counts = count_distances(mixed, (6, 1), Ranks(1, 2), bins=40)
    write_distances(counts, summarise_pairs(counts), {"k": 8}, tmp_path)
    table = pq.read_table(tmp_path / "distances.parquet").to_pydict()
    for pair, rank in ((Pair(6, 1), 1), (Pair(1, 6), 2)):
        centre, neighbour = str(pair).split("-")
        rows = [
            i
            for i, key in enumerate(zip(table["centre"], table["neighbour"], table["rank"], strict=True))
            if key == (centre, neighbour, rank)
        ]
        histogram = counts.histogram(pair, rank=rank)
        assert [table["sites"][i] for i in rows] == histogram[histogram > 0].tolist()
        assert [table["start"][i] for i in rows] == pytest.approx(counts.edges()[:-1][histogram > 0])
        assert [table["end"][i] for i in rows] == pytest.approx(counts.edges()[1:][histogram > 0])
    assert (tmp_path / "distances.csv").read_text().count("\n") == len(table["sites"]) + 1
    assert (tmp_path / "pairs.csv").read_text().splitlines()[0].startswith("centre,neighbour,sites,atoms")
    assert (tmp_path / "peaks.csv").exists()


def test_a_split_alone_counts_its_own(mixed: Dataset, tmp_path: Path) -> None:
    whole = count_distances(mixed, (6,)).total()
    parts = [count_distances(mixed, (6,), split=split).total() for split in ("train", "val", "test")]
    assert sum(parts) == whole
    assert all(parts)
