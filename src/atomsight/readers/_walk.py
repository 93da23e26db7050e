"""One compiled pass over the text of a plain CIF: where the values are whose tags are asked for.

The grammar is that of CIF 1.1 as gemmi reads it. What is rare or doubtful is refused (several blocks, save
frames, a tag given twice, a value that is missing, bytes that are no text).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.readers._hash import lower, word_hash
from atomsight.readers._numbers import number

CELL = tuple(f"_cell_{name}" for name in ("length_a", "length_b", "length_c")) + tuple(
    f"_cell_angle_{name}" for name in ("alpha", "beta", "gamma")
)
_BOND_COLUMNS = ("atom_site_label_1", "atom_site_label_2", "site_symmetry_1", "site_symmetry_2", "distance")
TAGS = (
    *CELL,
    "_cod_database_code",
    "_audit_creation_method",
    "_chemical_formula_sum",
    *("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz"),
    *("_space_group_name_Hall", "_symmetry_space_group_name_Hall"),
    *("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full"),
    *("_space_group_IT_number", "_symmetry_Int_Tables_number"),
    *(f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "Cartn_x")),
    *(f"_atom_site_{name}" for name in ("occupancy", "calc_flag", "disorder_group", "disorder_assembly")),
    *(f"_geom_bond_{name}" for name in _BOND_COLUMNS),
    *(f"_geom_bond.{name}" for name in _BOND_COLUMNS),
    "_ccdc_geom_bond_type",
)
"""All tags that are looked up in a block, the cell first."""

FIELDS = 3
"""Of each tag: where its value begins and ends, -1 for none; or, in a list, its column, and -1; and the list,
-1 for none."""

LOOPS = 16
LOOP_FIELDS = 4
"""Of each list that holds one of the tags: where its tags begin, where its values do, tags, rows."""

_ROOM = 1024
"""Tags of a block, at most half of it; the many ones of a macromolecule are gemmi's."""

_BLANK, _OTHER, _ORDINARY = 1, 2, 3
"""Kinds of bytes: blanks; what a word may hold; of these, what a value that is just a word may begin with.
The letters with which the grammar's own words begin (data_, loop_, ...) are not among the last."""


def _kinds() -> NDArray[np.uint8]:
    kinds = np.zeros(256, np.uint8)
    kinds[33:127] = _ORDINARY
    kinds[[ord(character) for character in "\"#$';[]_dDgGlLsS"]] = _OTHER
    kinds[[9, 10, 13, 32]] = _BLANK
    return kinds


_KINDS = _kinds()


@compiled(inline="always")
def _blank(byte: int) -> bool:
    return byte == 32 or byte == 10 or byte == 13 or byte == 9


