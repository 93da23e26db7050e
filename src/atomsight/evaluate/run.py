"""Evaluate a model on one split of a dataset, in one streaming pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import DatasetError, ModelError
from atomsight.core.progress import OnProgress, Progress
from atomsight.core.scores import count_pairs, macro, none_if_nan
from atomsight.core.wording import counted
from atomsight.evaluate import metrics
from atomsight.evaluate.calibration import Calibration
from atomsight.evaluate.mistakes import CrystalCounts, MistakeLog

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models import Model


@dataclass(frozen=True)
class Evaluation:
    """Counts of one pass over a split, from which every score follows.

    A symmetry-unique site counts once, whatever its multiplicity. Sites of elements that the model does not
    know are in ``outside`` and in no score except :attr:`accuracy_of_all`.

    Attributes:
        model: Name of the model.
        split: Name of the split.
        elements: Atomic numbers, in the order of the columns.
        matrix: (elements, elements) int64 confusion matrix, rows true, columns predicted.
        ranks: (elements, elements) int64, true element x number of more probable elements.
        log_loss: Mean of -ln p(true element), nats.
        calibration: Counts by confidence.
        outside: (256, elements) int64, atomic number of an element that the model does not know x predicted
            column.
        crystals: Names, in the order of the dataset.
        crystal_counts: (crystals, 3) int64: sites, sites of known elements, mistakes among those.
        crystal_groups: Name of each crystal's group (a shared formula or family), or of the crystal where
            the group is unknown.
    """

    model: str
    split: str
    elements: tuple[int, ...]
    matrix: NDArray[np.int64]
    ranks: NDArray[np.int64]
    log_loss: float
    calibration: Calibration
    outside: NDArray[np.int64]
    crystals: tuple[str, ...]
    crystal_counts: NDArray[np.int64]
    crystal_groups: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbols in the order of the columns."""
        return tuple(SYMBOLS[z] for z in self.elements)

    @property
    def accuracy(self) -> float:
        """Share of the sites of known elements whose first choice is right."""
        return metrics.accuracy(self.matrix)

    @property
    def accuracy_of_all(self) -> float:
        """Share of all sites whose first choice is right; an element unknown to the model counts as wrong."""
        return float(np.trace(self.matrix) / (self.matrix.sum() + self.outside.sum()))

    @property
    def accuracy_error(self) -> float:
        """Standard error of the accuracy over groups of crystals, whose sites are correlated."""
        _, cluster = np.unique(np.array(self.crystal_groups, dtype=object).astype(str), return_inverse=True)
        known = np.bincount(cluster, weights=self.crystal_counts[:, 1])
        wrong = np.bincount(cluster, weights=self.crystal_counts[:, 2])
        return metrics.clustered_error(known - wrong, known)

    def outside_counts(self) -> dict[str, int]:
        """Return the sites of each element that the model does not know, by symbol, most abundant first."""
        sites = self.outside.sum(axis=1)
        order = sorted(np.flatnonzero(sites).tolist(), key=lambda z: (-sites[z], z))
        return {SYMBOLS[z]: int(sites[z]) for z in order}

    def summary(self) -> dict[str, Any]:
        """Return the main figures for JSON: plain numbers, None where a score is not defined."""
        scores = metrics.element_scores(self.matrix)
        coverage, threshold = self.calibration.coverage_at(0.99)
        sites, known, mistakes = (int(n) for n in self.crystal_counts.sum(axis=0))
        whole = (self.crystal_counts[:, 1] == self.crystal_counts[:, 0]) & (self.crystal_counts[:, 2] == 0)
        figures = {
            "model": self.model,
            "split": self.split,
            "crystals": len(self.crystals),
            "sites": sites,
            "sites_evaluated": known,
            "sites_of_unknown_elements": self.outside_counts(),
            "elements": len(self.elements),
            "elements_present": int(np.count_nonzero(scores.support)),
            "accuracy": self.accuracy,
            "accuracy_standard_error": self.accuracy_error,
            "accuracy_of_all_sites": self.accuracy_of_all,
            "macro_recall": macro(scores.recall),
            "macro_precision": macro(scores.precision),
            "macro_f1": macro(scores.f1),
            "top3_accuracy": metrics.top_accuracy(self.ranks, 3),
            "top3_macro_recall": macro(metrics.top_recall(self.ranks, 3)),
            "log_loss": self.log_loss,
            "expected_calibration_error": self.calibration.expected_error(),
            "coverage_at_99_percent_accuracy": coverage,
            "confidence_for_99_percent_accuracy": threshold,
            "mistakes": mistakes,
            "crystals_all_right": int(whole.sum()),
        }
        return {k: none_if_nan(v) if isinstance(v, float) else v for k, v in figures.items()}


