"""The bond table that a CIF itself lists, checked against its coordinates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.neighbours import nearest_neighbours
from atomsight.readers._atoms import AtomTable
from atomsight.readers._tags import text_of

TOLERANCE = 0.02
"""Å by which the length in the table may differ from that of the coordinates: both are rounded."""

SAME = 0.01
"""Å within which two neighbours on one orbit are symmetry copies of one bond (that of the symmetry
search)."""

SHORTEST, LONGEST = 0.1, 5.0
"""Å; no bond is longer (caesium to lead comes to 4.6), and a shorter one joins an atom to itself."""

_HERE = frozenset(("", ".", "?"))
"""Symmetry codes that leave an atom where it is."""

_QUOTES = ("'", '"', ";")

_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
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

UNKNOWN = BOND_TYPES.index("unknown")


def with_bond_table(
    crystal: Crystal, block: gemmi.cif.Block, table: AtomTable, rows: NDArray[np.integer]
) -> Crystal:
    """The crystal with the bonds that its block lists in ``_geom_bond_*`` and ``_ccdc_geom_bond_type``.

    A row says: atom 1, moved by one symmetry code (``3_655``: third operation, then a cell along a), is
    bonded to atom 2, moved by another. Its length by the coordinates must be that of the table. Symmetry
    then repeats the bond: each site gets every neighbour on the orbit of the other atom at this length.
    Where the codes lead to another length than the table states, or are missing, the stated length
    decides alone. A row that fits no pair of atoms is dropped, and the crystal gets the flag
    ``bond_table_misfit``; rows with atoms that the crystal does not keep (another disorder component) or
    with labels given twice are passed over.

    Copies of one bond that the table calls single here and double there, as around a Kekulé ring, are
    ``delocalised``: symmetry makes them one. Materials Studio writes wrong types for bonds that leave the
    cell (of 2,535 such bonds to hydrogen in CoRE MOF a third are not single, of 35,804 within the cell
    none), so that these count as ``unknown``, unless a copy within the cell says what they are.

    Args:
        crystal: what was made of the block.
        block: the data block.
        table: its atom list.
        rows: (atoms of the motif,) the row of the atom list that each is a copy of.
    """
    if not block.find_loop("_geom_bond_atom_site_label_1") and not block.find_value(
        "_geom_bond_atom_site_label_1"
    ):
        return crystal
    site_of_row = np.full(len(table), -1, dtype=np.int64)
    site_of_row[rows] = crystal.orbits
    try:
        wanted, misfits = _wanted(crystal, block, table, site_of_row)
        bonds, unmet = _matched(crystal, wanted) if len(wanted.length) else (None, 0)
    except (ValueError, RuntimeError):  # a table that cannot be read is no reason to lose the crystal
        bonds, misfits, unmet = None, 1, 0
    flags = crystal.flags | {"bond_table_misfit"} if misfits + unmet else crystal.flags
    return replace(crystal, bonds=bonds, flags=flags)


def with_bonds(
    crystal: Crystal,
    one: NDArray[np.int64],
    two: NDArray[np.int64],
    length: NDArray[np.float64],
    kind: NDArray[np.int64],
) -> Crystal:
    """The crystal with bonds between sites `one` and `two` at a length (Å) that its own coordinates give,
    repeated by symmetry.

    `kind` holds places in `BOND_TYPES`; all are (b,). Those that no pair of sites has leave the flag
    ``bond_table_misfit``.
    """
    fits = (length > SHORTEST) & (length <= LONGEST)
    wanted = _Wanted(one[fits], two[fits], length[fits], kind[fits], np.ones(int(fits.sum()), dtype=bool))
    bonds, unmet = _matched(crystal, wanted) if len(wanted.length) else (None, 0)
    flags = crystal.flags | {"bond_table_misfit"} if unmet or not fits.all() else crystal.flags
    return replace(crystal, bonds=bonds, flags=flags)


class _Wanted(NamedTuple):
    """Rows of the table as columns: two sites, their distance in Å, the type, and whether symmetry codes gave
    the distance."""

    one: NDArray[np.int64]
    two: NDArray[np.int64]
    length: NDArray[np.float64]
    kind: NDArray[np.int64]
    exact: NDArray[np.bool_]


def _wanted(
    crystal: Crystal, block: gemmi.cif.Block, table: AtomTable, site_of_row: NDArray[np.int64]
) -> tuple[_Wanted, int]:
    """The rows that name atoms of the crystal, and how many of them fit no length.

    `site_of_row` holds the site of each row of the atom list, -1 for those that the crystal does not keep.
    """
    labels = tuple(table.labels)
    row_of = {label: row for row, label in enumerate(labels)}
    if len(row_of) < len(labels):
        row_of = {label: row_of[label] for label, count in Counter(labels).items() if count == 1}
    found = _rows(block)
    one, two = (np.array([row_of.get(label, -1) for label in end], dtype=np.int64) for end in found.labels)
    known = (one >= 0) & (two >= 0) & (site_of_row[one] >= 0) & (site_of_row[two] >= 0)
    ends = [table.fractional[one], table.fractional[two]]
    if not all(_HERE.issuperset(codes) for codes in found.codes):
        operations = _operations(block)
        ends = [_moved(end, codes, operations) for end, codes in zip(ends, found.codes, strict=True)]
    step = (ends[1] - ends[0]) @ crystal.lattice
    computed = np.sqrt((step * step).sum(axis=1))
    stated = found.lengths
    exact = (computed > SHORTEST) & (np.isnan(stated) | (np.abs(computed - stated) <= TOLERANCE))
    length = np.where(exact, computed, stated)
    fits = known & (length > SHORTEST) & (length <= LONGEST)
    kind = found.kinds
    if "Materials Studio" in (text_of(block, "_audit_creation_method") or ""):
        kind[np.array([code not in _HERE for code in found.codes[1]], dtype=bool)] = UNKNOWN
    wanted = _Wanted(site_of_row[one[fits]], site_of_row[two[fits]], length[fits], kind[fits], exact[fits])
    return wanted, int(known.sum() - fits.sum())


class _Rows(NamedTuple):
    """The table's columns: the labels and the symmetry codes of both atoms, stated lengths (NaN for none),
    types."""

    labels: tuple[list[str], list[str]]
    codes: tuple[list[str], list[str]]
    lengths: NDArray[np.float64]
    kinds: NDArray[np.int64]


def _rows(block: gemmi.cif.Block) -> _Rows:
    names = ("atom_site_label_1", "atom_site_label_2", "site_symmetry_1", "site_symmetry_2", "distance")
    columns: list[list[str]] = [[] for _ in names]
    for prefix in ("_geom_bond_", "_geom_bond."):
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
    words = list(block.find_values("_ccdc_geom_bond_type"))[: len(one)]
    known = {word: BOND_TYPES.index(_WORDS.get(word.strip("'\"").lower(), "unknown")) for word in set(words)}
    kinds = np.full(len(one), UNKNOWN)
    kinds[: len(words)] = [known[word] for word in words]
    return _Rows(
        (_plain(one), _plain(two)),
        (_plain(here), _plain(there)),
        np.array([gemmi.cif.as_number(length) for length in lengths], dtype=np.float64),
        kinds,
    )


def _plain(values: list[str]) -> list[str]:
    """Values without their quotes."""
    return [gemmi.cif.as_string(value) if value[:1] in _QUOTES else value for value in values]


def _operations(block: gemmi.cif.Block) -> list[gemmi.Op]:
    for tag in _OPERATIONS:
        triplets = [gemmi.cif.as_string(value) for value in block.find_values(tag)]
        if triplets:
            return [gemmi.Op(triplet) for triplet in triplets]
    return [gemmi.Op("x,y,z")]


def _moved(
    positions: NDArray[np.float64], codes: list[str], operations: Sequence[gemmi.Op]
) -> NDArray[np.float64]:
    """(n, 3) positions under symmetry codes such as ``3_655``, ``3`` or ``.``; NaN where a code means
    nothing."""
    moved = positions.copy()
    places: dict[str, list[int]] = {}
    for place, code in enumerate(codes):
        if code not in _HERE:
            places.setdefault(code, []).append(place)
    for code, of_code in places.items():
        match = _CODE.match(code)
        if match is None or not 1 <= int(match.group(1)) <= len(operations):
            moved[of_code] = np.nan
            continue
        operation = operations[int(match.group(1)) - 1]
        rotation = np.array(operation.rot) / operation.DEN
        shift = np.array(operation.tran) / operation.DEN + [int(s or 5) - 5 for s in match.groups()[1:]]
        moved[of_code] = moved[of_code] @ rotation.T + shift
    return moved


def _matched(crystal: Crystal, wanted: _Wanted) -> tuple[Bonds | None, int]:
    """Each bond at every site that has it, found by the orbit of the neighbour and the length; and how many
    rows were not found."""
    reach = wanted.length.max() + TOLERANCE
    k = 12
    while True:
        distances, atoms, images = nearest_neighbours(
            crystal.lattice, crystal.fractional, k, crystal.representatives
        )
        if (distances[:, -1] > reach).all() or k >= 384:
            break
        k *= 2
    orbits = crystal.orbits[atoms]
    votes = np.zeros((*distances.shape, len(BOND_TYPES)), np.int32)
    unmet = _vote(distances, orbits, *wanted, votes)
    sites, places = np.nonzero(votes.any(axis=2))
    if not len(sites):
        return None, unmet
    return Bonds(
        sites.astype(np.uint32),
        atoms[sites, places].astype(np.int32),
        images[sites, places].astype(np.int32),
        distances[sites, places],
        _settled(votes[sites, places]),
    ), unmet


@compiled
def _vote(
    distances: NDArray[np.float64],
    orbits: NDArray[np.int32],
    one: NDArray[np.int64],
    two: NDArray[np.int64],
    length: NDArray[np.float64],
    kind: NDArray[np.int64],
    exact: NDArray[np.bool_],
    votes: NDArray[np.int32],
) -> int:
    """Count at each site's neighbours, (sites, k, types), what the rows call the bonds to them; the number
    of rows that fit none is returned."""
    unmet = 0
    for row in range(len(one)):
        slack = SAME if exact[row] else TOLERANCE
        met = False
        for end in range(1 if one[row] == two[row] else 2):
            site, other = (one[row], two[row]) if end == 0 else (two[row], one[row])
            # Several copies may lie within the tolerance: the closest to the length is meant.
            best, least = -1, np.inf
            for place in range(distances.shape[1]):
                gap = abs(distances[site, place] - length[row])
                if orbits[site, place] == other and gap <= slack and gap < least:
                    best, least = place, gap
            if best < 0:
                continue
            met = True
            for place in range(distances.shape[1]):
                if orbits[site, place] != other or abs(distances[site, place] - length[row]) > slack:
                    continue
                if exact[row] or abs(distances[site, place] - distances[site, best]) <= SAME:
                    votes[site, place, kind[row]] += 1
        unmet += not met
    return unmet


def _settled(votes: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(b,) the type of each bond from how often its copies are called what, (b, types)."""
    known = votes.copy()
    known[:, BOND_TYPES.index("unknown")] = 0
    types = known.argmax(axis=1).astype(np.uint8)
    both = (known[:, BOND_TYPES.index("single")] > 0) & (known[:, BOND_TYPES.index("double")] > 0)
    types[both] = BOND_TYPES.index("delocalised")
    return types
