"""A dataset with its groups dealt into other splits, to see what hangs on the split."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atomsight.dataset._files import sha256_of, write_json
from atomsight.dataset.schema import INDEX_NAME, ROW_GROUP_ROWS, SPLITS
from atomsight.dataset.split import split_of
from atomsight.dataset.store import Dataset, open_dataset
from atomsight.errors import InputError


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
    folder = Path(out)
    mark = {"of": dataset.fingerprint, "salt": salt}
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
    _write(dataset, draft, mark)
    os.replace(draft, folder)
    return open_dataset(folder)


def _write(dataset: Dataset, folder: Path, mark: dict[str, str]) -> None:
    crystals = dataset.crystals()
    names, groups = (crystals[name].to_pylist() for name in ("crystal", "group"))
    code_of = {group: SPLITS.index(split_of(f"{mark['salt']}:{group}")) for group in set(groups)}
    codes = np.array([code_of[group] for group in groups], dtype=np.int8)
    pq.write_table(_with_split(crystals, codes), folder / "crystals.parquet", compression="zstd")
    pq.write_table(dataset.skipped(), folder / "skipped.parquet", compression="zstd")
    code_of_crystal = dict(zip(names, codes.tolist(), strict=True))
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
            part = _with_split(table.take(chosen), rows[chosen])
            counts[split] += np.bincount(part["element"].to_numpy(), minlength=256)
            file = folder / "sites" / f"{split}-{shards[split]:05d}.parquet"
            pq.write_table(part, file, compression="zstd", row_group_size=ROW_GROUP_ROWS)
            shards[split] += 1
    index: dict[str, Any] = {
        **{name: value for name, value in dataset.metadata.items() if name != "fingerprint"},
        "splits": {
            split: {
                "crystals": int((codes == code).sum()),
                "sites": int(counts[split].sum()),
                "elements": {str(z): int(counts[split][z]) for z in np.flatnonzero(counts[split])},
            }
            for code, split in enumerate(SPLITS)
        },
        "files": {
            str(file.relative_to(folder)): {
                "rows": pq.read_metadata(file).num_rows,
                "bytes": file.stat().st_size,
                "sha256": sha256_of(file),
            }
            for file in sorted(folder.rglob("*.parquet"))
        },
        "resplit": mark,
    }
    index["fingerprint"] = hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    write_json(folder / INDEX_NAME, index)


def _with_split(table: pa.Table, codes: np.ndarray) -> pa.Table:
    column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(SPLITS, pa.string()))
    place = table.schema.get_field_index("split")
    return table.set_column(place, table.schema.field(place), pa.chunked_array([column]))
