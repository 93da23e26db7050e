"""The data block of a plain CIF, found in one compiled pass (`_walk`); it stands in for gemmi's.

gemmi makes an object of every value of a file. Of these a crystal needs a few dozen and the rows of two
lists, which are read from the text (`_scan`, `_bond_rows`). A file that the pass refuses is gemmi's, and so
are all complaints.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.readers._numbers import POWERS
from atomsight.readers._walk import CELL, FIELDS, LOOP_FIELDS, LOOPS, TAGS, spans_of_values, walk, wanted

_PLACES = {tag: place for place, tag in enumerate(TAGS)}


class PlainLoop:
    """A list of a block, with what is used of ``gemmi.cif.Loop``."""

    def __init__(self, text: bytes, tags_begin: int, begin: int, width: int, length: int) -> None:
        self.text = text
        self.begin = begin
        self._tags_begin = tags_begin
        self._width = width
        self._length = length

    @property
    def header(self) -> bytes:
        """The tags as they are written, blanks between them."""
        return self.text[self._tags_begin : self.begin]

    @cached_property
    def tags(self) -> list[str]:
        """The tags in order, as they are written."""
        return self.header.decode("ascii").split()

    @cached_property
    def values(self) -> list[str]:
        """All values, row after row, with their quotes."""
        spans = np.empty((self._width * self._length, 2), np.int64)
        spans_of_values(np.frombuffer(self.text, np.uint8), self.begin, spans)
        first, last = spans[0, 0], spans[-1, 1]
        text = self.text[first:last].decode("ascii")
        return [text[begin:end] for begin, end in (spans - first).tolist()]

    def width(self) -> int:
        """Number of tags."""
        return self._width

    def length(self) -> int:
        """Number of rows."""
        return self._length


class PlainColumn:
    """The values of a tag, with what is used of ``gemmi.cif.Column``."""

    __slots__ = ("_column", "_loop", "_value")

    def __init__(self, loop: PlainLoop | None, column: int, value: str | None = None) -> None:
        self._loop = loop
        self._column = column
        self._value = value

    def get_loop(self) -> PlainLoop | None:
        """The list that the tag is in."""
        return self._loop

    def __len__(self) -> int:
        return self._value is not None if self._loop is None else self._loop.length()

    def __iter__(self) -> Iterator[str]:
        if self._loop is not None:
            return iter(self._loop.values[self._column :: self._loop.width()])
        return iter(() if self._value is None else (self._value,))


_NONE = PlainColumn(None, 0)


class PlainBlock:
    """A data block, with what is used of ``gemmi.cif.Block``; only `TAGS` can be looked up.

    Attributes:
        name: the block's.
        cell: (6,) float64, NaN for what is missing or not plainly a number.
    """

    def __init__(self, text: bytes, name: str, cell: NDArray[np.float64], found: list[int]) -> None:
        self.text = text
        self.name = name
        self.cell = cell
        self._found = found
        self._loops: dict[int, PlainLoop] = {}

    def find_value(self, tag: str) -> str | None:
        """The value of a tag with its quotes, also that of a list's only row; None for none."""
        at = FIELDS * _PLACES[tag]
        begin, end, which = self._found[at : at + FIELDS]
        if which < 0:
            return None if begin < 0 else self.text[begin:end].decode("ascii")
        loop = self._loop(which)
        return loop.values[begin] if loop.length() == 1 else None

    def find_values(self, tag: str) -> PlainColumn:
        """The values of a tag."""
        at = FIELDS * _PLACES[tag]
        begin, end, which = self._found[at : at + FIELDS]
        if which >= 0:
            return PlainColumn(self._loop(which), begin)
        return _NONE if begin < 0 else PlainColumn(None, 0, self.text[begin:end].decode("ascii"))

    def find_loop(self, tag: str) -> PlainColumn:
        """The values of a tag where it is in a list."""
        at = FIELDS * _PLACES[tag]
        which = self._found[at + 2]
        return _NONE if which < 0 else PlainColumn(self._loop(which), self._found[at])

    def _loop(self, which: int) -> PlainLoop:
        loop = self._loops.get(which)
        if loop is None:
            at = FIELDS * len(TAGS) + LOOP_FIELDS * which
            loop = self._loops[which] = PlainLoop(self.text, *self._found[at : at + LOOP_FIELDS])
        return loop


Block = PlainBlock | gemmi.cif.Block
Loop = PlainLoop | gemmi.cif.Loop


def header_of(loop: Loop) -> bytes:
    """The tags of a list, blanks between them."""
    return loop.header if isinstance(loop, PlainLoop) else " ".join(loop.tags).encode()


def start_of(loop: Loop, tag: str, text: bytes) -> int:
    """Where in the text a list is to be read from: its first value, or one of its tags; -1 for unknown.

    Args:
        loop: the list.
        tag: one of its tags, as files write it.
        text: the whole file.
    """
    if isinstance(loop, PlainLoop):
        return loop.begin
    word = tag.encode()
    start = text.find(word)
    return start if start < 0 or text.find(word, start + len(word)) < 0 else -1


def plain_block(text: bytes) -> PlainBlock | None:
    """The only data block of a file; None where gemmi is to read it.

    Args:
        text: the whole file, ASCII.
    """
    cell = np.empty(len(CELL))
    found = np.empty(FIELDS * len(TAGS) + LOOP_FIELDS * LOOPS, np.int64)
    name_begin, name_end = walk(np.frombuffer(text, np.uint8), *wanted(), POWERS, cell, found)
    if name_begin < 0:
        return None
    return PlainBlock(text, text[name_begin:name_end].decode("ascii"), cell, found.tolist())
