"""The rows of a CIF's bond table as arrays: in one pass over the text where it is plain, else from gemmi."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.crystal import BOND_TYPES
from atomsight.readers._atoms import AtomTable, Words
from atomsight.readers._block import Block, Loop, header_of, start_of
from atomsight.readers._hash import word_hash
from atomsight.readers._numbers import POWERS, number

UNKNOWN = BOND_TYPES.index("unknown")

STAYS, MEANINGLESS = 0, -1
"""In place of the number of an operation: the atom stays where it is; the code cannot be read."""

_PREFIXES = ("_geom_bond_", "_geom_bond.")
_LABEL_1, _LABEL_2 = "atom_site_label_1", "atom_site_label_2"
_TYPE = "_ccdc_geom_bond_type"
_ROLES = {
    "_geom_bond_atom_site_label_1": 1,
    "_geom_bond_atom_site_label_2": 2,
    "_geom_bond_site_symmetry_1": 3,
    "_geom_bond_site_symmetry_2": 4,
    "_geom_bond_distance": 5,
    _TYPE: 6,
}
_HERE = frozenset(("", ".", "?"))
"""Symmetry codes that leave an atom where it is."""

_QUOTES = ("'", '"', ";")
_CODE = re.compile(r"(\d+)(?:[_ ](\d)(\d)(\d))?$")
_WORDS = {
    "s": "single",
    "sing": "single",
    "single": "single",
    "1": "single",
    "d": "double",
    "doub": "double",
    "double": "double",
    "2": "double",
    "t": "triple",
    "trip": "triple",
    "triple": "triple",
    "3": "triple",
    "q": "quadruple",
    "quad": "quadruple",
    "quadruple": "quadruple",
    "4": "quadruple",
    "a": "aromatic",
    "arom": "aromatic",
    "aromatic": "aromatic",
    "5": "aromatic",
    "delo": "delocalised",
    "delocalised": "delocalised",
    "delocalized": "delocalised",
    "7": "delocalised",
    "pi": "pi",
    "9": "pi",
}
"""Spellings of a bond type: the letters that Materials Studio and Mercury write, the words and numbers of
the CSD."""


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


def bond_rows(block: Block, table: AtomTable, text: bytes = b"") -> BondRows | None:
    """The bond table of a block; None where it has none.

    Args:
        block: the data block.
        table: its atom list.
        text: the file, ASCII; lets a plain table be read at once instead of value by value.
    """
    column = block.find_loop(_PREFIXES[0] + _LABEL_1)
    if not column and not block.find_value(_PREFIXES[0] + _LABEL_1):
        return None
    loop = column.get_loop() if column else None
    if loop is not None and text and not _elsewhere(block, loop):
        found = _scanned(loop, table, text)
        if found is not None:
            return found
    return _by_value(block, table)


def _elsewhere(block: Block, loop: Loop) -> bool:
    """Whether the block holds bonds or their types outside of this list."""
    other = _PREFIXES[1] + _LABEL_1
    if block.find_loop(other) or block.find_value(other):
        return True
    return bool(_TYPE not in loop.tags and (block.find_loop(_TYPE) or block.find_value(_TYPE)))


def _scanned(loop: Loop, table: AtomTable, text: bytes) -> BondRows | None:
    """The rows from the text; None where table or text are not plain."""
    labels = table.labels
    if not isinstance(labels, Words) or labels.text is not text:
        return None
    roles, start = _roles(header_of(loop)), start_of(loop, loop.tags[0], text)
    if roles is None or start < 0:
        return None
    n = loop.length()
    atoms, moves = np.full((n, 2), -1), np.zeros((n, 2, 4), np.int64)
    lengths, kinds = np.full(n, np.nan), np.full(n, UNKNOWN)
    data = np.frombuffer(text, np.uint8)
    plain = _scan(data, start, roles, labels.spans, *_hashes(), POWERS, atoms, moves, lengths, kinds)
    return BondRows(atoms, moves, lengths, kinds) if plain else None


@lru_cache(maxsize=256)
def _roles(header: bytes) -> NDArray[np.int64] | None:
    """What each column is; None without both labels, or with a column twice."""
    roles = [_ROLES.get(tag, 0) for tag in header.decode("ascii").lower().split()]
    met = [role for role in roles if role]
    return np.array(roles, np.int64) if {1, 2} <= set(met) and len(set(met)) == len(met) else None


@lru_cache(maxsize=1)
def _hashes() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the words for types, and the types."""
    words = [np.frombuffer(word.encode(), np.uint8) for word in _WORDS]
    kinds = [BOND_TYPES.index(kind) for kind in _WORDS.values()]
    return np.array([word_hash(word, 0, len(word), True) for word in words], np.uint64), np.array(kinds)


@compiled
def _same(data: NDArray[np.uint8], one: int, end: int, other: int, other_end: int) -> bool:
    if end - one != other_end - other:
        return False
    step = 0
    while step < end - one and data[one + step] == data[other + step]:
        step += 1
    return step == end - one


