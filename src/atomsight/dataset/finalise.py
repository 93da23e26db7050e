"""From staged parts to the finished dataset: unique ids, groups, splits, final shards, checksums.

A pure function of the parts in their order: stopped half-way it is simply done again, with the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atomsight.core.files import sync_folder
from atomsight.dataset._files import fingerprint_of, write_json
from atomsight.dataset.naming import unique_ids
from atomsight.dataset.rows import ROW
from atomsight.dataset.schema import (
    CRYSTALS_SCHEMA,
    INDEX_NAME,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    SKIPPED_SCHEMA,
    SPLITS,
    sites_schema,
)
from atomsight.dataset.shards import Shards, TableFile, Writers, completed, file_record, split_column
from atomsight.dataset.split import groups, split_of


class Parts(Protocol):
    """Crystals with their skips and sites, one portion after another, in an order that never changes.

    The crystals lack ``group`` and ``split``, and ``licence`` where the settings name it; the sites carry the
    row of their crystal in its portion (see `rows.ROW`) instead of its id.
    """

    def crystals(self) -> Iterator[pa.Table]:
        """The crystals of each portion."""

    def tables(self) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
        """Crystals, skipped and sites of each portion; the crystals are those of `crystals`."""


def finalise(
    parts: Sequence[Parts], out: Path, settings: dict[str, Any], on_part: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Write the dataset into a folder and return what ``dataset.json`` holds.

    ``on_part`` is called after each portion. The order of rows is that of the portions within each split; the
    shards of the splits are apart, so that reading one split does not read the others. How the rows are cut
    into portions leaves no trace in the files.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    names = _Names(parts, settings["licences"])
    k = settings["k"]
    metadata = file_metadata(settings)
    folder = out / "sites"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    elements = {split: np.zeros(256, dtype=np.int64) for split in SPLITS}
    rules: Counter[str] = Counter()
    with (
        Writers() as writers,
        closing(TableFile(out / "crystals.parquet", CRYSTALS_SCHEMA.with_metadata(metadata))) as crystal_file,
        closing(TableFile(out / "skipped.parquet", SKIPPED_SCHEMA.with_metadata(metadata))) as skip_file,
    ):
        schema = sites_schema(k).with_metadata(metadata)
        shards = {split: Shards(folder, split, schema, writers) for split in SPLITS}
        tables = chain.from_iterable(part.tables() for part in parts)
        for index, (crystals, skipped, sites) in enumerate(tables):
            ids, codes = names.of_part(index)
            if len(crystals):
                crystal_file.add(names.complete(index, crystals))
                rows = sites.column(ROW).to_numpy()
                for code, split in enumerate(SPLITS):
                    chosen = np.flatnonzero(codes[rows] == code)
                    if len(chosen):
                        part = sites if len(chosen) == len(sites) else sites.take(pa.array(chosen))
                        shards[split].add(part, ids)
                        elements[split] += np.bincount(part.column("element").to_numpy(), minlength=256)
            if len(skipped):
                skip_file.add(skipped)
                rules.update(skipped.column("rule").to_pylist())
            on_part()
        for split in SPLITS:
            shards[split].close()
        files = {f"sites/{name}": record for split in SPLITS for name, record in shards[split].records()}
    sync_folder(folder)
    files |= {name: file_record(out / name) for name in ("crystals.parquet", "skipped.parquet")}
    index_record = {
        "schema": {"name": SCHEMA_NAME, "version": SCHEMA_VERSION},
        "k": k,
        "crystals": len(names.ids),
        "sites": sum(int(counts.sum()) for counts in elements.values()),
        "skipped": dict(sorted(rules.items())),
        "splits": split_records(names.codes, elements),
        **names.counts,
        "build": settings,
        "files": files,
    }
    index_record["fingerprint"] = fingerprint_of(index_record)
    write_json(out / INDEX_NAME, index_record)
    return index_record


def split_records(codes: NDArray[np.int8], elements: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """``splits`` of the index.

    Args:
        codes: (n,) split of each crystal, as its place in `SPLITS`.
        elements: sites of each atomic number, by split.
    """
    return {
        split: {
            "crystals": int((codes == code).sum()),
            "sites": int(elements[split].sum()),
            "elements": {str(z): int(elements[split][z]) for z in np.flatnonzero(elements[split])},
        }
        for code, split in enumerate(SPLITS)
    }


def group_counts(families: Sequence[str], groups: Sequence[str]) -> dict[str, int]:
    """Numbers of families and groups in the index, from those of each crystal."""
    sizes = Counter(groups)
    largest = max(sizes.values(), default=0)
    return {"families": len(set(families)), "groups": len(sizes), "largest_group": largest}


def file_metadata(settings: dict[str, Any]) -> dict[bytes, bytes]:
    """What every file of a dataset says of itself."""
    # The list of sources can be long; it is in dataset.json only.
    brief = {name: value for name, value in settings.items() if name not in ("sources", "licences")}
    return {
        b"atomsight.schema": SCHEMA_NAME.encode(),
        b"atomsight.schema_version": str(SCHEMA_VERSION).encode(),
        b"atomsight.k": str(settings["k"]).encode(),
        b"atomsight.settings": json.dumps(brief, ensure_ascii=False).encode(),
    }


class _Names:
    """Ids, groups and splits of all crystals: what can only be known when all parts are there."""

    def __init__(self, parts: Sequence[Parts], licences: dict[str, str]) -> None:
        columns: dict[str, list[str]] = {name: [] for name in ("crystal", "source", "formula", "family")}
        self._starts = [0]
        for table in chain.from_iterable(part.crystals() for part in parts):
            for name, values in columns.items():
                values.extend(table.column(name).to_pylist())
            self._starts.append(len(columns["crystal"]))
        self.ids = unique_ids(columns["crystal"], columns["source"])
        self.groups = groups(columns["formula"], columns["family"])
        split = {group: SPLITS.index(split_of(group)) for group in set(self.groups)}
        self.codes: NDArray[np.int8] = np.array([split[group] for group in self.groups], dtype=np.int8)
        self._licences = licences
        self.counts = group_counts(columns["family"], self.groups)

    def of_part(self, index: int) -> tuple[pa.Array, NDArray[np.int8]]:
        """Ids and split codes of the crystals of one part."""
        chosen = slice(self._starts[index], self._starts[index + 1])
        return pa.array(self.ids[chosen], pa.string()), self.codes[chosen]

    def complete(self, index: int, crystals: pa.Table) -> pa.Table:
        """The crystals of one part with unique ids, licences, groups and splits."""
        ids, codes = self.of_part(index)
        group = self.groups[self._starts[index] : self._starts[index + 1]]
        known = {"crystal": ids, "group": pa.array(group, pa.string()), "split": split_column(codes)}
        if "licence" not in crystals.column_names:
            sources = crystals.column("source").to_pylist()
            known["licence"] = pa.array([self._licence(source) for source in sources], pa.string())
        return completed(crystals, CRYSTALS_SCHEMA, known)

    def _licence(self, source: str) -> str:
        """Licence of the path that a crystal came from; that of ``""`` is for all."""
        if not self._licences:
            return ""
        file = source.partition("::")[0]
        database = f"{source.partition(':')[0]}:"
        places = (source, file, file.rpartition("#")[0], database, *map(str, PurePosixPath(file).parents), "")
        return next((self._licences[place] for place in places if place in self._licences), "")
