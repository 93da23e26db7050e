"""What every page of atomsight is made of: one look, and text from files that stays text.

| module | what it holds |
|---|---|
| `html` | elements with everything escaped that is not HTML already |
| `table` | tables that sort, filter and save as CSV; lists of facts; large figures |
| `figure` | Matplotlib figures as a part of the page, in the colours of the page |
| `page` | the frame; `asset` gives the style sheet and the scripts to other pages |
| `page.css`, `page.js`, `table.js`, `confusion.js`, `mistakes.js` | the look, and what moves |
"""

from __future__ import annotations

from atomsight.report.components.figure import drawn, folded, framed, inline_svg, picture
from atomsight.report.components.html import Html, join, json_block, tag
from atomsight.report.components.page import Section, asset, heading, page
from atomsight.report.components.table import Column, facts, percent, table, tiles

__all__ = [
    "Column",
    "Html",
    "Section",
    "asset",
    "drawn",
    "facts",
    "folded",
    "framed",
    "heading",
    "inline_svg",
    "join",
    "json_block",
    "page",
    "percent",
    "picture",
    "table",
    "tag",
    "tiles",
]
