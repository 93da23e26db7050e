"""The misclassified sites, most confident first: worth looking at, and often faults of the structure."""

from __future__ import annotations

import heapq
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_csv


class Mistake(NamedTuple):
    """One misclassified site.

    Attributes:
        crystal, site, label: which site, as in the dataset.
        true, predicted: atomic numbers.
        probability: what the model gave to the element that it chose.
        probability_true: what it gave to the true one.
        rank: how many elements it put before the true one, at least 1.
    """

    crystal: str
    site: int
    label: str
    true: int
    predicted: int
    probability: float
    probability_true: float
    rank: int


_FIELDS: list[tuple[str, pa.DataType]] = [
    ("crystal", pa.string()),
    ("site", pa.uint32()),
    ("label", pa.string()),
    ("true", pa.uint8()),
    ("predicted", pa.uint8()),
    ("probability", pa.float32()),
    ("probability_true", pa.float32()),
    ("rank", pa.uint8()),
]
_SCHEMA = pa.schema(_FIELDS)
_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("probability", "descending"),
    ("crystal", "ascending"),
    ("site", "ascending"),
]


def _key(mistake: Mistake) -> tuple[float, bytes, int]:
    return (-mistake.probability, mistake.crystal.encode(), mistake.site)


class MistakeLog:
    """Takes mistakes in any order and gives them back most confident first, with bounded memory.

    An external merge sort: past ``limit`` mistakes, what is held is sorted and spilled to a temporary file,
    and the files are merged when read. Ties are broken by crystal and site, so the order does not depend on
    the batches. The temporary files are removed with the log.
    """

    def __init__(self, limit: int = 500_000) -> None:
        self.count = 0
        self._limit = limit
        self._held: list[pa.RecordBatch] = []
        self._n_held = 0
        self._folder: Path | None = None
        self._runs: list[Path] = []

    def add(
        self,
        crystal: NDArray[np.object_],
        site: NDArray[np.integer],
        label: NDArray[np.object_],
        true: NDArray[np.integer],
        predicted: NDArray[np.integer],
        probability: NDArray[np.floating],
        probability_true: NDArray[np.floating],
        rank: NDArray[np.integer],
    ) -> None:
        """Add a batch of mistakes, one array per field of :class:`Mistake`, all of one length."""
        columns = (crystal, site, label, true, predicted, probability, probability_true, rank)
        arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        self._held.append(pa.record_batch(arrays, schema=_SCHEMA))
        self._n_held += len(crystal)
        self.count += len(crystal)
        if self._n_held > self._limit:
            self._spill()

    def _sorted(self) -> pa.Table:
        return pa.Table.from_batches(self._held, schema=_SCHEMA).sort_by(_ORDER)

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="atomsight-mistakes-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{len(self._runs)}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
            writer.write_table(self._sorted(), max_chunksize=8192)
        self._runs.append(path)
        self._held, self._n_held = [], 0

    def __iter__(self) -> Iterator[Mistake]:
        """Every mistake, most confident first. May be iterated more than once."""
        streams = [_rows_of_file(path) for path in self._runs]
        streams.append(_rows(iter(self._sorted().to_batches(max_chunksize=8192))))
        return heapq.merge(*streams, key=_key)

    def write_csv(self, path: Path) -> None:
        """Write a row per mistake, most confident first: elements as symbols, probabilities to six digits."""
        write_csv(
            path,
            Mistake._fields,
            ((*m[:3], SYMBOLS[m.true], SYMBOLS[m.predicted], *m[5:]) for m in self),
            ".6f",
        )


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Mistake]:
    for batch in batches:
        columns = (batch.column(i).to_pylist() for i in range(batch.num_columns))
        yield from map(Mistake._make, zip(*columns, strict=True))


def _rows_of_file(path: Path) -> Iterator[Mistake]:
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        yield from _rows(reader.get_batch(i) for i in range(reader.num_record_batches))


class CrystalCounts:
    """Sites and mistakes of each crystal, in the order in which they were met."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._batches: list[NDArray[np.int64]] = []

    def add(self, crystal: NDArray[np.object_], known: NDArray[np.bool_], right: NDArray[np.bool_]) -> None:
        """Add the sites of whole crystals.

        Args:
            crystal: (n,) names; the sites of one crystal stand together.
            known: (n,) whether the model knows the site's element.
            right: (n,) whether the first choice is right.
        """
        if len(crystal) == 0:
            return
        starts = np.flatnonzero(np.concatenate([[True], crystal[1:] != crystal[:-1]]))
        self.names.extend(crystal[starts].tolist())
        flags = np.stack([np.ones_like(known), known, known & ~right], axis=1).astype(np.int64)
        self._batches.append(np.add.reduceat(flags, starts, axis=0))

    @property
    def counts(self) -> NDArray[np.int64]:
        """(crystals, 3) int64: sites, sites whose element the model knows, mistakes among those."""
        return np.concatenate(self._batches) if self._batches else np.zeros((0, 3), dtype=np.int64)
