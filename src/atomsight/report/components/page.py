"""A page with head, navigation, style and scripts in one file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from atomsight.report.components.html import Html, join, tag

SCRIPTS = ("page.js", "table.js", "confusion.js", "mistakes.js")


@dataclass(frozen=True)
class Section:
    """A section of a page with an entry in its navigation.

    Attributes:
        identifier: Identifier of the element, unique in the page.
        title: Heading.
        body: Content.
        source: Path or name of the object that it describes.
        cites: Names of works in `atomsight.citations` that are used only for the page.
        parts: (identifier, title) of the headings inside, for the navigation.
    """

    identifier: str
    title: str
    body: Html
    source: str = ""
    cites: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()


class Part(NamedTuple):
    """A part of a section with a heading.

    Attributes:
        name: Name of the part, unique in the section.
        title: Heading.
        body: Content.
        link: Text in the navigation. By default it is the heading; None leaves the part out.
    """

    name: str
    title: str
    body: Html
    link: str | None = ""


def section(
    identifier: str, title: str, *children: object, source: object = "", cites: tuple[str, ...] = ()
) -> Section:
    """Make a section, with a heading and an entry in the navigation for each child that is a `Part`."""
    body: list[object] = []
    links = []
    for child in children:
        if isinstance(child, Part):
            name = f"{identifier}-{child.name}"
            body += [tag("h3", child.title, id=name), child.body]
            if child.link is not None:
                links.append((name, child.link or child.title))
        else:
            body.append(child)
    return Section(identifier, title, join(*body), str(source), cites, tuple(links))


def asset(name: str) -> str:
    """Read a style sheet or script that all pages of atomsight share."""
    return files("atomsight.report.components").joinpath(name).read_text(encoding="utf-8")


def page(title: str, lead: object, sections: Sequence[Section]) -> str:
    """Make a page as text.

    Its Content-Security-Policy allows the page's own scripts, by their hashes, and nothing else. The page
    cannot reach a network, and no text from a file can run as a script.
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
    links = tag("nav", tag("ul", *map(_link, sections)), aria_label="Contents")
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
    head = tag("a", section.title, href=f"#{section.identifier}")
    return tag("li", head, tag("ul", *inner) if inner else None)


def _section(section: Section) -> Html:
    return tag(
        "section",
        tag("h2", section.title),
        tag("p", tag("code", section.source), class_="source") if section.source else None,
        join(section.body),
        id=section.identifier,
        aria_label=section.title,
    )
