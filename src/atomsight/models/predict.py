"""Predictions for crystals and files, in one process or many."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomsight.core.errors import InputError
from atomsight.core.progress import OnProgress, OnSkip, Tracker
from atomsight.core.results import Results
from atomsight.models.base import Model
from atomsight.models.load import load_model
from atomsight.models.prediction import Prediction
from atomsight.parallel.jobs import Work, results_of


@dataclass(frozen=True)
class PredictJob:
    """What a worker needs to know to predict; see `predict`."""

    model: Model | str | Path | None
    composition: bool
    formula: str | None
    threads: int

    files = 128
    """Crystals share runs of the network within a chunk of so many files."""

    def open(self) -> Work:
        """Load the model."""
        network = self.model
        if not isinstance(network, Model):
            network = load_model(network, threads=self.threads)
        return lambda crystals, on_skip: network.predict(crystals, self.composition, on_skip, self.formula)


def predict(
    source: Any,
    model: Model | str | Path | None = None,
    *,
    composition: bool = False,
    formula: str | None = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
    executor: Executor | int | None = None,
) -> Results[Prediction]:
    """Predict the element of every site of crystals, from the geometry alone.

    Args:
        source: paths, crystals or objects, see `atomsight.read`. The results keep their order.
        model: a model, the name of a bundled one, or the path of a run folder or an ``.onnx`` file; None is
            the bundled default.
        composition: use each crystal's formula, counted over its sites; see `Model.predict`.
        formula: the formula of every crystal, such as ``C13H18O2``, or ``stated`` for the one that each file
            states; see `Model.predict`.
        threads: threads of each worker's network; 0 takes all cores in one process, one in each of several.
        on_skip: receives ``(source, reason)`` of every crystal that is left out. Without it, one
            `SkippedWarning` at the end says how many there were; a single `Crystal` raises.
        progress: receives the progress after each crystal.
        executor: None works in this process, a number starts so many worker processes, else any
            `concurrent.futures.Executor`. The results are the same.

    Returns:
        The predictions, computed while they are iterated over.

    Raises:
        InputError: the formula is not understood; or a model in memory is to go to other processes.
        ModelError: there is no such model.
        EngineError: workers died again and again.

    Example:
        >>> for prediction in atomsight.predict("examples/paracetamol.cif"):
        ...     print(prediction.crystal.name, prediction.agrees.mean())
        7105573 1.0
    """
    if executor is not None and isinstance(model, Model):
        raise InputError("workers load the model themselves; give its name or path")
    job = PredictJob(model, composition, formula, threads or int(executor is not None))
    return results_of(source, job, Prediction, Tracker("predicting", progress, on_skip), executor)
