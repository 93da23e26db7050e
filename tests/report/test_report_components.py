from __future__ import annotations

import json
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomsight.core.errors import DatasetError
from atomsight.report.components import (
    Column,
    Html,
    Part,
    Section,
    count_columns,
    gallery,
    inline_svg,
    join,
    json_block,
    page,
    section,
    table,
    tag,
    text_columns,
)
from atomsight.report.components.table import format_value


@given(st.text())
def test_text_stays_text(text: str) -> None:
    made = tag("p", text, title=text)
    assert made.count("<") == 2
    inside = re.fullmatch(r'<p title="([^"]*)">([^<]*)</p>', made, re.DOTALL)
    assert inside is not None
    assert unescape(inside[1]) == unescape(inside[2]) == unescape(join(text))


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner)))
def test_no_content_ends_a_block_of_data(value: object) -> None:
    block = json_block("data", value)
    content = block.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert "<" not in content
    assert json.loads(content) == value


def test_elements() -> None:
    assert tag("br") == "<br>"
    assert tag("details", open=True, class_=None, data_rows="x") == '<details open data-rows="x"></details>'
    assert tag("p", Html("<b>bold</b>"), None, " & ", 3) == "<p><b>bold</b> &amp; 3</p>"


def test_a_table_shows_its_first_page_and_holds_all_rows() -> None:
    columns = (Column("name", "name"), Column("n", "sites", "count"), Column("x", "share", "percent"))
    rows = [{"name": f"<{i}>", "n": 1000 * i, "x": None if i else 0.5, "y": 1} for i in range(100)]
    made = table("things", columns, rows, caption="Things & more")
    assert made.count("<tr>") == 26
    assert "&lt;24&gt;" in made
    assert "&lt;25&gt;" not in made
    assert '<td class="right">24,000</td>' in made
    held = json.loads(made.split('id="things-rows">')[1].removesuffix("</script>"))
    assert len(held["rows"]) == 100
    assert held["rows"][0] == ["<0>", 0, 0.5]
    assert held["rows"][99] == ["<99>", 99000, None]


def test_columns_have_their_key_as_heading() -> None:
    columns = (*text_columns("name"), *count_columns("sites"), Column("x", "share", "percent"))
    made = table("things", columns, [{"name": "a", "sites": 1000, "x": 0.5}])
    held = json.loads(made.split('id="things-rows">')[1].removesuffix("</script>"))
    assert [(c["key"], c["title"], c["kind"]) for c in held["columns"]] == [
        ("name", "name", "text"),
        ("sites", "sites", "count"),
        ("x", "share", "percent"),
    ]
    assert '<td class="right">1,000</td>' in made


def test_parts_of_a_section_have_headings_and_links() -> None:
    parts = (Part("one", "First & best", Html("<p>1</p>")), Part("two", "Second", Html("2"), link="Short"))
    made = section(
        "s", "All", "a < b", *parts, Part("three", "Third", Html("3"), link=None), None, source="x"
    )
    assert made.body == (
        'a &lt; b<h3 id="s-one">First &amp; best</h3><p>1</p><h3 id="s-two">Second</h3>2'
        '<h3 id="s-three">Third</h3>3'
    )
    assert made.parts == (("s-one", "First & best"), ("s-two", "Short"))
    text = page("title", "lead", [made])
    assert '<a href="#s-two">Short</a>' in text
    assert "#s-three" not in text


def test_a_gallery_without_figures_is_left_out() -> None:
    assert gallery("none", []) is None
    assert "<summary>two</summary>" in str(gallery("two", [Html("<b>1</b>"), None]))


def test_values_are_formatted_by_column() -> None:
    assert [format_value(v, k) for v, k in ((1234, "count"), (0.1234, "percent"), (1.5, "length"))] == [
        "1,234",
        "12.3 %",
        "1.500",
    ]
    assert format_value(None, "count") == ""
    assert format_value("mp-1", "count") == "mp-1"
    assert format_value(0.00012345, "number") == "0.0001234"


SVG = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 10 10" width="10pt" onload="bad()">
<style>*{fill:red}</style><script>bad()</script><foreignObject><body onload="bad()"/></foreignObject>
<defs><clipPath id="c"><rect width="1"/></clipPath><path id="m" d="M 1.23456 2"/></defs>
<g id="unused" clip-path="url(#c)" onclick="bad()" style="fill: #0072B2; stroke: #ffffff">
<use xlink:href="#m"/><use xlink:href="https://example.org/x.svg#m"/><image href="https://example.org/a"/>
<a href="javascript:bad()"><text>link</text></a><text style="background: url(https://example.org)">1</text>
<text>one<tspan>two</tspan>three</text></g></svg>"""


def test_a_figure_keeps_shapes_and_text_and_nothing_that_acts() -> None:
    made = inline_svg(SVG, "f1", "a & b")
    for word in ("bad", "example", "script", "javascript", "foreign", "fill:red", "unused", "onload"):
        assert word not in made
    assert 'id="f1-m"' in made
    assert 'href="#f1-m"' in made
    assert "url(#f1-c)" in made
    assert "var(--blue)" in made
    assert "M 1.23 2" in made
    assert "a &amp; b" in made
    assert "one<tspan>two</tspan>three" in made
    with pytest.raises(DatasetError, match="no SVG"):
        inline_svg("<html/>", "f", "")
    with pytest.raises(DatasetError, match="no SVG"):
        inline_svg("<svg", "f", "")


def test_a_page_fetches_nothing_and_allows_its_own_scripts_alone() -> None:
    text = page("A <b>", "lead", [Section("one", "One", Html("<p>body</p>"), parts=(("two", "Two"),))])
    assert "<title>A &lt;b&gt;</title>" in text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert policy[1].count("sha256-") == len(re.findall(r"<script>", text))
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert '<a href="#two">Two</a>' in text
