"""The misclassified sites, most confident first. Many are errors of the structure."""

from __future__ import annotations

import heapq
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.files import write_csv


class Mistake(NamedTuple):
    """One misclassified site.

    Attributes:
        crystal, site, label: The site, as in the dataset.
        true, predicted: Atomic numbers.
        probability: Probability of the predicted element.
        probability_true: Probability of the true element.
        rank: Number of elements that are more probable than the true one, at least 1.
    """

    crystal: str
    site: int
    label: str
    true: int
    predicted: int
    probability: float
    probability_true: float
    rank: int


_TYPES = ("string", "uint32", "string", "uint8", "uint8", "float32", "float32", "uint8")
_SCHEMA = pa.schema([(name, pa.type_for_alias(t)) for name, t in zip(Mistake._fields, _TYPES, strict=True)])
_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("probability", "descending"),
    ("crystal", "ascending"),
    ("site", "ascending"),
]


def _key(mistake: Mistake) -> tuple[float, bytes, int]:
    return (-mistake.probability, mistake.crystal.encode(), mistake.site)


class MistakeLog:
    """Collects mistakes in any order and returns them most confident first, with bounded memory.

    It is an external merge sort. Past ``limit`` mistakes, those in memory are sorted and written to a
    temporary file, and the files are merged when read. Ties are broken by crystal and site, so that the order
    does not depend on the batches. The temporary files are removed with the log.
    """

    def __init__(self, limit: int = 500_000) -> None:
        self.count = 0
        self._limit = limit
        self._held: list[pa.RecordBatch] = []
        self._n_held = 0
        self._folder: Path | None = None
        self._runs: list[Path] = []

    def add(self, **columns: NDArray[Any]) -> None:
        """Add a batch of mistakes, one array per field of `Mistake`, all of the same length."""
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in _SCHEMA]
        batch = pa.record_batch(arrays, schema=_SCHEMA)
        self._held.append(batch)
        self._n_held += len(batch)
        self.count += len(batch)
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
        """Iterate over all mistakes, most confident first; possible more than once."""
        streams = [_rows_of_file(path) for path in self._runs]
        streams.append(_rows(iter(self._sorted().to_batches(max_chunksize=8192))))
        return heapq.merge(*streams, key=_key)

    def write_csv(self, path: Path) -> None:
        """Write a row per mistake, most confident first: elements as symbols, probabilities to six digits."""
        rows = ((*m[:3], SYMBOLS[m.true], SYMBOLS[m.predicted], *m[5:]) for m in self)
        write_csv(path, Mistake._fields, rows, ".6f")


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Mistake]:
    for batch in batches:
        yield from map(Mistake._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _rows_of_file(path: Path) -> Iterator[Mistake]:
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        yield from _rows(reader.get_batch(i) for i in range(reader.num_record_batches))


class CrystalCounts:
    """Sites and mistakes of each crystal, in the order in which crystals were added."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._batches: list[NDArray[np.int64]] = []

    def add(self, crystal: NDArray[np.object_], known: NDArray[np.bool_], right: NDArray[np.bool_]) -> None:
        """Add the sites of whole crystals.

        Args:
            crystal: (n,) names; the sites of one crystal are consecutive.
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
        return np.concatenate([np.zeros((0, 3), dtype=np.int64), *self._batches])
