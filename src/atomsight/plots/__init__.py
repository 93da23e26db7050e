"""Figures from tables, one look. Matplotlib is imported here and nowhere below.

| module | what it draws |
|---|---|
| `confusion` | the confusion matrix with recall, precision and number of sites |
| `recall` | recall and precision of every element |
| `reliability` | calibration, and what can be answered at which accuracy |
| `sweep` | a sweep over k: scores, elements, confused pairs, confusion matrices |
| `style` | sizes, colours, and saving as PNG, SVG or PDF |
"""

from __future__ import annotations

from atomsight.plots.confusion import confusion_figure
from atomsight.plots.recall import recall_figure
from atomsight.plots.reliability import reliability_figure
from atomsight.plots.style import save

__all__ = ["confusion_figure", "recall_figure", "reliability_figure", "save"]
