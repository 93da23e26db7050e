"""Atom rows straight from the text: the compiled way around a Python object for each value.

gemmi parses the file and says how many values the atom list has. When these are plain words (no quotes,
comments or text fields among them) they are, by the grammar of CIF, the blank-separated words that follow the
list's tags, and one pass over the bytes turns them into arrays. Anything else is left to
`atomsight.readers._atoms`, which takes the values from gemmi.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.elements import NUMBERS
from atomsight.readers._elements import DEUTERIUM
from atomsight.readers._numbers import POWERS, number

_X, _Y, _Z, _OCCUPANCY, _LABEL, _SYMBOL, _CALC_FLAG, _MARK = range(1, 9)
ROLES = {
    "_atom_site_fract_x": _X,
    "_atom_site_fract_y": _Y,
    "_atom_site_fract_z": _Z,
    "_atom_site_occupancy": _OCCUPANCY,
    "_atom_site_label": _LABEL,
    "_atom_site_type_symbol": _SYMBOL,
    "_atom_site_calc_flag": _CALC_FLAG,
    "_atom_site_disorder_group": _MARK,
    "_atom_site_disorder_assembly": _MARK,
}


NEEDED = frozenset((_X, _Y, _Z, _LABEL, _SYMBOL))
"""Columns without which a list is not plain."""


def _element_table() -> NDArray[np.int64]:
    table = np.zeros(27 * 27, np.int64)
    for symbol, z in NUMBERS.items():
        first, second = ord(symbol[0]) - 64, (ord(symbol[1]) - 96 if len(symbol) > 1 else 0)
        table[first * 27 + second] = DEUTERIUM if symbol in ("D", "T") else z
    return table


ELEMENTS = _element_table()
NOT_PLAIN, _PLAIN, HEAVY = 0, 1, 2


class AtomRows(NamedTuple):
    """An atom list's columns.

    Attributes:
        fractional: (n, 3) float64; NaN where a coordinate is unknown.
        occupancy: (n,) float64; 1 where it is unknown or there is none.
        numbers: (n,) uint8 atomic numbers.
        labels: (n, 2) int64, where each label begins and ends in the text.
        deuterium: whether some hydrogen was given as D or T.
    """

    fractional: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    labels: NDArray[np.int64]
    deuterium: bool


def scan(text: bytes, start: int, header: bytes, length: int) -> AtomRows | None:
    """The rows of an atom list.

    None where the list is not plain: dummies or disorder in it, quoted or unusual values, no labels or type
    symbols.

    Args:
        text: the whole file, ASCII.
        start: where one of the list's tags begins, or its first value.
        header: the list's tags in order, blanks between them.
        length: its number of rows.
    """
    roles = roles_of(header)
    if roles is None:
        return None
    fractional, occupancy = np.empty((length, 3)), np.ones(length)
    numbers, labels = np.empty(length, np.uint8), np.empty((length, 2), np.int64)
    data = np.frombuffer(text, np.uint8)
    verdict = scan_rows(data, start, roles, ELEMENTS, POWERS, fractional, occupancy, numbers, labels)
    if verdict == NOT_PLAIN:
        return None
    return AtomRows(fractional, occupancy, numbers, labels, verdict == HEAVY)


@lru_cache(maxsize=256)
def roles_of(header: bytes) -> NDArray[np.int64] | None:
    """What each column is; None where one that is needed is missing. Files share few lists of tags."""
    roles = np.array([ROLES.get(tag, 0) for tag in header.decode("ascii").lower().split()], np.int64)
    return roles if set(roles.tolist()) >= NEEDED else None


@compiled
def scan_rows(
    data: NDArray[np.uint8],
    at: int,
    roles: NDArray[np.int64],
    element_table: NDArray[np.int64],
    powers: NDArray[np.float64],
    fractional: NDArray[np.float64],
    occupancy: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    labels: NDArray[np.int64],
) -> int:
    """Fill the columns of `AtomRows`, occupancies only where they are stated.

    Returns:
        `NOT_PLAIN`, or `HEAVY` where there is deuterium, or neither.
    """
    size = len(data)
    width = len(roles)
    row, column = 0, 0
    started = False
    verdict = _PLAIN
    while row < len(numbers):
        while at < size and data[at] <= 32:
            at += 1
        if at == size:
            return NOT_PLAIN
        begin = at
        first = data[begin]
        if first == 34 or first == 39 or first == 35 or first == 59:  # " ' # ;
            return NOT_PLAIN
        role = roles[column]
        if started and 0 < role <= _OCCUPANCY:
            value, at = number(data, begin, size, powers)
            if at < 0:
                return NOT_PLAIN
            if role < _OCCUPANCY:
                fractional[row, role - 1] = value
            elif not np.isnan(value):
                occupancy[row] = value
        else:
            while at < size and data[at] > 32:
                at += 1
            if not started:
                if first == 95:  # _ : still the list's tags
                    continue
                started = True
                at = begin
                continue
            if role == _LABEL:
                labels[row, 0] = begin
                labels[row, 1] = at
            elif role == _SYMBOL:
                element = _element(data, begin, at, element_table)
                if element == 0:
                    return NOT_PLAIN
                if element == DEUTERIUM:
                    verdict = HEAVY
                    element = 1
                numbers[row] = element
            elif role == _CALC_FLAG:
                if at - begin == 3 and (first == 100 or first == 68):  # dum, Dum; d alone is "determined"
                    return NOT_PLAIN
            elif role == _MARK and (at - begin != 1 or not (first == 46 or first == 63 or first == 48)):
                return NOT_PLAIN  # neither . nor ? nor 0: disordered
        column += 1
        if column == width:
            column = 0
            row += 1
    return verdict


@compiled
def _element(data: NDArray[np.uint8], begin: int, end: int, table: NDArray[np.int64]) -> int:
    """Atomic number of ``C``, ``Zn``, ``ZN``, ``O2-``; 0 for anything longer or stranger."""
    first = (data[begin] & 0xDF) - 64
    if not (data[begin] >= 65 and 1 <= first <= 26):
        return 0
    second = 0
    at = begin + 1
    if at < end and data[at] >= 65:
        second = (data[at] & 0xDF) - 64
        if not 1 <= second <= 26:
            return 0
        at += 1
    if at < end and data[at] >= 65:
        return 0
    return table[first * 27 + second]
