"""The bond table that a CIF itself lists, checked against its coordinates."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

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

_HERE = ("", ".", "?")
"""Symmetry codes that leave an atom where it is."""

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
    site_of_row = dict(zip(rows.tolist(), crystal.orbits.tolist(), strict=True))
    try:
        wanted, misfits = _wanted(crystal, block, table, site_of_row)
        bonds, unmet = _matched(crystal, wanted) if wanted else (None, 0)
    except (ValueError, RuntimeError):  # a table that cannot be read is no reason to lose the crystal
        bonds, misfits, unmet = None, 1, 0
    flags = crystal.flags | {"bond_table_misfit"} if misfits + unmet else crystal.flags
    return replace(crystal, bonds=bonds, flags=flags)


class _Wanted(NamedTuple):
    """A row of the table: two sites, their distance in Å, the type, and whether symmetry codes gave the
    distance."""

    one: int
    two: int
    length: float
    kind: int
    exact: bool


def _wanted(
    crystal: Crystal, block: gemmi.cif.Block, table: AtomTable, site_of_row: dict[int, int]
) -> tuple[list[_Wanted], int]:
    """The rows that name atoms of the crystal, and how many of them fit no length."""
    labels, fractional = table.labels_at(np.arange(len(table))), table.fractional
    counts = Counter(labels)
    row_of = {label: row for row, label in enumerate(labels) if counts[label] == 1 and row in site_of_row}
    operations = _operations(block)
    across_is_wrong = "Materials Studio" in (text_of(block, "_audit_creation_method") or "")
    wanted: list[_Wanted] = []
    misfits = 0
    for one, two, stated, code_one, code_two, kind in _rows(block):
        if one not in row_of or two not in row_of:
            continue
        here = _moved(fractional[row_of[one]], code_one, operations)
        there = _moved(fractional[row_of[two]], code_two, operations)
        length = math.nan
        if here is not None and there is not None:
            length = float(np.linalg.norm((there - here) @ crystal.lattice))
        exact = length > SHORTEST and (math.isnan(stated) or abs(length - stated) <= TOLERANCE)
        length = length if exact else stated
        if not SHORTEST < length <= LONGEST:
            misfits += 1
            continue
        if across_is_wrong and code_two not in _HERE:
            kind = BOND_TYPES.index("unknown")
        wanted.append(_Wanted(site_of_row[row_of[one]], site_of_row[row_of[two]], length, kind, exact))
    return wanted, misfits


def _rows(block: gemmi.cif.Block) -> list[tuple[str, str, float, str, str, int]]:
    """Labels, stated length (NaN for none), symmetry codes and type of each row."""
    tags = ("atom_site_label_1", "atom_site_label_2", "?distance", "?site_symmetry_1", "?site_symmetry_2")
    found = []
    for prefix in ("_geom_bond_", "_geom_bond."):
        table = block.find(prefix, tags)
        kinds = list(block.find_values("_ccdc_geom_bond_type"))
        for number, row in enumerate(table):
            values = [row.str(i) if row.has(i) else "" for i in range(len(tags))]
            length = gemmi.cif.as_number(values[2]) if values[2] else math.nan
            word = kinds[number].strip("'\"").lower() if number < len(kinds) else ""
            kind = BOND_TYPES.index(_WORDS.get(word, "unknown"))
            found.append((values[0], values[1], length, values[3], values[4], kind))
    return found


def _operations(block: gemmi.cif.Block) -> list[gemmi.Op]:
    for tag in _OPERATIONS:
        triplets = [gemmi.cif.as_string(value) for value in block.find_values(tag)]
        if triplets:
            return [gemmi.Op(triplet) for triplet in triplets]
    return [gemmi.Op("x,y,z")]


def _moved(
    position: NDArray[np.float64], code: str, operations: Sequence[gemmi.Op]
) -> NDArray[np.float64] | None:
    """A position under a symmetry code such as ``3_655``, ``3`` or ``.``; None where the code means
    nothing."""
    if code in _HERE:
        return position
    match = _CODE.match(code)
    if match is None or not 1 <= int(match.group(1)) <= len(operations):
        return None
    moved = np.array(operations[int(match.group(1)) - 1].apply_to_xyz(position.tolist()))
    return moved + [int(shift or 5) - 5 for shift in match.groups()[1:]]


def _matched(crystal: Crystal, wanted: Sequence[_Wanted]) -> tuple[Bonds | None, int]:
    """Each bond at every site that has it, found by the orbit of the neighbour and the length; and how many
    rows were not found."""
    reach = max(row.length for row in wanted) + TOLERANCE
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
    unmet = 0
    for row in wanted:
        slack = SAME if row.exact else TOLERANCE
        met = False
        for site, other in {(row.one, row.two), (row.two, row.one)}:
            gaps = np.abs(distances[site] - row.length)
            here = np.flatnonzero((orbits[site] == other) & (gaps <= slack))
            if not len(here):
                continue
            met = True
            # Several copies may lie within the tolerance: the closest to the length is meant.
            if not row.exact:
                best = distances[site, here[gaps[here].argmin()]]
                here = here[np.abs(distances[site, here] - best) <= SAME]
            votes[site, here, row.kind] += 1
        unmet += not met
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


def _settled(votes: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(b,) the type of each bond from how often its copies are called what, (b, types)."""
    known = votes.copy()
    known[:, BOND_TYPES.index("unknown")] = 0
    types = known.argmax(axis=1).astype(np.uint8)
    both = (known[:, BOND_TYPES.index("single")] > 0) & (known[:, BOND_TYPES.index("double")] > 0)
    types[both] = BOND_TYPES.index("delocalised")
    return types
