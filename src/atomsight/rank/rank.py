"""Ranks candidate structures by plausibility, and marks those that are not worth a relaxation."""

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
from atomsight.rank.evidence import explain as explain_evidence
from atomsight.rank.features import FeatureExtractor
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.verdicts import Verdicts

RISK = 0.005
"""Default chance that a real structure is called ``unlikely``."""

SITES_PER_BATCH = 4096
"""Sites that are collected over candidates before the networks run."""

CRYSTALS_PER_BATCH = 256


class Ranker:
    """Scores candidates in batches; memory does not grow with their number.

    Args:
        risk: largest chance that a real structure is called ``unlikely``.
        explain: whether to compute the evidence.
        relaxed: whether the volume of inorganic candidates can be trusted.
        model: predicts elements from the geometry; None loads the model that the scores are calibrated for.
        threads: threads of the networks; 0 uses all cores.

    Raises:
        InputError: the risk is out of range.
        ModelError: a network or the calibration is missing, damaged, or not the released one.
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
        self.model = model or load_model(MODEL, threads=threads)
        self.extractor = FeatureExtractor(self.model, Networks(threads), calibration.tables)
        if self.model.fingerprint not in calibration.fitted_with.values():
            warnings.warn(
                f"the scores were calibrated for another model than {self.model.name}, so that the risk does "
                "not hold; python -m workshop.calibrate_rank calibrates them",
                stacklevel=2,
            )
        self.explain = explain

    def score(self, crystals: list[Crystal]) -> list[Ranked]:
        """Score the candidates of one batch, in their order. Each verdict depends on the own score only."""
        used = None if self.explain else self.combination.weights != 0
        features = self.extractor.features(crystals, used)
        scores = self.combination.scores(features.classes, features.values).tolist()
        found = []
        for place, (crystal, which) in enumerate(zip(crystals, features.classes.tolist(), strict=True)):
            name, formula, score = CLASSES[which], crystal.formula, scores[place]
            verdict = self.verdicts.alone(verdict_class(name, formula), score)
            evidence = explain_evidence(crystal, features, place) if self.explain else ()
            found.append(Ranked(0, crystal.name, crystal.source, formula, name, score, verdict, evidence))
        return found

    def stream(self, crystals: Iterable[Crystal]) -> Iterator[Ranked]:
        """Score candidates in their order; all have rank 0."""
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
    """The options of `rank` that are sent to worker processes."""

    risk: float = RISK
    explain: bool = False
    relaxed: bool = False
    model: Model | None = None
    threads: int = 0

    files = 128
    """Maximum number of files per chunk. The candidates of a chunk share the runs of the networks."""

    def open(self) -> Work:
        """Load networks and tables."""
        ranker = Ranker(self.risk, self.explain, self.relaxed, self.model, self.threads)
        return lambda crystals, on_skip: ranker.stream(crystals)


def score(
    sources: Iterable[Source],
    *,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    executor: Executor | int | None = None,
    **options: Any,
) -> Iterator[Ranked]:
    """Score candidates in their order; all have rank 0.

    The verdict of each depends on its own score only. A `Ledger` compares the candidates.

    Args:
        sources: candidates, read or unread.
        threads: as in `rank`.
        on_skip: receives ``(source, reason)`` of every candidate that is left out.
        executor: as in `rank`.
        **options: further options of `RankJob`.

    Raises:
        InputError: a model in memory is to go to other processes.
    """
    job = RankJob(threads=threads or int(executor is not None), **options)
    if executor is not None and job.model is not None:
        raise InputError("workers load the model that the scores are calibrated for; no other can be given")
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
    options: dict[str, Any] = {"risk": risk, "explain": explain, "relaxed": relaxed, "model": model}
    scores = score(sources_of(source), threads=threads, on_skip=tracker.skip, executor=executor, **options)

    def ordered() -> Iterator[Ranked]:
        with Ledger(Verdicts(RankCalibration.load().combination(relaxed), risk)) as ledger:
            for scored in scores:
                ledger.add(scored)
                tracker.advance()
            tracker.close(stacklevel=3)
            yield from ledger.ordered()

    return Results(ordered(), Ranked)
