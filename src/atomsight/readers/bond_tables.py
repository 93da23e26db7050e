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
    crystal: Crystal, block: gemmi.cif.Block, table: AtomTable, site_of_row: dict[int, int]
) -> tuple[_Wanted, int]:
    """The rows that name atoms of the crystal, and how many of them fit no length."""
    labels, fractional = table.labels_at(np.arange(len(table))), table.fractional
    counts = Counter(labels)
    row_of = {label: row for row, label in enumerate(labels) if counts[label] == 1 and row in site_of_row}
    rows = [row for row in _rows(block) if row[0] in row_of and row[1] in row_of]
    one = np.array([row_of[row[0]] for row in rows], dtype=np.int64)
    two = np.array([row_of[row[1]] for row in rows], dtype=np.int64)
    stated = np.array([row[2] for row in rows], dtype=np.float64)
    kind = np.array([row[5] for row in rows], dtype=np.int64)

    operations = _operations(block)
    here = _moved(fractional[one], [row[3] for row in rows], operations)
    there = _moved(fractional[two], [row[4] for row in rows], operations)
    computed = np.linalg.norm((there - here) @ crystal.lattice, axis=1)
    exact = (computed > SHORTEST) & (np.isnan(stated) | (np.abs(computed - stated) <= TOLERANCE))
    length = np.where(exact, computed, stated)
    fits = (length > SHORTEST) & (length <= LONGEST)
    if "Materials Studio" in (text_of(block, "_audit_creation_method") or ""):
        kind[np.array([row[4] not in _HERE for row in rows], dtype=bool)] = BOND_TYPES.index("unknown")
    sites = np.array([site_of_row.get(row, 0) for row in range(len(labels))], dtype=np.int64)
    found = _Wanted(sites[one[fits]], sites[two[fits]], length[fits], kind[fits], exact[fits])
    return found, int((~fits).sum())


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
    positions: NDArray[np.float64], codes: Sequence[str], operations: Sequence[gemmi.Op]
) -> NDArray[np.float64]:
    """(n, 3) positions under symmetry codes such as ``3_655``, ``3`` or ``.``; NaN where a code means
    nothing."""
    moved = positions.copy()
    all_codes = np.array(codes, dtype=object)
    for code in set(codes) - set(_HERE):
        of_code = all_codes == code
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
    met = np.zeros(len(wanted.length), dtype=bool)
    slack = np.where(wanted.exact, SAME, TOLERANCE)[:, None]
    ends = [(wanted.one, wanted.two, np.ones(len(met), dtype=bool))]
    ends += [(wanted.two, wanted.one, wanted.one != wanted.two)]
    for site, other, counted in ends:
        gaps = np.abs(distances[site] - wanted.length[:, None])
        here = (orbits[site] == other[:, None]) & (gaps <= slack) & counted[:, None]
        # Several copies may lie within the tolerance: the closest to the length is meant.
        closest = np.where(here, gaps, np.inf).argmin(axis=1)
        best = np.take_along_axis(distances[site], closest[:, None], axis=1)
        here &= wanted.exact[:, None] | (np.abs(distances[site] - best) <= SAME)
        met |= here.any(axis=1)
        rows, places = np.nonzero(here)
        np.add.at(votes, (site[rows], places, wanted.kind[rows]), 1)
    unmet = int((~met).sum())
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
