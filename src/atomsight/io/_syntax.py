"""Bytes to parsed CIF blocks (encodings, repair of the most frequent fault), and values of a block."""

from __future__ import annotations

import codecs
import re
import unicodedata

import gemmi

from atomsight.io.policy import SkipError

UNKNOWN = ("?", ".")
"""How a CIF says that a value is unknown, or does not apply."""

_QUOTES = ("'", '"', ";")

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

# A tag with a value that is not quoted and holds a blank: `_symmetry_space_group_name_H-M    P 1`. A second
# tag on the line is legal CIF and left alone.
_UNQUOTED = re.compile(
    r"^([ \t]*_\S+[ \t]+)([^\s'\"#$_;\[\]][^\r\n]*?[ \t]+[^\s_#][^\r\n]*?)([ \t]*\r?)$", re.MULTILINE
)
_TEXT_FIELD = re.compile(r"^;.*?^;", re.MULTILINE | re.DOTALL)


def ascii_bytes(data: bytes) -> bytes:
    """The text as ASCII bytes, all that CIF 1.1 allows: accents are dropped, other characters become ``?``.

    Understands UTF-8 with and without a byte-order mark, UTF-16 with one, and Latin-1.

    Raises:
        SkipError: ``not_text`` for bytes that are no text.
    """
    if data.isascii() and b"\0" not in data:
        return data
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if "\0" in text:
        text = "the file holds null bytes: it is no text, or text of an unknown encoding"
        raise SkipError("not_text", text)
    return unicodedata.normalize("NFKD", text).encode("ascii", "replace")


def quote_values(text: str) -> str:
    """Put quotes around values with blanks that lack them, outside of text fields."""
    fields = [match.span() for match in _TEXT_FIELD.finditer(text)]

    def quoted(match: re.Match[str]) -> str:
        head, value, tail = match.groups()
        if re.search(r"\s_", value) or any(start < match.start() < end for start, end in fields):
            return match.group(0)
        mark = '"' if "'" in value else "'"
        return f"{head}{mark}{value}{mark}{tail}"

    return _UNQUOTED.sub(quoted, text)


def parse(data: bytes) -> tuple[gemmi.cif.Document, bool]:
    """The parsed file, and whether it had to be repaired first.

    Raises:
        SkipError: ``not_text``, or ``syntax`` with the parser's words.
    """
    text = ascii_bytes(data)
    try:
        return gemmi.cif.read_string(text), False
    except (ValueError, RuntimeError) as error:
        complaint = str(error).removeprefix("data:")
    repaired = quote_values(text.decode("ascii"))
    try:
        return gemmi.cif.read_string(repaired), True
    except (ValueError, RuntimeError):
        raise SkipError("syntax", f"not a valid CIF: line {complaint}") from None


def text_of(block: gemmi.cif.Block, tag: str) -> str | None:
    """The value of a tag without its quotes; None where it is missing, unknown or empty."""
    value = block.find_value(tag)
    return None if value is None or value in UNKNOWN else gemmi.cif.as_string(value).strip() or None


def unquoted(values: list[str]) -> list[str]:
    """Values without their quotes."""
    return [gemmi.cif.as_string(value) if value[:1] in _QUOTES else value for value in values]
