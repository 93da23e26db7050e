"""Collects scored candidates, and gives their ranks and verdicts."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from atomsight.core.results import Record
from atomsight.geometry.crystal_class import verdict_class
from atomsight.rank.score import margin
from atomsight.rank.verdicts import LEAST, Verdicts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Ranked(Record):
    """A scored candidate.

    Attributes:
        rank: rank within its formula from 1, most plausible first; 0 before all candidates are scored.
        crystal: name of the crystal.
        source: file that it was read from.
        formula: reduced formula in Hill order.
        crystal_class: ``molecular``, ``framework`` or ``inorganic``, determined from the structure.
        score: log-odds of real against decoy; higher values are more plausible.
        verdict: ``keep`` or ``unlikely``. If a formula has ten or more candidates, the verdict compares them,
            see `verdicts`.
        evidence: sentences on the evidence against it; empty unless requested.
    """

    rank: int
    crystal: str
    source: str
    formula: str
    crystal_class: str
    score: float
    verdict: str
    evidence: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight rank --json`` prints them.

        Returns:
            The values of `KEYS`, without ``evidence`` if there is none.
        """
        record = dict(zip(KEYS, vars(self).values(), strict=True))
        record["score"] = round(self.score, 4)
        record["evidence"] = list(self.evidence)
        if not self.evidence:
            del record["evidence"]
        return record

    @classmethod
    def schema(cls) -> pa.Schema:
        """Return the columns of `to_arrow`, which has one row."""
        import pyarrow as pa

        types = {"rank": pa.int64(), "score": pa.float64(), "evidence": pa.list_(pa.string())}
        return pa.schema([(key, types.get(key, pa.string())) for key in KEYS])


KEYS = tuple({"crystal_class": "kind"}.get(field.name, field.name) for field in fields(Ranked))
"""Keys of `Ranked.as_dict`, in the order of the attributes."""


class Ledger:
    """Collects scored candidates in an SQLite database, and returns them in order.

    The database is a temporary file, so that memory does not grow with the number of candidates. In memory,
    one thread may add candidates while others read. Use it as a context manager to remove the file.

    Args:
        verdicts: compares the candidates of each formula; None keeps the verdicts of the candidates.
        in_memory: create no file.
    """

    def __init__(self, verdicts: Verdicts | None = None, *, in_memory: bool = False) -> None:
        self._verdicts = verdicts
        self._in_memory = in_memory
        self._lock = RLock()
        self._settled = True
        self._folder = None if in_memory else tempfile.TemporaryDirectory(prefix="atomsight-rank-")
        place = ":memory:" if self._folder is None else Path(self._folder.name) / "ledger.sqlite"
        self._file = sqlite3.connect(place, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(f"PRAGMA temp_store = {'MEMORY' if in_memory else 'FILE'}")
        self._file.create_function("margin", 2, margin, deterministic=True)
        self._file.execute(
            "CREATE TABLE candidates (crystal TEXT, source TEXT, formula TEXT, crystal_class TEXT, "
            "score REAL, verdict TEXT, evidence TEXT, copy TEXT)"
        )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, ranked: Ranked, copy: str | None = None) -> None:
        """Add a candidate.

        Args:
            ranked: the candidate; its rank is ignored.
            copy: name of the copy of its file.
        """
        row = vars(ranked) | {"evidence": json.dumps(ranked.evidence), "copy": copy}
        with self._lock:
            self._file.execute(
                "INSERT INTO candidates VALUES (:crystal, :source, :formula, :crystal_class, :score, "
                ":verdict, :evidence, :copy)",
                row,
            )
            self._settled = False

    def kept(self) -> int:
        """Count the candidates with verdict ``keep``."""
        return int(next(iter(self._rows("SELECT COUNT(*) FROM candidates WHERE verdict = 'keep'")))[0])

    def copies(self) -> Iterator[str]:
        """Yield the copies of files that hold a candidate with verdict ``keep``."""
        query = "SELECT DISTINCT copy FROM candidates WHERE copy IS NOT NULL AND verdict = 'keep'"
        for (copy,) in self._rows(query):
            yield copy

    def ordered(self) -> Iterator[Ranked]:
        """Yield all candidates by formula, then by descending score, then by name."""
        query = (
            "SELECT crystal, source, formula, crystal_class, score, verdict, evidence, "
            "COUNT(*) OVER (PARTITION BY formula), MAX(score) OVER (PARTITION BY formula) "
            "FROM candidates ORDER BY formula, score DESC, crystal, source"
        )
        rank, last = 0, None
        for crystal, source, formula, name, score, verdict, evidence, among, best in self._rows(query):
            rank = rank + 1 if formula == last else 1
            last = formula
            sentences = tuple(json.loads(evidence))
            if sentences and self._verdicts is not None:
                sentences += self._verdicts.explain(verdict_class(name, formula), score, best, among)
            yield Ranked(rank, crystal, source, formula, name, score, verdict, sentences)

    def _rows(self, query: str) -> Iterable[tuple[Any, ...]]:
        with self._lock:
            self._settle()
            rows = self._file.execute(query)
            return rows.fetchall() if self._in_memory else rows

    def _settle(self) -> None:
        """Compare the candidates of each formula that has enough of them."""
        if self._settled or self._verdicts is None:
            return
        self._file.execute("CREATE INDEX IF NOT EXISTS groups ON candidates (formula, crystal_class)")
        groups = self._file.execute(
            "SELECT * FROM (SELECT formula, crystal_class, SUM(COUNT(*)) OVER (PARTITION BY formula) "
            "AS among, MAX(MAX(score)) OVER (PARTITION BY formula) FROM candidates "
            "GROUP BY formula, crystal_class) "
            f"WHERE among >= {LEAST}"
        ).fetchall()
        for formula, name, among, best in groups:
            limit = self._verdicts.limit(verdict_class(name, formula), among)
            if limit is not None:
                self._file.execute(
                    "UPDATE candidates SET verdict = CASE WHEN margin(score, ?) < ? "
                    "THEN 'unlikely' ELSE 'keep' END WHERE formula = ? AND crystal_class = ?",
                    (best, limit, formula, name),
                )
        self._settled = True
