"""The bond table that a CIF itself lists, checked against its coordinates."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.neighbours import nearest_neighbours
from atomsight.readers._atoms import AtomTable
from atomsight.readers._block import Block
from atomsight.readers._bond_rows import MEANINGLESS, STAYS, UNKNOWN, BondRows, bond_rows
from atomsight.readers._tags import text_of

TOLERANCE = 0.02
"""Å by which the length in the table may differ from that of the coordinates: both are rounded."""

SAME = 0.01
"""Å within which two neighbours on one orbit are symmetry copies of one bond (that of the symmetry
search)."""

SHORTEST, LONGEST = 0.1, 5.0
"""Å; no bond is longer (caesium to lead comes to 4.6), and a shorter one joins an atom to itself."""

_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_SINGLE, _DOUBLE, _DELOCALISED = (BOND_TYPES.index(kind) for kind in ("single", "double", "delocalised"))


def with_bond_table(
    crystal: Crystal,
    block: Block,
    table: AtomTable,
    rows: NDArray[np.integer],
    text: bytes = b"",
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
        text: the file, see `bond_rows`.
    """
    try:
        found = bond_rows(block, table, text)
        if found is None:
            return crystal
        site_of_row = np.full(len(table), -1, dtype=np.int64)
        site_of_row[rows] = crystal.orbits
        wanted, misfits = _wanted(crystal, block, table, site_of_row, found)
        bonds, unmet = _matched(crystal, wanted) if len(wanted.length) else (None, 0)
    except (ValueError, RuntimeError):  # a table that cannot be read is no reason to lose the crystal
        bonds, misfits, unmet = None, 1, 0
    if bonds is None and not misfits + unmet:
        return crystal
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
    crystal: Crystal,
    block: Block,
    table: AtomTable,
    site_of_row: NDArray[np.int64],
    found: BondRows,
) -> tuple[_Wanted, int]:
    """The rows that name atoms of the crystal, and how many of them fit no length.

    `site_of_row` holds the site of each row of the atom list, -1 for those that the crystal does not keep.
    """
    kinds = found.kinds
    if "Materials Studio" in (text_of(block, "_audit_creation_method") or ""):
        kinds = np.where(found.moves[:, 1, 0] == STAYS, kinds, UNKNOWN)
    rotations, translations = _operations(block) if found.moves[..., 0].any() else _operators(())
    one, two, length, kind, exact, known = _fitting(
        crystal.lattice, table.fractional, site_of_row, *found[:3], kinds, rotations, translations
    )
    return _Wanted(one, two, length, kind, exact), known - len(one)


@compiled
def _fitting(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    site_of_row: NDArray[np.int64],
    atoms: NDArray[np.int64],
    moves: NDArray[np.int64],
    stated: NDArray[np.float64],
    kinds: NDArray[np.int64],
    rotations: NDArray[np.float64],
    translations: NDArray[np.float64],
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_], int
]:
    """The columns of `_Wanted`, and how many rows name two atoms of the crystal."""
    n = len(atoms)
    sites, length = np.empty((2, n), np.int64), np.empty(n)
    kind, exact = np.empty(n, np.int64), np.empty(n, np.bool_)
    ends, step = np.empty((2, 3)), np.empty(3)
    known = count = 0
    for row in range(n):
        if atoms[row, 0] < 0 or atoms[row, 1] < 0:
            continue
        if site_of_row[atoms[row, 0]] < 0 or site_of_row[atoms[row, 1]] < 0:
            continue
        known += 1
        plain = True
        for end in range(2):
            operation = moves[row, end, 0]
            if operation == MEANINGLESS or operation > len(rotations):
                plain = False
            for axis in range(3):
                ends[end, axis] = fractional[atoms[row, end], axis]
            if operation > STAYS and plain:
                for axis in range(3):
                    value = translations[operation - 1, axis] + moves[row, end, 1 + axis]
                    for other in range(3):
                        value += rotations[operation - 1, axis, other] * fractional[atoms[row, end], other]
                    ends[end, axis] = value
        computed = 0.0
        for axis in range(3):
            step[axis] = ends[1, axis] - ends[0, axis]
        for axis in range(3):
            along = step[0] * lattice[0, axis] + step[1] * lattice[1, axis] + step[2] * lattice[2, axis]
            computed += along * along
        computed = np.sqrt(computed)
        agrees = np.isnan(stated[row]) or abs(computed - stated[row]) <= TOLERANCE
        exact[count] = plain and computed > SHORTEST and agrees
        length[count] = computed if exact[count] else stated[row]
        if not SHORTEST < length[count] <= LONGEST:  # none is stated, or no bond is so long
            continue
        sites[0, count] = site_of_row[atoms[row, 0]]
        sites[1, count] = site_of_row[atoms[row, 1]]
        kind[count] = kinds[row]
        count += 1
    return sites[0, :count], sites[1, :count], length[:count], kind[:count], exact[:count], known


