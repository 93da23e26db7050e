"""Ranking of candidate structures by plausibility, with a verdict on each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.core.progress import OnProgress, OnSkip, Tracker
from atomsight.core.results import Results
from atomsight.geometry.crystal_class import CLASSES, verdict_class
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Networks
from atomsight.parallel.jobs import Source, Work, sources_of, spread
from atomsight.rank.calibration import MODEL, RankCalibration
from atomsight.rank.evidence import words
from atomsight.rank.features import describe
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.verdicts import Verdicts

RISK = 0.005
"""Default of the largest chance that a real structure gets the verdict ``unlikely``."""

SITES_PER_BATCH = 4096
"""Sites gathered over candidates before the networks run."""

CRYSTALS_PER_BATCH = 256


class Ranker:
    """Scores candidates one batch after another; memory does not grow with their number.

    Args:
        risk: see `rank`.
        explain: see `rank`.
        relaxed: see `rank`.
        model: see `rank`.
        threads: threads of the networks; 0 takes all cores.

    Raises:
        InputError: the risk is out of range.
        ModelError: a network or the calibration is missing, damaged, or not the one released.
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

        calibration = RankCalibration.load()
        self.combination = calibration.combination(relaxed)
        self.verdicts = Verdicts(self.combination, risk)
        self.tables = calibration.tables
        self.networks = Networks(threads)
        self.model = model or load_model(MODEL, threads=threads)
        if self.model.fingerprint not in calibration.fitted_with.values():
            warnings.warn(
                f"the scores were calibrated for another model than {self.model.name}, so that the risk does "
                "not hold; python -m workshop.calibrate_rank calibrates them",
                stacklevel=2,
            )
        self.explain = explain

    def score(self, crystals: list[Crystal]) -> list[Ranked]:
        """Score the candidates of one batch in their order, all of rank 0.

        Args:
            crystals: the candidates.

        Returns:
            The candidates, each with the verdict that follows from its own score.
        """
        counting = None if self.explain else self.combination.weights != 0
        described = describe(crystals, self.model, self.networks, self.tables, counting)
        scores = self.combination.scores(described.classes, described.values)
        found = []
        for place, (crystal, which, score) in enumerate(
            zip(crystals, described.classes.tolist(), scores.tolist(), strict=True)
        ):
            name = CLASSES[which]
            verdict = self.verdicts.alone(verdict_class(name, crystal.formula), score)
            evidence = words(crystal, described, place) if self.explain else ()
            found.append(
                Ranked(0, crystal.name, crystal.source, crystal.formula, name, score, verdict, evidence)
            )
        return found

    def stream(self, crystals: Iterable[Crystal]) -> Iterator[Ranked]:
        """Score any number of candidates in their order, all of rank 0, batch by batch."""
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
    sources: Iterable[Source],
    *,
    risk: float = RISK,
    explain: bool = False,
    relaxed: bool = False,
    model: Model | None = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    executor: Executor | int | None = None,
) -> Iterator[Ranked]:
    """Score candidates in the order in which they come, all of rank 0; see `rank`.

    The verdict of each follows from its own score. A `Ledger` compares them.
    """
    if executor is not None and model is not None:
        raise InputError("workers load the model that the scores are calibrated for; no other can be given")
    job = RankJob(risk, explain, relaxed, model, threads or int(executor is not None))
    return spread(sources, job, on_skip, executor=executor)


def rank(
    source: Any,
    *,
    risk: float = RISK,
    explain: bool = False,
    relaxed: bool = False,
    model: Model | None = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
    executor: Executor | int | None = None,
) -> Results[Ranked]:
    """Order candidate structures within each formula, the most plausible first.

    No energy is computed. The score combines the plausibility of the surroundings of every site, the
    likelihood of the elements given the geometry, the volume, and the contacts between molecules; see
    ``docs/explanation/ranking.md``.

    Args:
        source: candidates: paths, crystals or objects, see `atomsight.read`.
        risk: largest chance that a real structure gets the verdict ``unlikely``, above 0 and up to 0.5; see
            `score.Combination.thresholds` for its uncertainty.
        explain: fill `Ranked.evidence`.
        relaxed: trust the volume of inorganic candidates. Without it they are scored, in the main, at the
            volume that is expected for their formula.
        model: predicts elements blindly; None is the bundled default, which the scores are calibrated for.
        threads: threads of the networks; 0 takes all cores in one process, one in each of several.
        on_skip: receives ``(source, reason)`` of every candidate that is left out. Without it, one
            `SkippedWarning` says how many there were.
        progress: receives the progress after each candidate is scored.
        executor: None works in this process, a number starts so many worker processes, else any
            `concurrent.futures.Executor`.

    Returns:
        The candidates in order. The first is known when all are scored.

    Raises:
        InputError: the risk is out of range, or a model in memory is to go to other processes.
        ModelError: weights or tables are missing or damaged.
        EngineError: workers died again and again.

    Example:
        >>> best = next(atomsight.rank("examples/CsZnSb-candidates.zip"))
        >>> best.rank, best.verdict
        (1, 'keep')
    """
    tracker = Tracker("scoring", progress, on_skip)
    scores = score(
        sources_of(source),
        risk=risk,
        explain=explain,
        relaxed=relaxed,
        model=model,
        threads=threads,
        on_skip=tracker.skip,
        executor=executor,
    )

    def ordered() -> Iterator[Ranked]:
        with Ledger(Verdicts(RankCalibration.load().combination(relaxed), risk)) as ledger:
            for scored in scores:
                ledger.add(scored)
                tracker.advance()
            tracker.close(stacklevel=3)
            yield from ledger.ordered()

    return Results(ordered(), Ranked)
