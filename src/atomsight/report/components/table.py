"""Tables that sort, filter, turn pages and save as CSV.

The first page of a table is plain HTML, which needs no scripts. ``table.js`` reads the same data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from atomsight.report.components.html import Html, join, json_block, tag

PAGE_ROWS = 25
"""Rows of a page of a table."""

Format = Literal["text", "count", "percent", "length", "number"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Key of the value in a row. The filter takes it too, as ``key:word``.
        title: Heading; by default the key.
        format: Format of the values: ``text``; ``count`` with thousands separators; ``percent`` of a share;
            ``length`` to 0.001; ``number`` to four digits. All but text are aligned to the right.
        hint: Explanation, shown when the pointer is on the heading.
    """

    key: str
    title: str = ""
    format: Format = "text"
    hint: str = ""

    def cell(self, name: str, text: str, **attributes: object) -> Html:
        """Return a cell of this column."""
        return tag(name, text, class_=None if self.format == "text" else "right", **attributes)


def text_columns(*keys: str) -> tuple[Column, ...]:
    """Return text columns with their keys as headings."""
    return tuple(Column(key) for key in keys)


def count_columns(*keys: str) -> tuple[Column, ...]:
    """Return columns of counts with their keys as headings."""
    return tuple(Column(key, format="count") for key in keys)


def table(
    identifier: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    *,
    caption: object = "",
    opens: bool = False,
) -> Html:
    """Make a table.

    Args:
        identifier: Identifier of the element, unique in the page.
        columns: Columns in order.
        rows: A mapping for each row. Values without a column are left out.
        caption: Text above the table.
        opens: Whether the first column holds buttons that send the event ``open-row`` with the row's index.
    """
    values = [[_plain(row.get(column.key)) for column in columns] for row in rows]
    data = {
        "columns": [{"key": c.key, "title": c.title or c.key, "kind": c.format} for c in columns],
        "rows": values,
        "page": PAGE_ROWS,
        "opens": opens,
    }
    head = (c.cell("th", c.title or c.key, scope="col", title=c.hint or None) for c in columns)
    body = (
        tag(
            "tr",
            *(c.cell("td", format_value(value, c.format)) for value, c in zip(row, columns, strict=True)),
        )
        for row in values[:PAGE_ROWS]
    )
    element = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    label = f"table {identifier}"
    frame = tag("div", element, class_="scroll", tabindex="0", role="region", aria_label=label)
    tools = tag("div", class_="tools")
    rows_name = f"{identifier}-rows"
    return join(
        tag("div", tools, frame, class_="table", id=identifier, data_rows=rows_name),
        json_block(rows_name, data),
    )


def facts(rows: Mapping[str, object]) -> Html:
    """List names and values, without the rows whose value is None."""
    items = (join(tag("dt", name), tag("dd", value)) for name, value in rows.items() if value is not None)
    return tag("dl", *items, class_="facts")


def tiles(figures: Mapping[str, object]) -> Html:
    """Show the main figures in large type, without those that are None."""
    items = (
        tag("div", tag("strong", value), tag("span", name), class_="tile")
        for name, value in figures.items()
        if value is not None
    )
    return tag("div", *items, class_="tiles")


def format_value(value: Any, format_: Format) -> str:
    """Return a value as the table shows it, empty for None. ``table.js`` does the same."""
    if value is None:
        return ""
    if format_ == "text" or isinstance(value, str):
        return str(value)
    if format_ == "percent":
        value = 100 * value
    return {"count": "{:,}", "percent": "{:.1f} %", "length": "{:.3f}", "number": "{:.4g}"}[format_].format(
        value
    )


def percent(value: float | None, digits: int = 1) -> str | None:
    """Return a share in per cent; None where it is not defined."""
    return None if value is None else f"{100 * value:.{digits}f} %"


def _plain(value: Any) -> Any:
    """Return a value for JSON: short floats, None for numbers that are not finite."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
