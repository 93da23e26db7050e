"""Opening a finished dataset: its tables, its counts, and its sites as a stream."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset._files import fingerprint_of, sha256_of
from atomsight.dataset.batches import CapSelection, stream
from atomsight.dataset.schema import (
    INDEX_NAME,
    MANIFEST_NAME,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    SPLITS,
    sites_schema,
)
from atomsight.io.policy import QualityPolicy

REPAIR = "atomsight dataset repair makes shards again from their sources, or build the dataset again"
"""What to do about a damaged file."""


def open_dataset(path: str | Path) -> Dataset:
    """Open a dataset folder.

    Only the index is read, and the size of each file compared with it.

    Args:
        path: the folder.

    Returns:
        The dataset.

    Raises:
        DatasetError: no such folder, no dataset, an unfinished build, another schema version, or a file of it
            is missing or truncated; the message says how to mend it.

    Example:
        >>> open_dataset("crystals").n_crystals  # doctest: +SKIP
        60
    """
    folder = Path(path)
    dataset = Dataset(folder, read_index(folder))
    for name, record in dataset.metadata["files"].items():
        file = folder / name
        if not file.is_file():
            raise DatasetError(f"{file} is missing; {REPAIR}")
        if file.stat().st_size != record["bytes"]:
            raise DatasetError(
                f"{file} is damaged: {file.stat().st_size} bytes, {record['bytes']} expected; {REPAIR}"
            )
    return dataset


def read_index(folder: Path) -> dict[str, Any]:
    """Content of ``dataset.json``.

    Raises:
        DatasetError: see `open_dataset`.
    """
    if not folder.exists():
        raise DatasetError(f"{folder} does not exist; atomsight dataset build makes a dataset")
    if not (folder / INDEX_NAME).is_file():
        if (folder / MANIFEST_NAME).exists() or (folder / "build.lock").exists():
            raise DatasetError(
                f"{folder} holds an unfinished build; run the same dataset build command to go on with it"
            )
        raise DatasetError(f"{folder} is not a dataset: it holds no {INDEX_NAME}")
    try:
        index: dict[str, Any] = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        name, version = index["schema"]["name"], index["schema"]["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{folder / INDEX_NAME} cannot be read ({error}); build the dataset again"
        ) from error
    if name != SCHEMA_NAME or version != SCHEMA_VERSION:
        newer = name == SCHEMA_NAME and isinstance(version, int) and version > SCHEMA_VERSION
        advice = "install a newer atomsight, or build it again" if newer else "build it again"
        raise DatasetError(
            f"{folder} has schema {name} version {version}, this atomsight reads {SCHEMA_NAME} version "
            f"{SCHEMA_VERSION}; {advice} with this version"
        )
    if not _well_formed(index):
        raise DatasetError(f"{folder / INDEX_NAME} was changed and makes no sense; build the dataset again")
    return index


def split_sizes(index: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Crystals and sites of each split, as the index of a dataset counts them."""
    return {s: {n: c[n] for n in ("crystals", "sites")} for s, c in index["splits"].items()}


def policy_of(folder: Path, settings: Mapping[str, Any]) -> QualityPolicy:
    """Return the policy that a dataset was built with; rules that it does not state have their defaults.

    Args:
        folder: the dataset.
        settings: ``build`` of its index.

    Raises:
        DatasetError: it was built from crystals in memory, or with a rule that this version does not have.
    """
    if "policy" not in settings:
        raise DatasetError(f"{folder} was built from crystals in memory; build another and merge the two")
    try:
        return QualityPolicy(**settings["policy"])
    except TypeError as error:
        rules = set(settings["policy"]) - {field.name for field in fields(QualityPolicy)}
        raise DatasetError(
            f"{folder} was built with rules that this version does not have ({', '.join(sorted(rules))}); "
            "install a newer atomsight, or build it again with this version"
        ) from error


def _well_formed(index: dict[str, Any]) -> bool:
    """Whether all is there that a dataset is opened by, each of its type."""

    def counts(record: Any, *names: str) -> bool:
        return isinstance(record, dict) and all(type(record.get(name)) is int for name in names)

    return (
        counts(index, "k", "crystals", "sites")
        and 0 < index["k"] < 2**20
        and isinstance(index.get("fingerprint"), str)
        and all(isinstance(index.get(name), dict) for name in ("build", "skipped", "splits", "files"))
        and all(counts(index["splits"].get(split), "crystals", "sites") for split in SPLITS)
        and all(isinstance(index["splits"][split].get("elements"), dict) for split in SPLITS)
        and all(counts(file, "rows", "bytes") and "sha256" in file for file in index["files"].values())
    )


def damaged_files(folder: Path, index: dict[str, Any]) -> list[str]:
    """Names of the files that are missing or whose SHA-256 is not that of the file that was written.

    The SHA-256 of the index is the dataset's fingerprint.
    """
    return ([] if index["fingerprint"] == fingerprint_of(index) else [INDEX_NAME]) + [
        name
        for name, record in index["files"].items()
        if not (folder / name).is_file()
        or (folder / name).stat().st_size != record["bytes"]
        or sha256_of(folder / name) != record["sha256"]
    ]


