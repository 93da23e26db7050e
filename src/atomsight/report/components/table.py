"""Tables that sort, filter, turn pages and save as CSV. The first page is plain HTML, there without scripts;
``table.js`` takes over from the same data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from atomsight.report.components.html import Html, join, json_block, tag

PAGE_ROWS = 25
"""Rows of a page of a table."""

Kind = Literal["text", "count", "percent", "length", "number"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: of the rows; also what the filter takes, ``key:word``.
        title: heading.
        kind: how a value is written: ``text``; ``count`` with thousands apart; ``percent`` of a share;
            ``length`` to 0.001; ``number`` to four digits. All but text stand to the right.
        hint: what it means, shown when the heading is pointed at.
    """

    key: str
    title: str
    kind: Kind = "text"
    hint: str = ""


def table(
    identifier: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    *,
    caption: object = "",
    opens: bool = False,
) -> Html:
    """A table.

    Args:
        identifier: of the element; unique in the page.
        columns: shown, in order.
        rows: a mapping each; values that a column does not name are left out.
        caption: above the table: what it is, where the rest of it lies.
        opens: the first column holds buttons; each sends the event ``open-row`` with the index of its row.
    """
    values = [[_plain(row.get(column.key)) for column in columns] for row in rows]
    data = {
        "columns": [{"key": c.key, "title": c.title, "kind": c.kind} for c in columns],
        "rows": values,
        "page": PAGE_ROWS,
        "opens": opens,
    }
    head = tag(
        "tr",
        *(
            tag(
                "th", c.title, scope="col", title=c.hint or None, class_=None if c.kind == "text" else "right"
            )
            for c in columns
        ),
    )
    body = (
        tag(
            "tr",
            *(
                tag("td", written(value, c.kind), class_=None if c.kind == "text" else "right")
                for value, c in zip(row, columns, strict=True)
            ),
        )
        for row in values[:PAGE_ROWS]
    )
    return join(
        tag(
            "div",
            tag("div", class_="tools"),
            tag(
                "div",
                tag(
                    "table",
                    tag("caption", caption) if caption else None,
                    tag("thead", head),
                    tag("tbody", *body),
                ),
                class_="scroll",
                tabindex="0",
                role="region",
                aria_label=f"table {identifier}",
            ),
            class_="table",
            id=identifier,
            data_rows=f"{identifier}-rows",
        ),
        json_block(f"{identifier}-rows", data),
    )


def facts(rows: Mapping[str, object]) -> Html:
    """Names and values, one below the other; rows whose value is None are left out."""
    return tag(
        "dl",
        *(join(tag("dt", name), tag("dd", value)) for name, value in rows.items() if value is not None),
        class_="facts",
    )


def tiles(figures: Mapping[str, object]) -> Html:
    """The few figures that matter, large."""
    return tag(
        "div",
        *(
            tag("div", tag("strong", value), tag("span", name), class_="tile")
            for name, value in figures.items()
            if value is not None
        ),
        class_="tiles",
    )


def written(value: Any, kind: Kind) -> str:
    """A value as the table shows it; None is empty. ``table.js`` writes the same."""
    if value is None:
        return ""
    if kind == "text" or isinstance(value, str):
        return str(value)
    if kind == "count":
        return f"{value:,}"
    if kind == "percent":
        return f"{100 * value:.1f} %"
    if kind == "length":
        return f"{value:.3f}"
    return f"{value:.4g}"


def percent(value: float | None, digits: int = 1) -> str | None:
    """A share in per cent; None where it is not defined."""
    return None if value is None else f"{100 * value:.{digits}f} %"


def _plain(value: Any) -> Any:
    """A value for JSON: short floats, None instead of what is not finite."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
