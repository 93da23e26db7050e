"""Order candidate structures by how plausible they are, and tell which are not worth a relaxation."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.crystal import Crystal
from atomsight.errors import InputError
from atomsight.models.base import Model
from atomsight.models.spread import Source, Work, spread
from atomsight.screen.combine import Combination, margin
from atomsight.screen.evidence_rank import words
from atomsight.screen.features import KINDS, describe
from atomsight.screen.plausibility.runtime import Networks
from atomsight.screen.tables import MODEL, Tables, calibrated_for, load_combination
from atomsight.screen.verdicts import LEAST, Verdicts, sort_of

if TYPE_CHECKING:
    from atomsight.readers.sources import OnSkip

RISK = 0.005
"""Most chance that a real structure is called ``unlikely``, where none is asked for."""

SITES_PER_BATCH = 4096
"""Sites gathered over candidates before the networks run."""

CRYSTALS_PER_BATCH = 256


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place.

    Attributes:
        rank: from 1 within its formula, the most plausible first.
        crystal: its name.
        source: the file.
        formula: reduced, in Hill order.
        kind: ``molecular``, ``framework`` or ``inorganic``, as told from the structure.
        score: log-odds of real against decoy; higher is more plausible.
        verdict: ``keep`` or ``unlikely``; of the candidates of a formula beside each other where there are
            ten or more, see `verdicts`.
        evidence: what speaks against it, in words, the worst first; empty unless asked for.
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
        """For JSON; without the evidence where there is none."""
        record = asdict(self)
        record["score"] = round(self.score, 4)
        record["evidence"] = list(self.evidence)
        if not self.evidence:
            del record["evidence"]
        return record


class Ranker:
    """Scores candidates one batch after another; memory does not grow with their number.

    Args:
        risk: chance that a real structure is called ``unlikely``, at most; see `combine`.
        explain: find evidence too.
        relaxed: trust the volume of inorganic candidates.
        model: names elements blindly; None is the bundled default, which the scores are calibrated for.
        threads: of the networks; 0 takes all cores.
    """

    def __init__(
        self,
        risk: float = RISK,
        explain: bool = False,
        relaxed: bool = False,
        model: Model | None = None,
        threads: int = 0,
    ) -> None:
        from atomsight.models import load_model

        self.combination: Combination = load_combination(relaxed)
        self.verdicts = Verdicts(self.combination, risk)
        self.tables = Tables.load()
        self.networks = Networks.load(threads)
        self.model = model or load_model(MODEL, threads=threads)
        if self.model.fingerprint != calibrated_for():
            warnings.warn(
                f"the scores were calibrated for another model than {self.model.name}, so that the risk does "
                "not hold; python -m atomsight.screen.calibrate_rank calibrates them",
                stacklevel=2,
            )
        self.explain = explain

    def score(self, crystals: list[Crystal]) -> list[Ranked]:
        """The candidates of one batch in their order, all of rank 0, each judged by itself."""
        counting = None if self.explain else self.combination.weights != 0
        described = describe(crystals, self.model, self.networks, self.tables, counting)
        scores = self.combination.scores(described.kind, described.values)
        found = []
        for place, (crystal, kind, score) in enumerate(
            zip(crystals, described.kind.tolist(), scores.tolist(), strict=True)
        ):
            name = KINDS[kind]
            verdict = self.verdicts.alone(sort_of(name, crystal.formula), score)
            evidence = words(crystal, described, place) if self.explain else ()
            found.append(
                Ranked(0, crystal.name, crystal.source, crystal.formula, name, score, verdict, evidence)
            )
        return found

    def stream(self, crystals: Iterable[Crystal]) -> Iterator[Ranked]:
        """Candidates in their order, all of rank 0, as they are scored."""
        held: list[Crystal] = []
        sites = 0
        for crystal in crystals:
            held.append(crystal)
            sites += crystal.n_sites
            if sites >= SITES_PER_BATCH or len(held) >= CRYSTALS_PER_BATCH:
                yield from self.score(held)
                held, sites = [], 0
        if held:
            yield from self.score(held)


class Ledger:
    """Scored candidates on disk, to be read back in order: any number of them needs no more memory than one.

    A context manager; the file is temporary.

    Args:
        verdicts: judges the candidates of a formula beside each other; None leaves the verdicts as they are.
    """

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        self._verdicts = verdicts

    def __enter__(self) -> Ledger:
        self._folder = tempfile.TemporaryDirectory(prefix="atomsight-rank-")
        self._file = sqlite3.connect(Path(self._folder.name) / "ledger.sqlite")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("PRAGMA temp_store = FILE")
        columns = "crystal TEXT, source TEXT, formula TEXT, kind TEXT, score REAL"
        columns += ", verdict TEXT, evidence TEXT, copy TEXT"
        self._file.execute(f"CREATE TABLE candidates ({columns})")
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()
        self._folder.cleanup()

    def add(self, ranked: Ranked, copy: str | None = None) -> None:
        """Note one candidate, and the file that it was copied to."""
        evidence = json.dumps(ranked.evidence)
        row = (
            ranked.crystal,
            ranked.source,
            ranked.formula,
            ranked.kind,
            ranked.score,
            ranked.verdict,
            evidence,
            copy,
        )
        self._file.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def settle(self) -> None:
        """Judge the candidates of each formula beside each other, once all are noted."""
        if self._verdicts is None:
            return
        self._file.create_function("margin", 2, margin, deterministic=True)
        self._file.execute("CREATE INDEX IF NOT EXISTS groups ON candidates (formula, kind)")
        groups = self._file.execute(
            "SELECT * FROM (SELECT formula, kind, SUM(COUNT(*)) OVER (PARTITION BY formula) AS among, "
            "MAX(MAX(score)) OVER (PARTITION BY formula) FROM candidates GROUP BY formula, kind) "
            f"WHERE among >= {LEAST}"
        ).fetchall()
        for formula, kind, among, best in groups:
            limit = self._verdicts.limit(sort_of(kind, formula), among)
            if limit is not None:
                self._file.execute(
                    "UPDATE candidates SET verdict = CASE WHEN margin(score, ?) < ? "
                    "THEN 'unlikely' ELSE 'keep' END WHERE formula = ? AND kind = ?",
                    (best, limit, formula, kind),
                )

    def kept(self) -> int:
        """How many are to be kept."""
        rows = self._file.execute("SELECT COUNT(*) FROM candidates WHERE verdict = 'keep'")
        return int(rows.fetchone()[0])

    def copies(self) -> Iterator[str]:
        """Copied files that hold a candidate to keep."""
        rows = self._file.execute(
            "SELECT DISTINCT copy FROM candidates WHERE copy IS NOT NULL AND verdict = 'keep'"
        )
        for (copy,) in rows:
            yield copy

    def ordered(self) -> Iterator[Ranked]:
        """All candidates: formula by formula, the best first in each, equals by name."""
        rows = self._file.execute(
            "SELECT crystal, source, formula, kind, score, verdict, evidence, "
            "COUNT(*) OVER (PARTITION BY formula), MAX(score) OVER (PARTITION BY formula) "
            "FROM candidates ORDER BY formula, score DESC, crystal, source"
        )
        rank, last = 0, None
        for crystal, source, formula, kind, score, verdict, evidence, among, best in rows:
            rank = rank + 1 if formula == last else 1
            last = formula
            told = tuple(json.loads(evidence))
            if told and self._verdicts is not None:
                told += self._verdicts.words(sort_of(kind, formula), score, best, among)
            yield Ranked(rank, crystal, source, formula, kind, score, verdict, told)


@dataclass(frozen=True)
class RankJob:
    """What a worker needs to know to score candidates; see `rank`."""

    risk: float = RISK
    explain: bool = False
    relaxed: bool = False
    model: Model | None = None
    threads: int = 0

    files = 128
    """Candidates share runs of the networks within a chunk of so many files."""

    def open(self) -> Work:
        """Load networks and tables."""
        ranker = Ranker(self.risk, self.explain, self.relaxed, self.model, self.threads)
        return lambda crystals, on_skip: ranker.stream(crystals)


def score(
    crystals: Crystal | Iterable[Source],
    *,
    risk: float = RISK,
    explain: bool = False,
    relaxed: bool = False,
    model: Model | None = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    executor: Executor | None = None,
    workers: int = 1,
) -> Iterator[Ranked]:
    """Candidates in the order in which they come, all of rank 0, as they are scored; see `rank`.

    Each is judged by its own score; a `Ledger` judges them beside each other.
    """
    spread_out = executor is not None or workers > 1
    if spread_out and model is not None:
        raise InputError("workers load the model that the scores are calibrated for; no other can be given")
    job = RankJob(risk, explain, relaxed, model, threads or int(spread_out))
    return spread(crystals, job, on_skip, executor=executor, workers=workers)


def rank(
    crystals: Crystal | Iterable[Source],
    *,
    risk: float = RISK,
    explain: bool = False,
    relaxed: bool = False,
    model: Model | None = None,
    threads: int = 0,
    watch: Callable[[Ranked], None] | None = None,
    on_skip: OnSkip | None = None,
    executor: Executor | None = None,
    workers: int = 1,
) -> Iterator[Ranked]:
    """Order candidate structures within each formula, the most plausible first.

    No energy is computed. The score joins the plausibility of every site's surroundings, the likelihood of
    the elements given the geometry, the volume, and the contacts between molecules; see
    ``docs/explanation/ranking.md``.

    Args:
        crystals: candidates; or files (`atomsight.models.spread.sources_of`), which are read where the work
            is done.
        risk: chance that a real structure gets the verdict ``unlikely`` is at most this, above 0 and up to
            0.5; see `combine.Combination.thresholds` for how sure that is.
        explain: fill `Ranked.evidence`.
        relaxed: trust the volume of inorganic candidates. Else they are judged, in the main, at the volume
            that their formula lets expect.
        model: names elements blindly; None is the bundled default, which the scores are calibrated for.
        threads: of the networks; 0 takes all cores in one process, one in each of several.
        watch: receives each candidate as soon as it is scored, with rank 0.
        on_skip: receives (source, reason) of what could not be read.
        executor, workers: who does the work, see `atomsight.models.spread.spread`.

    Raises:
        InputError: the risk is out of range, or a model in memory is to go to other processes.
        ModelError: weights or tables are missing or damaged.
        EngineError: workers died again and again.
    """
    scores = score(
        crystals,
        risk=risk,
        explain=explain,
        relaxed=relaxed,
        model=model,
        threads=threads,
        on_skip=on_skip,
        executor=executor,
        workers=workers,
    )
    with Ledger(Verdicts(load_combination(relaxed), risk)) as ledger:
        for scored in scores:
            ledger.add(scored)
            if watch is not None:
                watch(scored)
        ledger.settle()
        yield from ledger.ordered()