def evaluate_model(
    model: Model,
    dataset: Dataset,
    split: str = "test",
    *,
    mistakes: MistakeLog | None = None,
    progress: OnProgress | None = None,
    batch_size: int = 65536,
) -> Evaluation:
    """Score a model on a split.

    Streams over the dataset: memory is that of a batch plus a few tens of bytes a crystal. Each call of the
    model gets whole crystals, so that a model that looks at the other sites of a crystal is served too.

    Whether the split was kept from the model is not checked here; see ``seen_in_training``.

    Args:
        model: takes the dataset's columns that it names, gives a row of probabilities a site.
        dataset: an open dataset, with at least the model's k neighbours a site.
        split: ``train``, ``val``, ``test`` or ``all``.
        mistakes: receives every misclassified site of a known element.
        progress: receives the progress after each batch, in sites.
        batch_size: sites a batch, about.

    Raises:
        DatasetError: the split holds no site, or the dataset holds fewer neighbours than the model needs.
        ModelError: the model knows none of the split's elements, or its answer is no set of probabilities.
    """
    _check_fit(model, dataset, split)
    total = sum(dataset.element_counts(split).values())
    done = 0
    n = len(model.elements)
    column_of = np.full(256, -1, dtype=np.int64)
    column_of[list(model.elements)] = np.arange(n)
    matrix = np.zeros((n, n), dtype=np.int64)
    ranks = np.zeros((n, n), dtype=np.int64)
    outside = np.zeros((256, n), dtype=np.int64)
    calibration, crystals, log_loss = Calibration(), CrystalCounts(), 0.0

    wanted = dict.fromkeys(("crystal", "site", "label", "element", *model.columns))
    for batch in dataset.batches(list(wanted), split=split, batch_size=batch_size, whole_crystals=True):
        probabilities = _probabilities(model, batch)
        predicted = probabilities.argmax(axis=1)
        truth = column_of[batch["element"]]
        known = truth >= 0
        right = predicted == truth
        crystals.add(batch["crystal"], known, right)
        outside += count_pairs(batch["element"][~known], predicted[~known], outside.shape)

        p, y = probabilities[known], truth[known]
        rank = metrics.true_ranks(p, y)
        matrix += count_pairs(y, predicted[known], matrix.shape)
        ranks += count_pairs(y, rank, ranks.shape)
        log_loss += float(metrics.log_losses(p, y).sum())
        calibration.add(p.max(axis=1), right[known])
        if mistakes is not None and rank.any():
            wrong, rows = np.flatnonzero(rank), np.flatnonzero(known)[rank > 0]
            mistakes.add(
                **{name: batch[name][rows] for name in ("crystal", "site", "label")},
                true=batch["element"][rows],
                predicted=np.asarray(model.elements, dtype=np.uint8)[predicted[rows]],
                probability=probabilities[rows, predicted[rows]],
                probability_true=p[wrong, y[wrong]],
                rank=rank[wrong],
            )
        done += len(truth)
        if progress is not None:
            progress(Progress("evaluating", done, total))

    table = dataset.crystals(["crystal", "group"]).to_pydict()
    groups = dict(zip(table["crystal"], table["group"], strict=True))
    return Evaluation(
        model=model.name,
        split=split,
        elements=tuple(model.elements),
        matrix=matrix,
        ranks=ranks,
        log_loss=log_loss / max(int(matrix.sum()), 1),
        calibration=calibration,
        outside=outside,
        crystals=tuple(crystals.names),
        crystal_counts=crystals.counts,
        crystal_groups=tuple(groups.get(name) or name for name in crystals.names),
    )


def _check_fit(model: Model, dataset: Dataset, split: str) -> None:
    if model.k > dataset.k:
        raise DatasetError(
            f"the model {model.name} needs k = {model.k} neighbours a site, the dataset {dataset.path} holds "
            f"k = {dataset.k}; build the dataset again with -k {model.k} or more"
        )
    present = dataset.element_counts(split)
    if not present:
        sizes = Counter(dataset.crystals(["split"]).to_pydict()["split"])
        held = ", ".join(f"{name} ({counted(n, 'crystal')})" for name, n in sizes.items())
        holds = f"the dataset holds {held or 'no crystal at all'}"
        raise DatasetError(f"the split {split!r} of {dataset.path} holds no site; {holds}")
    if not set(present) & set(model.elements):
        raise ModelError(
            f"the model {model.name} knows none of the elements in the split {split!r} of {dataset.path}: "
            f"it knows {_list(model.elements)}; the split holds {_list(present)}"
        )


def _list(elements: Iterable[int]) -> str:
    symbols = [SYMBOLS[z] for z in elements]
    return ", ".join(symbols[:8]) + (f" and {len(symbols) - 8} more" if len(symbols) > 8 else "")


def _probabilities(model: Model, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.floating]:
    probabilities = model.probabilities({name: batch[name] for name in model.columns})
    expected = (len(batch["element"]), len(model.elements))
    if probabilities.shape != expected:
        raise ModelError(f"the model {model.name} answered with shape {probabilities.shape}, not {expected}")
    if not np.isfinite(probabilities).all():
        problem = "answered with numbers that are not finite; is its file damaged?"
        raise ModelError(f"the model {model.name} {problem}")
    return probabilities
