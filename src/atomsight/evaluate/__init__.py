"""How good a model is: metrics, confusion matrices, calibration and mistakes.

| module | what it holds |
|---|---|
| `metrics` | accuracy, precision, recall, F1, top-k, log loss: pure functions of arrays |
| `confusion` | the normalised confusion matrix, and the confused pairs ranked |
| `calibration` | calibration error, reliability, coverage at a given accuracy |
| `mistakes` | the misclassified sites, most confident first |
| `run` | one streaming pass of a model over a split |
| `seen` | whether the split was truly kept from the model |
| `write` | the result as CSV and JSON files |
| `k_sweep` | a model trained and evaluated for each k and seed, resumable |
| `suggest_k` | the smallest k that no larger one betters: bootstrap over groups, paired |
| `sweep_report` | the suggestion with its checks, and its tables |
"""

from __future__ import annotations

from atomsight.evaluate.calibration import Calibration
from atomsight.evaluate.confusion import ConfusedPair, confused_pairs, normalise_rows
from atomsight.evaluate.mistakes import Mistake, MistakeLog
from atomsight.evaluate.result import EvaluationResult, evaluate
from atomsight.evaluate.run import Evaluation, evaluate_model

__all__ = [
    "Calibration",
    "ConfusedPair",
    "Evaluation",
    "EvaluationResult",
    "Mistake",
    "MistakeLog",
    "confused_pairs",
    "evaluate",
    "evaluate_model",
    "normalise_rows",
]