class Dataset:
    """A finished dataset; make one with `open_dataset`.

    Attributes:
        path: its folder.
        k: neighbours of each site.
        metadata: content of ``dataset.json``: counts, settings of the build, checksums, ``fingerprint``.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self.path = path
        self.k: int = metadata["k"]
        self.metadata = metadata
        self._caps: dict[tuple[str | None, int, int], CapSelection] = {}

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, k={self.k}, crystals={self.n_crystals}, sites={self.n_sites()})"

    @property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 that identifies the content of the dataset."""
        return str(self.metadata["fingerprint"])

    @property
    def n_crystals(self) -> int:
        """Number of crystals."""
        return int(self.metadata["crystals"])

    def n_sites(self, split: str | None = None) -> int:
        """Number of symmetry-unique sites, of one split or of all."""
        return sum(self.metadata["splits"][name]["sites"] for name in _splits(split))

    def crystals(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The crystals table, see `schema.CRYSTALS_SCHEMA`."""
        return self._table("crystals.parquet", columns)

    def skipped(self) -> pa.Table:
        """The skipped table, see `schema.SKIPPED_SCHEMA`."""
        return self._table("skipped.parquet", None)

    def shards(self, split: str | None = None) -> list[Path]:
        """Parquet files of the sites, of one split or of all, in order.

        DuckDB and other programs can read them.
        """
        return [
            self.path / name
            for wanted in _splits(split)
            for name in sorted(self.metadata["files"])
            if name.startswith(f"sites/{wanted}-")
        ]

    def element_counts(self, split: str | None = None) -> dict[int, int]:
        """Sites of each element by atomic number, most abundant first, of one split or of all."""
        counts: Counter[int] = Counter()
        for name in _splits(split):
            counts.update({int(z): n for z, n in self.metadata["splits"][name]["elements"].items()})
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def top_elements(self, n: int, split: str | None = None) -> tuple[int, ...]:
        """Atomic numbers of the n elements with most sites, most abundant first.

        Raises:
            InputError: n is below 1, or more than there are.
        """
        counts = self.element_counts(split)
        if not 1 <= n <= len(counts):
            raise InputError(f"{n} elements asked for, but {self.path} holds sites of {len(counts)}")
        return tuple(counts)[:n]

    def batches(
        self,
        columns: Sequence[str],
        *,
        split: str | None = None,
        elements: Sequence[int] | None = None,
        batch_size: int = 65536,
        shuffle: int | None = None,
        cap: int | None = None,
        seed: int = 0,
        whole_crystals: bool = False,
        per_crystal: int | None = None,
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Stream the sites as dicts of arrays, never holding more than a bounded number of rows.

        Columns with k entries per site come as (n, k) arrays, strings as object arrays, ``bonds`` as lists of
        dicts. All batches have ``batch_size`` rows but the last.

        Args:
            columns: names of columns, see `schema.sites_schema`.
            split: ``train``, ``val`` or ``test``; ``all`` or None takes all, one after another.
            elements: atomic numbers; sites of others are left out.
            batch_size: rows of a batch.
            shuffle: a seed for the order of the rows: blocks of rows are read in random order, half a million
                rows at a time, and these are shuffled. None keeps the order of the table, which is the same
                every time.
            cap: at most so many sites of each element: those of least hash of (crystal, site, seed), so that
                the choice is exact, the same every time, and independent of the order.
            seed: of the choice under ``cap``.
            whole_crystals: end each batch where a crystal ends, at the first such place from ``batch_size``
                rows on, and shuffle crystals instead of rows. The rows of a crystal stay together in their
                order, so that ``neighbours`` can be followed. Not with ``elements`` or ``cap``.
            per_crystal: draw a crystal of more sites than this, n, with chance ``per_crystal`` / n, so that
                on average none gives more. Whole crystals in random order only.

        Raises:
            InputError: an unknown column or split, a number below 1, or a choice of rows with
                ``whole_crystals``.
            DatasetError: a shard is damaged.
        """
        known = sites_schema(self.k).names
        for column in columns:
            if column not in known:
                raise InputError(f"the dataset has no column {column!r}; it has {', '.join(known)}")
        if per_crystal is not None and (shuffle is None or not whole_crystals or per_crystal < 1):
            raise InputError("per_crystal is a number from 1 on, for whole crystals that are shuffled")
        if batch_size < 1 or (cap is not None and cap < 1):
            raise InputError(f"batch_size and cap must be at least 1, not {batch_size} and {cap}")
        shards = self.shards(split)
        if whole_crystals and (elements is not None or cap is not None):
            raise InputError("whole crystals hold all their sites; ask for no elements and no cap")
        selection = None
        if cap is not None:
            key = (split, cap, seed)
            selection = self._caps.get(key) or CapSelection(shards, cap, seed)
            self._caps[key] = selection
        chosen = None if elements is None else np.isin(np.arange(256), np.asarray(elements, dtype=np.int64))
        return stream(
            shards, list(columns), batch_size, shuffle, chosen, selection, whole_crystals, per_crystal
        )

    def damaged(self) -> list[str]:
        """Names of the files whose SHA-256 is not that of the file that was written."""
        return damaged_files(self.path, self.metadata)

    def _table(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        try:
            return pq.read_table(self.path / name, columns=None if columns is None else list(columns))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.path / name} is damaged ({error}); build the dataset again") from error


def _splits(split: str | None) -> tuple[str, ...]:
    if split is None or split == "all":
        return SPLITS
    if split not in SPLITS:
        raise InputError(f"{split!r} is no split; use one of {', '.join(SPLITS)}, or all")
    return (split,)
