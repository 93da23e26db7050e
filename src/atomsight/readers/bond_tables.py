"""The bond table that a CIF itself lists, checked against its coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.neighbours import nearest_neighbours

TOLERANCE = 0.02
"""Å by which the length in the table may differ from that of the coordinates: both are rounded."""

SAME = 0.01
"""Å within which two neighbours on one orbit are symmetry copies of one bond (that of the symmetry search)."""

LONGEST = 5.0
"""Å; no bond is longer (caesium to lead comes to 4.6)."""

_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_CODE = re.compile(r"(\d+)(?:[_ ](\d)(\d)(\d))?$")
_WORDS = {
    **{"s": "single", "sing": "single", "single": "single", "1": "single"},
    **{"d": "double", "doub": "double", "double": "double", "2": "double"},
    **{"t": "triple", "trip": "triple", "triple": "triple", "3": "triple"},
    **{"q": "quadruple", "quad": "quadruple", "quadruple": "quadruple", "4": "quadruple"},
    **{"a": "aromatic", "arom": "aromatic", "aromatic": "aromatic", "5": "aromatic"},
    **{"delo": "delocalised", "delocalised": "delocalised", "delocalized": "delocalised", "7": "delocalised"},
    **{"pi": "pi", "9": "pi"},
}
"""Spellings of a bond type: the letters that Materials Studio and Mercury write, the words and numbers of the CSD."""


def bond_table(
    block: gemmi.cif.Block,
    crystal: Crystal,
    labels: Sequence[str],
    fractional: NDArray[np.float64],
    site_of_row: Mapping[int, int],
) -> tuple[Bonds | None, int]:
    """The bonds of ``_geom_bond_*`` with their ``_ccdc_geom_bond_type``, and how many rows did not fit the coordinates.

    A row says: atom 1, moved by one symmetry code (``3_655``: third operation, then a cell along a), is bonded to atom 2,
    moved by another. Its length by the coordinates must be that of the table. Symmetry then repeats the bond: each site
    gets every neighbour on the orbit of the other atom at this length. Where the codes lead to another length than the
    table states, or there are none, the stated length decides alone. Rows with atoms that the crystal does not keep
    (another disorder component, a label that is given twice) are passed over.

    Copies of one bond that the table gives different types, as single and double around a Kekulé ring, are
    ``delocalised``: symmetry makes them one.

    Args:
        block: the data block.
        crystal: what was made of it.
        labels, fractional: of the rows of the atom list, n strings and (n, 3).
        site_of_row: the site that each row is a copy of, for the rows that were kept.
    """
    rows = _rows(block)
    if not rows:
        return None, 0
    twice = {label for label, count in zip(*np.unique(labels, return_counts=True), strict=True) if count > 1}
    row_of = {label: row for row, label in enumerate(labels) if label not in twice and row in site_of_row}
    operations = _operations(block)
    wanted: list[tuple[int, int, float, int, bool]] = []
    misfits = 0
    for one, two, stated, code_one, code_two, kind in rows:
        if one not in row_of or two not in row_of:
            continue
        here = _moved(fractional[row_of[one]], code_one, operations)
        there = _moved(fractional[row_of[two]], code_two, operations)
        length = math.nan
        if here is not None and there is not None:
            length = float(np.linalg.norm((there - here) @ crystal.lattice))
        exact = length > 0.1 and (math.isnan(stated) or abs(length - stated) <= TOLERANCE)
        length = length if exact else stated
        if not 0.1 < length <= LONGEST:
            misfits += 1
            continue
        wanted.append((site_of_row[row_of[one]], site_of_row[row_of[two]], length, kind, exact))
    if not wanted:
        return None, misfits
    return _matched(crystal, wanted, misfits)


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
    """A position under a symmetry code such as ``3_655``, ``3`` or ``.``; None where the code means nothing."""
    if code in ("", ".", "?"):
        return position
    match = _CODE.match(code)
    if match is None or not 1 <= int(match.group(1)) <= len(operations):
        return None
    moved = np.array(operations[int(match.group(1)) - 1].apply_to_xyz(position.tolist()))
    return moved + [int(shift or 5) - 5 for shift in match.groups()[1:]]


def _matched(
    crystal: Crystal, wanted: Sequence[tuple[int, int, float, int, bool]], misfits: int
) -> tuple[Bonds | None, int]:
    """Each bond at every site that has it, found by the orbit of the neighbour and the length."""
    reach = max(length for _, _, length, _, _ in wanted) + TOLERANCE
    k = 12
    while True:
        distances, atoms, images = nearest_neighbours(
            crystal.lattice, crystal.fractional, k, crystal.representatives
        )
        if (distances[:, -1] > reach).all() or k >= 384:
            break
        k *= 2
    orbits = crystal.orbits[atoms]
    types = np.full(distances.shape, -1, np.int16)
    for one, two, length, kind, exact in wanted:
        slack = SAME if exact else TOLERANCE
        met = False
        for site, other in {(one, two), (two, one)}:
            gaps = np.abs(distances[site] - length)
            here = np.flatnonzero((orbits[site] == other) & (gaps <= slack))
            if not len(here):
                continue
            met = True
            if not exact:  # several orbit mates may lie within the tolerance: the closest to the length is meant
                here = here[np.abs(distances[site, here] - distances[site, here[gaps[here].argmin()]]) <= SAME]
            known = types[site, here]
            types[site, here] = np.where((known < 0) | (known == kind), kind, BOND_TYPES.index("delocalised"))
        misfits += not met
    sites, places = np.nonzero(types >= 0)
    if not len(sites):
        return None, misfits
    return Bonds(
        sites.astype(np.uint32),
        atoms[sites, places].astype(np.int32),
        images[sites, places].astype(np.int32),
        distances[sites, places],
        types[sites, places].astype(np.uint8),
    ), misfits
