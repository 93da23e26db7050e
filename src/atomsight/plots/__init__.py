"""Figures from tables, in one style. Only this package and the report import Matplotlib.

| module | what it draws |
|---|---|
| `confusion` | the confusion matrix with recall, precision and number of sites |
| `recall` | recall and precision of every element |
| `reliability` | calibration, and accuracy by coverage |
| `distances`, `bonds` | distance distributions with their peaks, and bonds among neighbours |
| `mistakes` | misclassified sites: pairs of elements, traits, single sites |
| `learning` | loss and scores of a training run by epoch |
| `periodic` | counts on the periodic table, and sizes of crystals |
| `sweep` | a sweep over k: scores, elements, confused pairs, confusion matrices |
| `style` | sizes, colours, and saving as PNG, SVG or PDF |
"""

from __future__ import annotations

from atomsight.plots.confusion import confusion_figure
from atomsight.plots.recall import recall_figure
from atomsight.plots.reliability import reliability_figure
from atomsight.plots.style import save

__all__ = ["confusion_figure", "recall_figure", "reliability_figure", "save"]
