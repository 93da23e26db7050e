"""A dataset with its crystals in other splits: dealt anew, or as another dataset has them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.core.errors import InputError
from atomsight.core.wording import counted
from atomsight.dataset._files import fingerprint_of, write_json
from atomsight.dataset.finalise import group_counts, split_records
from atomsight.dataset.schema import INDEX_NAME, ROW_GROUP_ROWS, SPLITS
from atomsight.dataset.shards import file_record, split_column
from atomsight.dataset.split import groups, split_of
from atomsight.dataset.store import Dataset, open_dataset

TRAIN = SPLITS.index("train")
LEFT_OUT = -1
"""Code of the crystals that a copy does not have."""


def resplit(dataset: Dataset, out: str | Path, salt: str) -> Dataset:
    """Write a copy of a dataset in which each group's split follows from the salt and the group's name.

    Groups stay whole, so the copy leaks no more than the original. A finished copy in ``out`` is opened.

    Args:
        dataset: the original.
        out: folder of the copy.
        salt: another salt gives another deal.

    Raises:
        InputError: ``out`` holds something else.
    """
    dealt = dataset.crystals(["group"]).column("group").to_pylist()
    code_of = {group: SPLITS.index(split_of(f"{salt}:{group}")) for group in set(dealt)}
    codes = np.array([code_of[group] for group in dealt], dtype=np.int8)
    return _copy(dataset, out, codes, {"of": dataset.fingerprint, "salt": salt})


def split_like(held: Dataset, dataset: Dataset, out: str | Path) -> Dataset:
    """Write a copy of a dataset that has the split of a smaller one.

    A model can then be trained on more crystals and tested on the same ones.

    Crystals of ``held`` keep the split that they have there. The others go to ``train``, but those that hang
    together with a crystal of ``val`` or ``test``, through a formula or a family and over any number of
    steps, are left out. A finished copy in ``out`` is opened.

    Args:
        held: tells the splits; all its crystals are in ``dataset`` too.
        dataset: the larger one, say of several versions of each entry.
        out: folder of the copy.

    Raises:
        InputError: ``dataset`` lacks crystals of ``held``, or ``out`` holds something else.
    """
    theirs = held.crystals(["source", "sha256", "split"]).to_pydict()
    split_there = dict(zip(_keys(theirs), theirs["split"], strict=True))
    ours = dataset.crystals(["source", "sha256", "group"]).to_pydict()
    keys, hangs = _keys(ours), ours["group"]
    if lacking := split_there.keys() - set(keys):
        raise InputError(
            f"{dataset.path} lacks {counted(len(lacking), 'crystal')} of {held.path}, {min(lacking)[0]} "
            "among them; build it from all sources of the other and more"
        )
    barred = {
        group for key, group in zip(keys, hangs, strict=True) if split_there.get(key, "train") != "train"
    }
    codes = np.array(
        [
            SPLITS.index(split_there[key]) if key in split_there else LEFT_OUT if group in barred else TRAIN
            for key, group in zip(keys, hangs, strict=True)
        ],
        dtype=np.int8,
    )
    return _copy(dataset, out, codes, {"of": dataset.fingerprint, "like": held.fingerprint})


def _keys(crystals: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Where a crystal comes from and its content: an equal file of another source is another crystal."""
    return list(zip(crystals["source"], crystals["sha256"], strict=True))


def _copy(dataset: Dataset, out: str | Path, codes: NDArray[np.int8], mark: dict[str, str]) -> Dataset:
    """The copy in which each crystal is in the split of its code."""
    folder = Path(out)
    if (folder / INDEX_NAME).is_file():
        copy = open_dataset(folder)
        if copy.metadata.get("resplit") != mark:
            raise InputError(f"{folder} holds another dataset; name another folder")
        return copy
    if folder.exists():
        raise InputError(f"{folder} holds other files; name another folder")
    draft = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "sites").mkdir(parents=True)
    _write(dataset, draft, codes, mark)
    os.replace(draft, folder)
    return open_dataset(folder)


def _write(dataset: Dataset, folder: Path, codes: NDArray[np.int8], mark: dict[str, str]) -> None:
    crystals = dataset.crystals()
    code_of_crystal = dict(zip(crystals.column("crystal").to_pylist(), codes.tolist(), strict=True))
    taken = np.flatnonzero(codes != LEFT_OUT)
    codes = codes[taken]
    crystals = _with_column(crystals.take(taken), "split", split_column(codes))
    families = crystals.column("family").to_pylist()
    names = groups(crystals.column("formula").to_pylist(), families)
    crystals = _with_column(crystals, "group", pa.array(names, pa.string()))
    pq.write_table(crystals, folder / "crystals.parquet", compression="zstd")
    pq.write_table(dataset.skipped(), folder / "skipped.parquet", compression="zstd")
    counts = {split: np.zeros(256, dtype=np.int64) for split in SPLITS}
    shards: Counter[str] = Counter()
    for shard in dataset.shards():
        table = pq.read_table(shard)
        ids = table["crystal"].to_pylist()
        rows = np.fromiter((code_of_crystal[name] for name in ids), dtype=np.int8, count=len(ids))
        for code, split in enumerate(SPLITS):
            chosen = np.flatnonzero(rows == code)
            if not len(chosen):
                continue
            part = _with_column(table.take(chosen), "split", split_column(rows[chosen]))
            counts[split] += np.bincount(part["element"].to_numpy(), minlength=256)
            file = folder / "sites" / f"{split}-{shards[split]:05d}.parquet"
            pq.write_table(part, file, compression="zstd", row_group_size=ROW_GROUP_ROWS)
            shards[split] += 1
    index: dict[str, Any] = {
        **{name: value for name, value in dataset.metadata.items() if name != "fingerprint"},
        "crystals": len(crystals),
        "sites": int(sum(of_split.sum() for of_split in counts.values())),
        **group_counts(families, names),
        "splits": split_records(codes, counts),
        "files": {
            str(file.relative_to(folder)): file_record(file) for file in sorted(folder.rglob("*.parquet"))
        },
        "resplit": mark,
    }
    index["fingerprint"] = fingerprint_of(index)
    write_json(folder / INDEX_NAME, index)


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values)
