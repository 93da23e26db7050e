"""Atom rows straight from the text: the compiled way around a Python object for each value.

gemmi parses the file and says how many values the atom list has. When these are plain words (no quotes,
comments or text fields among them) they are, by the grammar of CIF, the blank-separated words that follow the
list's tags, and one pass over the bytes turns them into arrays. Anything else is left to
`atomsight.readers._atoms`, which takes the values from gemmi.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.elements import NUMBERS
from atomsight.readers._elements import DEUTERIUM

_TAG = b"_atom_site_fract_x"
_X, _Y, _Z, _OCCUPANCY, _LABEL, _SYMBOL, _CALC_FLAG, _MARK = range(1, 9)
_ROLES = {
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


def _element_table() -> NDArray[np.int64]:
    table = np.zeros(27 * 27, np.int64)
    for symbol, number in NUMBERS.items():
        first, second = ord(symbol[0]) - 64, (ord(symbol[1]) - 96 if len(symbol) > 1 else 0)
        table[first * 27 + second] = DEUTERIUM if symbol in ("D", "T") else number
    return table


_ELEMENTS = _element_table()
POWERS: NDArray[np.float64] = np.array([10.0**n for n in range(23)])


def scan(
    text: bytes, tags: list[str], length: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Numbers (n, 4: x, y, z, occupancy), atomic numbers (n,) and label positions (n, 2) of an atom list.

    None where the list is not plain: dummies or disorder in it, quoted or unusual values, no labels or type
    symbols.

    Args:
        text: the whole file, ASCII.
        tags: the list's tags in order.
        length: its number of rows.
    """
    roles = _roles(tuple(tags))
    if roles is None:
        return None
    start = text.find(_TAG)
    if start < 0 or text.find(_TAG, start + len(_TAG)) >= 0:
        return None
    numbers = np.ones((length, 4))
    elements = np.zeros(length, np.int64)
    labels = np.zeros((length, 2), np.int64)
    data = np.frombuffer(text, np.uint8)
    plain = _scan(data, start, roles, _ELEMENTS, POWERS, numbers, elements, labels)
    return (numbers, elements, labels) if plain else None


@lru_cache(maxsize=256)
def _roles(tags: tuple[str, ...]) -> NDArray[np.int64] | None:
    """What each column is; None where one that is needed is missing. Files share few lists of tags."""
    roles = np.array([_ROLES.get(tag.lower(), 0) for tag in tags], np.int64)
    return roles if {_X, _Y, _Z, _LABEL, _SYMBOL} <= set(roles.tolist()) else None


@compiled
def _scan(
    data: NDArray[np.uint8],
    at: int,
    roles: NDArray[np.int64],
    element_table: NDArray[np.int64],
    powers: NDArray[np.float64],
    numbers: NDArray[np.float64],
    elements: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> bool:
    size = len(data)
    width = len(roles)
    row, column = 0, 0
    started = False
    while row < len(elements):
        while at < size and data[at] <= 32:
            at += 1
        if at == size:
            return False
        begin = at
        first = data[begin]
        if first == 34 or first == 39 or first == 35 or first == 59:  # " ' # ;
            return False
        role = roles[column]
        if started and 0 < role <= _OCCUPANCY:
            value, at = number(data, begin, size, powers)
            if at < 0:
                return False
            numbers[row, role - 1] = 1.0 if role == _OCCUPANCY and np.isnan(value) else value
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
                elements[row] = _element(data, begin, at, element_table)
                if elements[row] == 0:
                    return False
            elif role == _CALC_FLAG:
                if at - begin == 3 and (first == 100 or first == 68):  # dum, Dum; d alone is "determined"
                    return False
            elif role == _MARK and (at - begin != 1 or not (first == 46 or first == 63 or first == 48)):
                return False  # neither . nor ? nor 0: disordered
        column += 1
        if column == width:
            column = 0
            row += 1
    return True


@compiled
def number(data: NDArray[np.uint8], at: int, size: int, powers: NDArray[np.float64]) -> tuple[float, int]:
    """A decimal number, an uncertainty in parentheses left off, correctly rounded, and where its word ends.

    NaN for ``?`` and ``.``; -1 as the end for anything else than a plain number.
    """
    if (data[at] == 63 or data[at] == 46) and (at + 1 == size or data[at + 1] <= 32):
        return np.nan, at + 1
    negative = data[at] == 45
    if negative or data[at] == 43:
        at += 1
    mantissa, digits, decimals = 0, 0, 0
    point = False
    while at < size:
        byte = data[at]
        if 48 <= byte <= 57:
            mantissa = mantissa * 10 + (byte - 48)
            digits += 1
            decimals += point
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    # Up to 15 digits mantissa and power of ten are both exact, so that their quotient is rounded once.
    if digits == 0 or digits > 15:
        return 0.0, -1
    if at < size and data[at] == 40:  # (uncertainty)
        begin = at + 1
        at = begin
        while at < size and 48 <= data[at] <= 57:
            at += 1
        if at in (begin, size) or data[at] != 41:
            return 0.0, -1
        at += 1
    if at < size and data[at] > 32:
        return 0.0, -1
    value = mantissa / powers[decimals]
    return (-value if negative else value), at


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
