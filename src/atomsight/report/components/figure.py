"""Figures inside a page: Matplotlib's SVG made part of it, so that text stays text and colours follow light
and dark; pictures as data URIs."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from atomsight.core.errors import DatasetError
from atomsight.report.components.html import Html, join, tag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = set("svg g defs clipPath path use rect circle ellipse line polyline polygon text tspan".split())
_COLOURS = {
    "#ffffff": "paper",
    "white": "paper",
    "#222222": "ink",
    "#000000": "ink",
    "#8c8c8c": "mute",
    "#b0b0b0": "mute",
    "#e3e3e3": "rule",
    "#e6e6e6": "rule",
    "#e9e9e9": "wash",
    "#efefef": "wash",
    "#f4f4f4": "wash",
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#9cc7e3": "pale-blue",
    "#bfd9ea": "pale-blue",
    "#8dbfe0": "pale-blue",
    "#f0b48f": "pale-orange",
}
"""Colours of the figures' look, and the variables of ``page.css`` that stand for them."""

_COLOUR = re.compile("|".join(sorted(map(re.escape, _COLOURS), key=len, reverse=True)), re.IGNORECASE)
_LONG = re.compile(r"-?\d+\.\d{3,}")


def draw(figure: Figure) -> str:
    """A Matplotlib figure as SVG."""
    from atomsight.plots.style import look

    target = io.StringIO()
    with look():
        figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()


def inline_svg(text: str, name: str, label: str) -> Html:
    """An SVG as a part of the page.

    Only shapes and text are taken over: no script, style sheet, embedded document or link survives, so that a
    file from elsewhere can do no harm. Identifiers get the name in front, because a page holds many figures.

    Args:
        text: the SVG.
        name: of the figure, unique in the page; letters, digits and hyphens.
        label: what it shows, for those who do not see it.

    Raises:
        DatasetError: it is no SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DatasetError(f"the figure {name} is no SVG ({error})") from error
    if root.tag != f"{_SVG}svg":
        raise DatasetError(f"the figure {name} is no SVG")
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    body = "".join(_written(child, name, referred) for child in root)
    box = root.get("viewBox", "0 0 600 400")
    width = re.match(r"[\d.]+", root.get("width", ""))
    size = f"max-width:{float(width[0]) * 1.25:.0f}px" if width else None
    svg = tag("svg", Html(body), viewBox=box, role="img", aria_label=label, style=size, class_="figure")
    return Html(svg)


def _written(element: ElementTree.Element, name: str, referred: set[str]) -> str:
    kind = element.tag.removeprefix(_SVG) if isinstance(element.tag, str) else ""
    if kind not in _ELEMENTS:
        return ""
    attributes: dict[str, object] = {}
    for key, value in element.attrib.items():
        if key == "id":
            if value in referred:
                attributes["id"] = f"{name}-{value}"
        elif key in (_HREF, "href"):
            if value.startswith("#"):
                attributes["href"] = f"#{name}-{value[1:]}"
        elif key == "class" or key.startswith(("{", "on")) or re.search(r"(?i)url\((?!#)", value):
            continue
        else:
            value = _LONG.sub(lambda m: f"{float(m[0]):.2f}", value)
            value = value.replace("url(#", f"url(#{name}-")
            attributes[key] = _COLOUR.sub(lambda m: f"var(--{_COLOURS[m[0].lower()]})", value)
    # A presentation attribute takes no variable; the same in the style does.
    for key in ("fill", "stroke"):
        if "var(" in str(attributes.get(key, "")):
            attributes["style"] = f"{key}:{attributes.pop(key)};{attributes.get('style', '')}"
    speaks = kind in ("text", "tspan")
    parts: list[object] = [element.text] if speaks else []
    for child in element:
        parts.append(Html(_written(child, name, referred)))
        if speaks:
            parts.append(child.tail)
    return tag(kind, *parts, **attributes)


def framed(picture: Html, caption: object = "") -> Html:
    """A figure with what it shows below it."""
    return tag("figure", picture, tag("figcaption", caption) if caption else None)


def picture(path: Path, name: str, label: str, caption: object = "") -> Html | None:
    """A figure that a command wrote: ``path`` without its suffix; SVG where there is one, else PNG, else
    None."""
    vector, pixels = path.with_name(f"{path.name}.svg"), path.with_name(f"{path.name}.png")
    if vector.is_file():
        return framed(inline_svg(vector.read_text(encoding="utf-8"), name, label), caption)
    if pixels.is_file():
        data = base64.b64encode(pixels.read_bytes()).decode("ascii")
        return framed(
            tag("img", src=f"data:image/png;base64,{data}", alt=label, class_="paper", decoding="async"),
            caption,
        )
    return None


def drawn(figure: Figure, name: str, label: str, caption: object = "") -> Html:
    """A Matplotlib figure in a frame."""
    return framed(inline_svg(draw(figure), name, label), caption)


def folded(summary: object, *children: object, open_: bool = False) -> Html:
    """Parts behind a line that opens them."""
    return tag("details", tag("summary", summary), join(*children), open=open_)
