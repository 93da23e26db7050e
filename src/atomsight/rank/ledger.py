"""Scored candidates, their order within each formula, and their verdicts."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
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
    """A ranked candidate.

    Attributes:
        rank: rank within its formula, from 1, the most plausible first; 0 while it is only scored.
        crystal: name of the candidate.
        source: its file.
        formula: reduced formula in Hill order.
        kind: crystal class of the structure: ``molecular``, ``framework`` or ``inorganic``.
        score: log-odds of a real structure against a decoy; higher is more plausible.
        verdict: ``keep`` or ``unlikely``; by comparison where the formula has ten candidates or more, see
            `verdicts`.
        evidence: sentences against the candidate, the strongest first; empty without ``explain``.
    """

    rank: int
    crystal: str
    source: str
    formula: str
    kind: str
    score: float
    verdict: str
    evidence: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight rank --json`` prints them.

        Returns:
            The attributes by name; without ``evidence`` where there is none.
        """
        record = asdict(self)
        record["score"] = round(self.score, 4)
        record["evidence"] = list(self.evidence)
        if not self.evidence:
            del record["evidence"]
        return record

    @classmethod
    def schema(cls) -> pa.Schema:
        """The columns of `to_arrow`: one row."""
        import pyarrow as pa

        types = {"rank": pa.int64(), "score": pa.float64(), "evidence": pa.list_(pa.string())}
        return pa.schema([(one.name, types.get(one.name, pa.string())) for one in fields(cls)])


class Ledger:
    """Scored candidates in a SQLite database, which are read back in order.

    On disk the memory does not grow with their number. In memory one thread may add candidates while others
    read them. As a context manager it closes itself and removes its file.

    Args:
        verdicts: sets the verdicts by comparison within a formula; None leaves the verdicts as they are.
        in_memory: write no file.
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
        columns = "crystal TEXT, source TEXT, formula TEXT, kind TEXT, score REAL"
        columns += ", verdict TEXT, evidence TEXT, copy TEXT"
        self._file.execute(f"CREATE TABLE candidates ({columns})")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, ranked: Ranked, copy: str | None = None) -> None:
        """Add a candidate.

        Args:
            ranked: the scored candidate.
            copy: name of the file that it was copied to.
        """
        row = (
            ranked.crystal,
            ranked.source,
            ranked.formula,
            ranked.kind,
            ranked.score,
            ranked.verdict,
            json.dumps(ranked.evidence),
            copy,
        )
        with self._lock:
            self._file.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._settled = False

    def kept(self) -> int:
        """Count the candidates with the verdict ``keep``."""
        return int(next(iter(self._rows("SELECT COUNT(*) FROM candidates WHERE verdict = 'keep'")))[0])

    def copies(self) -> Iterator[str]:
        """Iterate over the copied files that hold a candidate with the verdict ``keep``."""
        asked = "SELECT DISTINCT copy FROM candidates WHERE copy IS NOT NULL AND verdict = 'keep'"
        for (copy,) in self._rows(asked):
            yield copy

    def ordered(self) -> Iterator[Ranked]:
        """Iterate over all candidates by formula, the best first, equal scores by name."""
        asked = (
            "SELECT crystal, source, formula, kind, score, verdict, evidence, "
            "COUNT(*) OVER (PARTITION BY formula), MAX(score) OVER (PARTITION BY formula) "
            "FROM candidates ORDER BY formula, score DESC, crystal, source"
        )
        rank, last = 0, None
        for crystal, source, formula, kind, score, verdict, evidence, among, best in self._rows(asked):
            rank = rank + 1 if formula == last else 1
            last = formula
            told = tuple(json.loads(evidence))
            if told and self._verdicts is not None:
                told += self._verdicts.words(verdict_class(kind, formula), score, best, among)
            yield Ranked(rank, crystal, source, formula, kind, score, verdict, told)

    def _rows(self, asked: str) -> Iterable[tuple[Any, ...]]:
        with self._lock:
            self._settle()
            rows = self._file.execute(asked)
            return rows.fetchall() if self._in_memory else rows

    def _settle(self) -> None:
        """Set the verdicts of the candidates of each formula by comparison.

        Candidates that are added later are compared at the next call. A formula never falls below the number
        of candidates that a comparison needs.
        """
        if self._settled or self._verdicts is None:
            return
        self._file.execute("CREATE INDEX IF NOT EXISTS groups ON candidates (formula, kind)")
        groups = self._file.execute(
            "SELECT * FROM (SELECT formula, kind, SUM(COUNT(*)) OVER (PARTITION BY formula) AS among, "
            "MAX(MAX(score)) OVER (PARTITION BY formula) FROM candidates GROUP BY formula, kind) "
            f"WHERE among >= {LEAST}"
        ).fetchall()
        for formula, kind, among, best in groups:
            limit = self._verdicts.limit(verdict_class(kind, formula), among)
            if limit is not None:
                self._file.execute(
                    "UPDATE candidates SET verdict = CASE WHEN margin(score, ?) < ? "
                    "THEN 'unlikely' ELSE 'keep' END WHERE formula = ? AND kind = ?",
                    (best, limit, formula, kind),
                )
        self._settled = True
