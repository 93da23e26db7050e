"""The frame of a page: head, navigation, style and scripts in one file that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from atomsight.report.components.html import Html, join, tag

SCRIPTS = ("page.js", "table.js", "confusion.js", "mistakes.js")


@dataclass(frozen=True)
class Section:
    """A part of a page with an entry in its navigation.

    Attributes:
        identifier: of the element; unique in the page.
        title: its heading.
        body: what it holds.
        source: path or name of what it tells of.
        cites: names of works in `atomsight.citations` behind what is computed for the page itself.
        parts: (identifier, title) of headings inside, for the navigation.
    """

    identifier: str
    title: str
    body: Html
    source: str = ""
    cites: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = field(default=())


def asset(name: str) -> str:
    """A style sheet or script of this folder: what every page of atomsight shares."""
    return files("atomsight.report.components").joinpath(name).read_text(encoding="utf-8")


def heading(identifier: str, title: object) -> Html:
    """A heading inside a section that the navigation can lead to."""
    return tag("h3", title, id=identifier)


def page(title: str, lead: object, sections: Sequence[Section]) -> str:
    """A whole page as text.

    Its Content-Security-Policy allows the page's own scripts, by their hashes, and nothing else: it cannot
    reach a network, and text that should turn out to be a script would not run.
    """
    scripts = [asset(name) for name in SCRIPTS]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(asset("page.css"))),
    )
    links = tag(
        "nav",
        tag("ul", *(_link(section) for section in sections)),
        aria_label="Contents",
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag(
            "header",
            tag("div", tag("h1", title), tag("p", lead), class_="headline"),
            tag("button", "Dark", type="button", id="theme", hidden=True),
        ),
        tag("div", links, tag("main", *map(_section, sections), id="content"), class_="columns"),
        *(tag("script", Html(text)) for text in scripts),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en-GB')}\n"


def _link(section: Section) -> Html:
    inner = [tag("li", tag("a", title, href=f"#{identifier}")) for identifier, title in section.parts]
    return tag(
        "li",
        tag("a", section.title, href=f"#{section.identifier}"),
        tag("ul", *inner) if inner else None,
    )


def _section(section: Section) -> Html:
    return tag(
        "section",
        tag("h2", section.title),
        tag("p", tag("code", section.source), class_="source") if section.source else None,
        join(section.body),
        id=section.identifier,
        aria_label=section.title,
    )
