"""Evaluation of a model: metrics, confusion matrices, calibration and mistakes.

| module | what it holds |
|---|---|
| `metrics` | accuracy, precision, recall, F1, top-k, log loss: pure functions of arrays |
| `confusion` | the normalised confusion matrix, and the confused pairs in order |
| `calibration` | calibration error, reliability, coverage at a required accuracy |
| `mistakes` | the misclassified sites, most confident first |
| `run` | one streaming pass of a model over a split |
| `seen` | crystals of a split that the model was trained on |
| `write` | the result as CSV and JSON files |
| `sweep.run` | training and evaluation of a model for each k and seed, resumable |
| `sweep.suggest` | the smallest sufficient k, by a paired bootstrap over groups |
| `sweep.report` | the suggestion with its checks, and its tables |
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