def _operations(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    for tag in _OPERATIONS:
        triplets = tuple(gemmi.cif.as_string(value) for value in block.find_values(tag))
        if triplets:
            return _operators(triplets)
    return _operators(("x,y,z",))


@lru_cache(maxsize=256)
def _operators(triplets: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations (g, 3, 3) and translations (g, 3) in the order of a list. Files share few lists."""
    operations = [gemmi.Op(triplet) for triplet in triplets]
    rotations = [np.array(operation.rot) / operation.DEN for operation in operations]
    translations = [np.array(operation.tran) / operation.DEN for operation in operations]
    return np.array(rotations).reshape(-1, 3, 3), np.array(translations).reshape(-1, 3)


def _matched(crystal: Crystal, wanted: _Wanted) -> tuple[Bonds | None, int]:
    """Each bond at every site that has it, found by the orbit of the neighbour and the length; and how many
    rows were not found."""
    reach = wanted.length.max() + TOLERANCE
    k = 12
    while True:
        distances, atoms, images = nearest_neighbours(
            crystal.lattice, crystal.fractional, k, crystal.representatives
        )
        if k >= 384 or (distances[:, -1] > reach).all():
            break
        k *= 2
    votes = np.zeros((*distances.shape, len(BOND_TYPES)), np.int32)
    unmet = _vote(distances, atoms, crystal.orbits, *wanted, votes)
    bonds = _voted(distances, atoms, images, votes)
    return (Bonds(*bonds) if len(bonds[0]) else None), unmet


@compiled
def _voted(
    distances: NDArray[np.float64],
    atoms: NDArray[np.int64],
    images: NDArray[np.int32],
    votes: NDArray[np.int32],
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]]:
    """The columns of `Bonds`: every neighbour that a row named. Its type is the one that it is called most
    often, if only by a copy of the bond."""
    n = 0
    places = np.empty((votes.shape[0] * votes.shape[1], 2), np.int64)
    for site in range(votes.shape[0]):
        for place in range(votes.shape[1]):
            if votes[site, place].any():
                places[n, 0], places[n, 1] = site, place
                n += 1
    sites, others, cells = np.empty(n, np.uint32), np.empty(n, np.int32), np.empty((n, 3), np.int32)
    lengths, types = np.empty(n), np.empty(n, np.uint8)
    for bond in range(n):
        site, place = places[bond]
        sites[bond], others[bond], lengths[bond] = site, atoms[site, place], distances[site, place]
        for axis in range(3):
            cells[bond, axis] = images[site, place, axis]
        called = votes[site, place]
        best, most = UNKNOWN, 0
        for kind in range(len(called)):
            if kind != UNKNOWN and called[kind] > most:
                best, most = kind, called[kind]
        types[bond] = _DELOCALISED if called[_SINGLE] > 0 and called[_DOUBLE] > 0 else best
    return sites, others, cells, lengths, types


@compiled
def _vote(
    distances: NDArray[np.float64],
    atoms: NDArray[np.int64],
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
                if orbits[atoms[site, place]] == other and gap <= slack and gap < least:
                    best, least = place, gap
            if best < 0:
                continue
            met = True
            for place in range(distances.shape[1]):
                if orbits[atoms[site, place]] != other or abs(distances[site, place] - length[row]) > slack:
                    continue
                if exact[row] or abs(distances[site, place] - distances[site, best]) <= SAME:
                    votes[site, place, kind[row]] += 1
        unmet += not met
    return unmet
