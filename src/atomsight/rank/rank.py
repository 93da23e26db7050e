"""Ranks candidate structures by plausibility, and marks those that are not worth a relaxation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError
from atomsight.geometry.crystal_class import CLASSES, verdict_class
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Networks
from atomsight.parallel.jobs import Source, Work, spread
from atomsight.rank.calibration import MODEL, RankCalibration
from atomsight.rank.evidence import explain as explain_evidence
from atomsight.rank.features import FeatureExtractor
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.verdicts import Verdicts

if TYPE_CHECKING:
    from atomsight.io.member import OnSkip

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
    ``docs/screening.md``.

    Args:
        crystals: candidates; or files (`atomsight.parallel.jobs.sources_of`), which are read where the work
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
        executor, workers: who does the work, see `atomsight.parallel.jobs.spread`.

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
    with Ledger(Verdicts(RankCalibration.load().combination(relaxed), risk)) as ledger:
        for scored in scores:
            ledger.add(scored)
            if watch is not None:
                watch(scored)
        yield from ledger.ordered()
