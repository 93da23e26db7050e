"""Figures inside a page, as SVG elements or as PNG data URIs.

Matplotlib's SVG becomes a part of the page, so that text can be selected and colours follow its theme.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from atomsight.core.errors import DatasetError
from atomsight.report.components.html import Html, tag

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
"""Colours of the figures, and the variables of ``page.css`` that replace them."""

_COLOUR = re.compile("|".join(sorted(map(re.escape, _COLOURS), key=len, reverse=True)), re.IGNORECASE)
_LONG = re.compile(r"-?\d+\.\d{3,}")


def to_svg(figure: Figure) -> str:
    """Return a Matplotlib figure as SVG."""
    from atomsight.plots.style import look

    target = io.StringIO()
    with look():
        figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()


def inline_svg(text: str, name: str, label: str) -> Html:
    """Make an SVG a part of the page.

    Only shapes and text are kept. Scripts, style sheets, embedded documents and links are removed, so that a
    file from another source can do no harm. Identifiers get the name as a prefix, because a page holds many
    figures.

    Args:
        text: The SVG.
        name: Name of the figure, unique in the page: letters, digits and hyphens.
        label: Description of the figure for readers who do not see it.

    Raises:
        DatasetError: The text is no SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DatasetError(f"the figure {name} is no SVG ({error})") from error
    if root.tag != f"{_SVG}svg":
        raise DatasetError(f"the figure {name} is no SVG")
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    body = "".join(_copy(child, name, referred) for child in root)
    box = root.get("viewBox", "0 0 600 400")
    width = re.match(r"[\d.]+", root.get("width", ""))
    size = f"max-width:{float(width[0]) * 1.25:.0f}px" if width else None
    return tag("svg", Html(body), viewBox=box, role="img", aria_label=label, style=size, class_="figure")


def _copy(element: ElementTree.Element, name: str, referred: set[str]) -> str:
    """Return the markup of an element with its children, with what is allowed and nothing else."""
    word = element.tag.removeprefix(_SVG) if isinstance(element.tag, str) else ""
    if word not in _ELEMENTS:
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
    has_text = word in ("text", "tspan")
    parts: list[object] = [element.text] if has_text else []
    for child in element:
        parts.append(Html(_copy(child, name, referred)))
        if has_text:
            parts.append(child.tail)
    return tag(word, *parts, **attributes)


def picture(path: Path, name: str, label: str, caption: object = "") -> Html | None:
    """Show a figure that a command wrote.

    Args:
        path: The file without its suffix. An SVG is preferred to a PNG.
        name: See `inline_svg`.
        label: See `inline_svg`.
        caption: Text below the figure.

    Returns:
        The figure; None if there is no such file.
    """
    vector, pixels = path.with_name(f"{path.name}.svg"), path.with_name(f"{path.name}.png")
    if vector.is_file():
        return _frame(inline_svg(vector.read_text(encoding="utf-8"), name, label), caption)
    if pixels.is_file():
        source = f"data:image/png;base64,{base64.b64encode(pixels.read_bytes()).decode('ascii')}"
        return _frame(tag("img", src=source, alt=label, class_="paper", decoding="async"), caption)
    return None


def plot(figure: Figure, name: str, label: str, caption: object = "") -> Html:
    """Show a Matplotlib figure, see `inline_svg`."""
    return _frame(inline_svg(to_svg(figure), name, label), caption)


def details(summary: object, *children: object) -> Html:
    """Hide parts behind a line that opens them."""
    return tag("details", tag("summary", summary), *children)


def gallery(summary: str, figures: Sequence[Html | None]) -> Html | None:
    """Hide several figures behind a line that opens them; None if there are none."""
    return details(summary, tag("div", *figures, class_="gallery")) if figures else None


def _frame(image: Html, caption: object) -> Html:
    return tag("figure", image, tag("figcaption", caption) if caption else None)
