"""Evaluation of a model on a dataset: the result with its scores, tables and mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.progress import OnProgress
from atomsight.core.results import Tabular
from atomsight.dataset.store import Dataset, open_dataset
from atomsight.evaluate.confusion import confused_pairs
from atomsight.evaluate.mistakes import MistakeLog
from atomsight.evaluate.run import Evaluation, evaluate_model
from atomsight.evaluate.seen import crystals_seen, training_dataset, training_fingerprint
from atomsight.evaluate.write import Draw, element_rows, summary_of, write_evaluation
from atomsight.models.base import Model
from atomsight.models.load import load_model

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = 10
"""Confused pairs and mistakes in `EvaluationResult.as_dict`; the files hold all of them."""


@dataclass
class EvaluationResult(Tabular):
    """The result of `evaluate`.

    Attributes:
        evaluation: counts and scores.
        summary: the main scores, the model and the dataset, as ``summary.json`` holds them.
        mistakes: the misclassified sites, most confident first.
        out: the folder that holds tables and figures; None where none was written.
    """

    evaluation: Evaluation
    summary: dict[str, Any]
    mistakes: MistakeLog
    out: Path | None = None

    def write(self, out: str | Path, draw: Draw | None = None) -> None:
        """Write tables, misclassified sites and figures; see `write_evaluation`.

        Args:
            out: the folder; made where it is missing.
            draw: writes the figures, such as `atomsight.plots.evaluation.draw_evaluation`; None writes none.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.out = Path(out)
        write_evaluation(self.evaluation, self.summary, self.mistakes, self.out, draw)

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight evaluate --json`` prints them.

        Returns:
            The summary, ``per_element``, the ten most frequent ``confused_pairs``, the ten most confident
            ``worst_mistakes``, and ``out``.
        """
        symbols = self.evaluation.symbols
        return {
            **self.summary,
            "per_element": element_rows(self.evaluation),
            "confused_pairs": [
                {
                    "true": symbols[pair.true],
                    "predicted": symbols[pair.predicted],
                    "sites": pair.count,
                    "share_of_true": pair.rate,
                }
                for pair in confused_pairs(self.evaluation.matrix)[:LISTED]
            ],
            "worst_mistakes": [
                mistake._asdict() | {"true": SYMBOLS[mistake.true], "predicted": SYMBOLS[mistake.predicted]}
                for mistake in islice(self.mistakes, LISTED)
            ],
            "out": None if self.out is None else str(self.out),
        }

    def to_arrow(self) -> pa.Table:
        """Convert the scores of each element to an Arrow table, with a row for each element of the model.

        Returns:
            A `pyarrow.Table` with the columns of ``per_element.csv``; an undefined score is null.
        """
        import pyarrow as pa

        return pa.Table.from_pylist(element_rows(self.evaluation))


def evaluate(
    model: Model | str | Path,
    dataset: Dataset | str | Path,
    *,
    split: str = "test",
    trained_on: Dataset | str | Path | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    draw: Draw | None = None,
    threads: int = 0,
    progress: OnProgress | None = None,
) -> EvaluationResult:
    """Evaluate a model on a split of a dataset.

    Every symmetry-unique site counts once. Sites of elements that the model does not know are counted apart.

    Args:
        model: a model, the name of a bundled one, or the path of a run folder or an ``.onnx`` file.
        dataset: a dataset or its folder.
        split: ``train``, ``val``, ``test`` or ``all``.
        trained_on: the dataset that the model was trained on, to count the crystals that it has seen; by
            default the one that the run folder names.
        name: name of the model in the result; by default its own.
        out: folder for tables and figures; None writes nothing.
        draw: writes the figures, see `EvaluationResult.write`.
        threads: threads of the network where ``model`` is a name; 0 takes all cores.
        progress: receives the progress after each batch, in sites.

    Returns:
        The scores, tables and mistakes.

    Raises:
        DatasetError: the split holds no site, or the dataset holds fewer neighbours than the model needs.
        ModelError: there is no such model, or it knows none of the elements of the split.
        InputError: ``trained_on`` is another dataset.
        OutputError: ``out`` cannot be written.

    Example:
        >>> result = atomsight.evaluate("default", "crystals", split="all")  # doctest: +SKIP
        >>> result.summary["accuracy"]  # doctest: +SKIP
        0.98
    """
    dataset = _opened(dataset)
    run = "" if isinstance(model, Model) else model
    network = model if isinstance(model, Model) else load_model(model, threads=threads)
    if name:
        network.name = name
    training = training_dataset(network, run) if trained_on is None else _opened(trained_on)
    if training is not None and training.fingerprint != training_fingerprint(network):
        raise InputError(
            f"trained_on: {training.path} is not the dataset that the model was trained on, or it has changed"
        )
    seen = crystals_seen(network, dataset, split, training)
    mistakes = MistakeLog()
    evaluation = evaluate_model(network, dataset, split, mistakes=mistakes, progress=progress)
    result = EvaluationResult(evaluation, summary_of(evaluation, network, dataset, seen), mistakes)
    if out is not None:
        result.write(out, draw)
    return result


def _opened(dataset: Dataset | str | Path) -> Dataset:
    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
