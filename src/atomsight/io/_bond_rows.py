"""The rows of a CIF's bond table, and what they say as arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import BOND_TYPES
from atomsight.io._tags import unquoted

UNKNOWN = BOND_TYPES.index("unknown")

STAYS, MEANINGLESS = 0, -1
"""In place of the number of an operation: the atom stays where it is; the code cannot be read."""

_PREFIXES = ("_geom_bond_", "_geom_bond.")
_COLUMNS = ("atom_site_label_1", "atom_site_label_2", "site_symmetry_1", "site_symmetry_2", "distance")
_TYPE = "_ccdc_geom_bond_type"
_HERE = frozenset(("", ".", "?"))
"""Symmetry codes that leave an atom where it is."""

_CODE = re.compile(r"(\d+)(?:[_ ](\d)(\d)(\d))?$")
_WORDS = {
    word: kind
    for kind, words in (
        ("single", "s sing single 1"),
        ("double", "d doub double 2"),
        ("triple", "t trip triple 3"),
        ("quadruple", "q quad quadruple 4"),
        ("aromatic", "a arom aromatic 5"),
        ("delocalised", "delo delocalised delocalized 7"),
        ("pi", "pi 9"),
    )
    for word in words.split()
}
"""Bond types by their spellings: letters of Materials Studio and Mercury, words and numbers of the CSD."""


class BondTexts(NamedTuple):
    """The table as the file states it, value by value, and what is needed to read it.

    Attributes:
        labels: of both atoms, two lists of b strings.
        moves: symmetry codes of both atoms, two lists of b strings.
        lengths: b strings.
        kinds: at most b strings.
    """

    labels: tuple[list[str], list[str]]
    moves: tuple[list[str], list[str]]
    lengths: list[str]
    kinds: list[str]


class BondRows(NamedTuple):
    """The table's columns.

    Attributes:
        atoms: (b, 2) int64, rows of the atom list; -1 for a label that it has not, or has twice.
        moves: (b, 2, 4) int64, how each atom is moved: number of the operation, from 1 on, or `STAYS` or
            `MEANINGLESS`; then cells along each axis.
        lengths: (b,) float64, Å; NaN where none is stated.
        kinds: (b,) int64, places in `BOND_TYPES`.
    """

    atoms: NDArray[np.int64]
    moves: NDArray[np.int64]
    lengths: NDArray[np.float64]
    kinds: NDArray[np.int64]


def bond_texts(block: gemmi.cif.Block) -> BondTexts | None:
    """The bond table of a block, from loops or from single items; None where it has none."""
    if not block.find_values(_PREFIXES[0] + _COLUMNS[0]):
        return None
    columns: list[list[str]] = [[] for _ in _COLUMNS]
    for prefix in _PREFIXES:
        loop = block.find_loop(prefix + _COLUMNS[0]).get_loop()
        if loop is None:
            items = [block.find_value(prefix + name) for name in _COLUMNS]
            found = [[value] for value in items[:2] if value is not None]
            found += [["" if value is None else value] for value in items[2:]]
        else:
            # Taken at once: a call for each value costs more than all that is done with it.
            values, width, n = loop.values, loop.width(), loop.length()
            places = {tag.lower(): place for place, tag in enumerate(loop.tags)}
            wanted = [places.get(prefix + name) for name in _COLUMNS]
            found = [values[place::width] for place in wanted[:2] if place is not None]
            found += [[""] * n if place is None else values[place::width] for place in wanted[2:]]
        if len(found) == len(_COLUMNS):
            for column, part in zip(columns, found, strict=True):
                column += part
    one, two, here, there, lengths = columns
    return BondTexts((one, two), (here, there), lengths, list(block.find_values(_TYPE))[: len(one)])


def bond_rows(texts: BondTexts, labels: Sequence[str]) -> BondRows:
    """The columns of a bond table; `labels` are those of the atom list."""
    words = texts.kinds
    known = {word: BOND_TYPES.index(_WORDS.get(word.strip("'\"").lower(), "unknown")) for word in set(words)}
    kinds = np.full(len(texts.lengths), UNKNOWN)
    kinds[: len(words)] = [known[word] for word in words]
    row_of = {label: row for row, label in enumerate(labels)}
    if len(row_of) < len(labels):
        row_of = {label: row_of[label] for label, count in Counter(labels).items() if count == 1}
    ends = [[row_of.get(label, -1) for label in unquoted(end)] for end in texts.labels]
    moves = [[_move(code) for code in unquoted(codes)] for codes in texts.moves]
    return BondRows(
        np.array(ends, dtype=np.int64).reshape(2, -1).T.copy(),
        np.array(moves, dtype=np.int64).reshape(2, -1, 4).transpose(1, 0, 2).copy(),
        np.array([gemmi.cif.as_number(length) for length in texts.lengths], dtype=np.float64),
        kinds,
    )


@lru_cache(maxsize=4096)
def _move(code: str) -> tuple[int, int, int, int]:
    """A symmetry code as one of `BondRows.moves`."""
    if code in _HERE:
        return STAYS, 0, 0, 0
    match = _CODE.match(code)
    if match is None or not 0 < int(match.group(1)) < 10**9:
        return MEANINGLESS, 0, 0, 0
    a, b, c = (int(step or 5) - 5 for step in match.groups()[1:])
    return int(match.group(1)), a, b, c