@compiled
def _key(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """The hash of a tag; never 0."""
    return word_hash(data, begin, end, True) | np.uint64(1)


@lru_cache(maxsize=1)
def wanted() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of `TAGS` in a table of 256 places, 0 for none, and the places in `TAGS`."""
    table, places = np.zeros(256, np.uint64), np.zeros(256, np.int64)
    for place, tag in enumerate(TAGS):
        word = np.frombuffer(tag.encode(), np.uint8)
        key = _key(word, 0, len(word))
        at = int(key) >> 8 & 255
        while table[at]:
            at = at + 1 & 255
        table[at], places[at] = key, place
    return table, places


@compiled
def _value_end(data: NDArray[np.uint8], at: int, size: int) -> int:
    """Where the value that begins here ends, its quotes included; -1 for what is no plain value."""
    first = data[at]
    if first == 39 or first == 34:  # '...' or "...", to a quote before a blank
        at += 1
        while at < size and data[at] != 10 and (data[at] >= 32 or data[at] == 9):
            if data[at] == first:
                if at + 1 == size or _blank(data[at + 1]):
                    return at + 1
                if data[at + 1] == 35:
                    return -1
            at += 1
        return -1
    if first == 59 and (at == 0 or data[at - 1] == 10):  # a text field, to a semicolon that begins a line
        at += 1
        while at < size:
            if data[at] == 59 and data[at - 1] == 10:
                return at + 1 if at + 1 == size or _blank(data[at + 1]) else -1
            if data[at] < 32 and not _blank(data[at]):
                return -1
            at += 1
        return -1
    if first == 95 or first == 36 or first == 91 or first == 93 or first == 35:  # _ $ [ ] #
        return -1
    begin = at
    while at < size and 33 <= data[at] <= 126:
        at += 1
    if at < size and not _blank(data[at]):
        return -1
    if at - begin >= 5:  # data_ loop_ save_ stop_ global_, and what begins so
        letter = lower(first)
        if letter == 100 or letter == 108 or letter == 115 or letter == 103:
            mark = begin + (6 if letter == 103 else 4)
            if mark < at and data[mark] == 95:
                return -1
    return at


@compiled
def _skip(data: NDArray[np.uint8], at: int, size: int) -> int:
    """Past blanks and comments; -1 at a byte that is no text."""
    while at < size:
        if _blank(data[at]):
            at += 1
        elif data[at] == 35:
            while at < size and data[at] != 10:
                if data[at] < 32 and not _blank(data[at]):
                    return -1
                at += 1
        else:
            return at
    return at


@compiled
def _word_end(data: NDArray[np.uint8], at: int, size: int) -> int:
    """Where the word ends; -1 at a byte that is no text."""
    while at < size and 33 <= data[at] <= 126:
        at += 1
    return at if at == size or _blank(data[at]) else -1


@compiled
def _is(data: NDArray[np.uint8], at: int, end: int, a: int, b: int, c: int, d: int) -> bool:
    """Whether a word begins with four letters, small or capital, and ``_``."""
    return (
        end - at >= 5
        and lower(data[at]) == a
        and lower(data[at + 1]) == b
        and lower(data[at + 2]) == c
        and lower(data[at + 3]) == d
        and data[at + 4] == 95
    )


@compiled
def _place(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    table: NDArray[np.uint64],
    places: NDArray[np.int64],
    met: NDArray[np.uint64],
) -> int:
    """Place of a tag in `TAGS`, -1 for another one, -2 for one that was met before."""
    key = _key(data, begin, end)
    at = np.int64(key >> np.uint64(8)) & (len(met) - 1)
    while met[at] != 0:
        if met[at] == key:
            return -2
        at = (at + 1) & (len(met) - 1)
    met[at] = key
    at = np.int64(key >> np.uint64(8)) & 255
    while table[at] != 0:
        if table[at] == key:
            return places[at]
        at = (at + 1) & 255
    return -1


@compiled
def walk(
    data: NDArray[np.uint8],
    table: NDArray[np.uint64],
    places: NDArray[np.int64],
    powers: NDArray[np.float64],
    cell: NDArray[np.float64],
    found: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill the cell and what `PlainBlock` keeps; where the block's name begins and ends, -1 to refuse."""
    size = len(data)
    refused = (-1, -1)
    cell[:] = np.nan
    found[:] = -1
    loops_at = len(found) - LOOPS * LOOP_FIELDS
    n_loops, n_tags = 0, 0
    met = np.zeros(_ROOM, np.uint64)
    at = _skip(data, 0, size)
    if at < 0 or at >= size:
        return refused
    end = _word_end(data, at, size)
    if end < 0 or not _is(data, at, end, 100, 97, 116, 97):  # data_
        return refused
    name = (at + 5, end)
    if end == at + 5:
        return refused
    at = end
    while True:
        at = _skip(data, at, size)
        if at < 0:
            return refused
        if at >= size:
            return name
        end = _word_end(data, at, size)
        if end < 0:
            return refused
        if data[at] == 95:
            if n_tags == _ROOM // 2 or end - at < 2:
                return refused
            place = _place(data, at, end, table, places, met)
            n_tags += 1
            begin = _skip(data, end, size)
            if place == -2 or begin < 0 or begin >= size:
                return refused
            at = _value_end(data, begin, size)
            if at < 0:
                return refused
            if place >= 0:
                found[FIELDS * place] = begin
                found[FIELDS * place + 1] = at
                if place < len(cell):
                    value, stop = number(data, begin, size, powers)
                    if stop == at:
                        cell[place] = value
            continue
        if end - at != 5 or not _is(data, at, end, 108, 111, 111, 112):  # loop_
            return refused
        at = _skip(data, end, size)
        tags_begin, width, asked = at, 0, False
        while 0 <= at < size and data[at] == 95:
            end = _word_end(data, at, size)
            if n_tags == _ROOM // 2 or end - at < 2 or n_loops == LOOPS:
                return refused
            place = _place(data, at, end, table, places, met)
            n_tags += 1
            if place == -2:
                return refused
            if place >= 0:
                found[FIELDS * place] = width
                found[FIELDS * place + 2] = n_loops
                asked = True
            width += 1
            at = end
            while at < size and _blank(data[at]):
                at += 1
        if at < 0 or at >= size or width == 0 or data[at] == 35:  # no value, or a comment among the tags
            return refused
        begin, count = at, 0
        while True:
            if _KINDS[data[at]] == _ORDINARY:  # most values, at full speed
                at += 1
                while at < size and _KINDS[data[at]] > _BLANK:
                    at += 1
                count += 1
                while at < size and _KINDS[data[at]] == _BLANK:
                    at += 1
                if at == size:
                    break
                if _KINDS[data[at]] > _BLANK and data[at] != 35:
                    continue
                at = _skip(data, at, size)
                if at < 0:
                    return refused
                if at == size:
                    break
                continue
            end = _value_end(data, at, size)
            if end < 0:
                break
            count += 1
            at = _skip(data, end, size)
            if at < 0:
                return refused
            if at >= size:
                break
        # What is no value must be a tag or another list, which the next turn sees.
        if count == 0 or count % width or (at < size and data[at] != 95 and lower(data[at]) != 108):
            return refused
        if asked:
            record = loops_at + LOOP_FIELDS * n_loops
            found[record] = tags_begin
            found[record + 1] = begin
            found[record + 2] = width
            found[record + 3] = count // width
            n_loops += 1


@compiled
def spans_of_values(data: NDArray[np.uint8], at: int, spans: NDArray[np.int64]) -> None:
    """Where the values of a list begin and end, all known to be there."""
    size = len(data)
    for i in range(len(spans)):
        at = _skip(data, at, size)
        spans[i, 0] = at
        at = _value_end(data, at, size)
        spans[i, 1] = at
