"""One self-contained page about datasets, runs and results.

| module | what it holds |
|---|---|
| `build` | `write_report`, which writes the page from folders |
| `inputs` | the type of a folder, and reading its files |
| `works` | the works that a folder rests on |
| `sections/` | one module for each type of folder |
| `components/` | what every page of atomsight is made of: style, tables, figures, frame |
"""

from __future__ import annotations

from atomsight.report.build import Report, write_report

__all__ = ["Report", "write_report"]
