"""Order candidate structures by how plausible they are, and tell which are not worth a relaxation."""

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
from atomsight.rank.evidence import words
from atomsight.rank.features import describe
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.verdicts import Verdicts

if TYPE_CHECKING:
    from atomsight.io.member import OnSkip

RISK = 0.005
"""Most chance that a real structure is called ``unlikely``, where none is asked for."""

SITES_PER_BATCH = 4096
"""Sites gathered over candidates before the networks run."""

CRYSTALS_PER_BATCH = 256


class Ranker:
    """Scores candidates one batch after another; memory does not grow with their number.

    Args:
        risk: chance that a real structure is called ``unlikely``, at most; see `combine`.
        explain: find evidence too.
        relaxed: trust the volume of inorganic candidates.
        model: names elements blindly; None is the bundled default, which the scores are calibrated for.
        threads: of the networks; 0 takes all cores.

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
        """The candidates of one batch in their order, all of rank 0, each judged by itself."""
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
