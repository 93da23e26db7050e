"""One self-contained page about datasets, runs and results.

| module | what it holds |
|---|---|
| `build` | `write_report`: from folders to the page |
| `inputs` | which folder is what |
| `cited` | which works a folder rests on |
| `sections/` | one module for each kind of folder |
| `components/` | what any page of atomsight is made of: style, tables, figures, frame |
"""

from __future__ import annotations

from atomsight.report.build import Report, write_report

__all__ = ["Report", "write_report"]
