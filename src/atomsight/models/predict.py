"""Predictions of a named model for any number of files, by one process or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.models.load import load_model
from atomsight.parallel.jobs import Source, Work, spread

if TYPE_CHECKING:
    from atomsight.core.crystal import Crystal
    from atomsight.io.member import OnSkip
    from atomsight.models.prediction import Prediction


@dataclass(frozen=True)
class PredictJob:
    """What a worker needs to know to predict; see `predict`."""

    model: str | Path | None
    composition: bool
    formula: str | None
    threads: int

    files = 128
    """Crystals share runs of the network within a chunk of so many files."""

    def open(self) -> Work:
        """Load the model."""
        network = load_model(self.model, threads=self.threads)
        return lambda crystals, on_skip: network.predict(crystals, self.composition, on_skip, self.formula)


def predict(
    sources: Crystal | Iterable[Source],
    model: str | Path | None = None,
    *,
    composition: bool = False,
    formula: str | None = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    executor: Executor | None = None,
    workers: int = 1,
) -> Iterator[Prediction]:
    """Predict the element of every site of crystals, in their order; see `Model.predict`.

    Args:
        sources: crystals, or files (`atomsight.parallel.jobs.sources_of`) that are read where the work is
            done.
        model: name or path of a model; each worker loads it once.
        composition, formula, on_skip: as in `Model.predict`.
        threads: of each worker's network; 0 takes all cores in one process, one in each of several.
        executor, workers: who does the work, see `atomsight.parallel.jobs.spread`; same predictions.

    Raises:
        ModelError: there is no such model; without ``on_skip``: it does not know an element of a formula.
        InputError: the formula is not understood; without ``on_skip``: it does not fit the sites.
        EngineError: workers died again and again.
    """
    spread_out = executor is not None or workers > 1
    job = PredictJob(model, composition, formula, threads or int(spread_out))
    return spread(sources, job, on_skip, executor=executor, workers=workers)
