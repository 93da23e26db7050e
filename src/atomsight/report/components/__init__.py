"""Parts of every page of atomsight: one style, and text from files that stays text.

| module | what it holds |
|---|---|
| `html` | elements with all text escaped |
| `table` | tables that sort, filter and save as CSV; lists of facts; main figures |
| `figure` | figures as a part of the page, in its colours |
| `page` | sections and the whole page; `asset` gives the style sheet and scripts to other pages |
| `page.css`, `page.js`, `table.js`, `confusion.js`, `mistakes.js` | style and scripts |
"""

from __future__ import annotations

from atomsight.report.components.figure import details, gallery, inline_svg, picture, plot
from atomsight.report.components.html import Html, join, json_block, note, tag
from atomsight.report.components.page import Part, Section, asset, page, section
from atomsight.report.components.table import (
    Column,
    count_columns,
    facts,
    percent,
    table,
    text_columns,
    tiles,
)

__all__ = [
    "Column",
    "Html",
    "Part",
    "Section",
    "asset",
    "count_columns",
    "details",
    "facts",
    "gallery",
    "inline_svg",
    "join",
    "json_block",
    "note",
    "page",
    "percent",
    "picture",
    "plot",
    "section",
    "table",
    "tag",
    "text_columns",
    "tiles",
]