@compiled
def _scan(
    data: NDArray[np.uint8],
    at: int,
    roles: NDArray[np.int64],
    labels: NDArray[np.int64],
    words: NDArray[np.uint64],
    word_kinds: NDArray[np.int64],
    powers: NDArray[np.float64],
    atoms: NDArray[np.int64],
    moves: NDArray[np.int64],
    lengths: NDArray[np.float64],
    kinds: NDArray[np.int64],
) -> bool:
    """Fill the columns from the words that follow the list's tags; whether all were plain."""
    room = 8
    while room < 2 * len(labels):
        room *= 2
    held = np.full(room, -1, np.int64)  # rows of the atom list by the hashes of their labels
    twice = np.zeros(len(labels), np.bool_)
    for row in range(len(labels)):
        begin, end = labels[row]
        place = np.int64(word_hash(data, begin, end, False) & np.uint64(room - 1))
        while held[place] >= 0 and not _same(
            data, begin, end, labels[held[place], 0], labels[held[place], 1]
        ):
            place = (place + 1) & (room - 1)
        if held[place] >= 0:
            twice[held[place]] = True
        else:
            held[place] = row

    size, width = len(data), len(roles)
    row, column = 0, 0
    started = False
    while row < len(lengths):
        while at < size and data[at] <= 32:
            at += 1
        if at == size:
            return False
        begin = at
        first = data[begin]
        if first == 34 or first == 39 or first == 35 or first == 59:  # " ' # ;
            return False
        while at < size and data[at] > 32:
            at += 1
        if not started:
            if first == 95:  # _ : still the list's tags
                continue
            started = True
        role = roles[column]
        if role == 1 or role == 2:
            place = np.int64(word_hash(data, begin, at, False) & np.uint64(room - 1))
            while held[place] >= 0:
                atom = held[place]
                if _same(data, begin, at, labels[atom, 0], labels[atom, 1]):
                    atoms[row, role - 1] = -1 if twice[atom] else atom
                    break
                place = (place + 1) & (room - 1)
        elif role == 3 or role == 4:
            _code(data, begin, at, moves[row, role - 3])
        elif role == 5:
            lengths[row], end = number(data, begin, size, powers)
            if end < 0:
                return False
        elif role == 6:
            word = word_hash(data, begin, at, True)
            for which in range(len(words)):
                if words[which] == word:
                    kinds[row] = word_kinds[which]
        column += 1
        if column == width:
            column = 0
            row += 1
    return True


@compiled
def _code(data: NDArray[np.uint8], begin: int, end: int, move: NDArray[np.int64]) -> None:
    """A symmetry code such as ``3_655``, ``3`` or ``.`` as one of `BondRows.moves`."""
    if end - begin == 1 and (data[begin] == 46 or data[begin] == 63):
        return
    at, operation = begin, 0
    while at < end and 48 <= data[at] <= 57 and at - begin < 9:
        operation = 10 * operation + (data[at] - 48)
        at += 1
    plain = operation > 0
    if plain and at < end:
        plain = end - at == 4 and data[at] == 95
        for axis in range(3):
            if plain and 48 <= data[at + 1 + axis] <= 57:
                move[1 + axis] = data[at + 1 + axis] - 53
            else:
                plain = False
    move[0] = operation if plain else MEANINGLESS


def _by_value(block: Block, table: AtomTable) -> BondRows:
    """The rows of any block: values one by one, from loops or from single items."""
    names = (_LABEL_1, _LABEL_2, "site_symmetry_1", "site_symmetry_2", "distance")
    columns: list[list[str]] = [[] for _ in names]
    for prefix in _PREFIXES:
        loop = block.find_loop(prefix + names[0]).get_loop()
        if loop is None:
            items = [block.find_value(prefix + name) for name in names]
            found = [[value] for value in items[:2] if value is not None]
            found += [["" if value is None else value] for value in items[2:]]
            n = 1
        else:
            # Taken at once: a call for each value costs more than all that is done with it.
            values, width, n = loop.values, loop.width(), loop.length()
            places = {tag.lower(): place for place, tag in enumerate(loop.tags)}
            wanted = [places.get(prefix + name) for name in names]
            found = [values[place::width] for place in wanted[:2] if place is not None]
            found += [[""] * n if place is None else values[place::width] for place in wanted[2:]]
        if len(found) == len(names):
            for column, part in zip(columns, found, strict=True):
                column += part
    one, two, here, there, lengths = columns
    words = list(block.find_values(_TYPE))[: len(one)]
    known = {word: BOND_TYPES.index(_WORDS.get(word.strip("'\"").lower(), "unknown")) for word in set(words)}
    kinds = np.full(len(one), UNKNOWN)
    kinds[: len(words)] = [known[word] for word in words]
    labels = tuple(table.labels)
    row_of = {label: row for row, label in enumerate(labels)}
    if len(row_of) < len(labels):
        row_of = {label: row_of[label] for label, count in Counter(labels).items() if count == 1}
    ends = [[row_of.get(label, -1) for label in _plain(end)] for end in (one, two)]
    moves = [[_move(code) for code in _plain(codes)] for codes in (here, there)]
    return BondRows(
        np.array(ends, dtype=np.int64).reshape(2, -1).T.copy(),
        np.array(moves, dtype=np.int64).reshape(2, -1, 4).transpose(1, 0, 2).copy(),
        np.array([gemmi.cif.as_number(length) for length in lengths], dtype=np.float64),
        kinds,
    )


def _plain(values: list[str]) -> list[str]:
    """Values without their quotes."""
    return [gemmi.cif.as_string(value) if value[:1] in _QUOTES else value for value in values]


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
