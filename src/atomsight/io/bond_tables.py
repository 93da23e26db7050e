"""The bond table that a CIF itself lists: its rows as arrays, checked against the coordinates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import BOND_TYPES, Bonds, Crystal, ListedBonds
from atomsight.geometry.neighbours import neighbours_of
from atomsight.io._atoms import AtomTable
from atomsight.io._operations import OPERATION_LISTS, Operations, arrays_of
from atomsight.io._syntax import text_of, unquoted

TOLERANCE = 0.02
"""Å by which the length in the table may differ from that of the coordinates: both are rounded."""

SAME = 0.01
"""Å within which two neighbours on one orbit are symmetry copies of one bond (that of the symmetry
search)."""

SHORTEST, LONGEST = 0.1, 5.0
"""Å; no bond is longer (caesium to lead comes to 4.6), and a shorter one joins an atom to itself."""

_MISFIT = frozenset({"bond_table_misfit"})
_SINGLE, _DOUBLE, _DELOCALISED = (BOND_TYPES.index(kind) for kind in ("single", "double", "delocalised"))

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


def with_bond_table(
    crystal: Crystal, block: gemmi.cif.Block, table: AtomTable, rows: NDArray[np.integer]
) -> Crystal:
    """The crystal with the bonds that its block lists in ``_geom_bond_*`` and ``_ccdc_geom_bond_type``.

    The table is kept as text and read when the bonds are first asked for, see `BondTable`.

    Args:
        crystal: what was made of the block.
        block: the data block.
        table: its atom list.
        rows: (atoms of the motif,) the row of the atom list that each is a copy of.
    """
    texts = bond_texts(block)
    if texts is None:
        return crystal
    listed = ([*map(gemmi.cif.as_string, block.find_values(tag))] for tag in OPERATION_LISTS)
    operations = next(filter(None, listed), ["x,y,z"])
    studio = "Materials Studio" in (text_of(block, "_audit_creation_method") or "")
    bonds = BondTable(texts, tuple(operations), studio, table.labels, table.fractional, rows)
    return replace(crystal, bonds=bonds)


@dataclass(frozen=True, eq=False)
class BondTable(ListedBonds):
    """A bond table as a CIF states it, to be checked against the coordinates of its crystal.

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

    Attributes:
        texts: the rows.
        operations: triplets, in the order of the file.
        studio: whether Materials Studio wrote the file.
        labels, fractional: of the atom list, n strings and (n, 3).
        rows: (atoms of the motif,) the row of the atom list that each is a copy of.
    """

    texts: BondTexts
    operations: tuple[str, ...]
    studio: bool
    labels: Sequence[str]
    fractional: NDArray[np.float64]
    rows: NDArray[np.integer]

    def read(self, crystal: Crystal) -> tuple[Bonds | None, frozenset[str]]:
        """The bonds of the crystal, and flags on what was met."""
        try:
            wanted, misfits = self._wanted(crystal, bond_rows(self.texts, self.labels))
            bonds, unmet = _matched(crystal, wanted) if len(wanted.length) else (None, 0)
        except (ValueError, RuntimeError):  # a table that cannot be read is no reason to lose the crystal
            bonds, misfits, unmet = None, 1, 0
        return bonds, _MISFIT if misfits + unmet else frozenset()

    def _wanted(self, crystal: Crystal, found: BondRows) -> tuple[_Wanted, int]:
        """The rows that name atoms of the crystal, and how many of them fit no length."""
        site_of_row = np.full(len(self.labels), -1, dtype=np.int64)
        site_of_row[self.rows] = crystal.orbits
        sites = np.where(found.atoms >= 0, site_of_row[found.atoms], -1)
        known = (sites >= 0).all(axis=1)
        sites, atoms, moves = sites[known], found.atoms[known], found.moves[known]
        stated, kinds = found.lengths[known], found.kinds[known]
        if self.studio:
            kinds = np.where(moves[:, 1, 0] == STAYS, kinds, UNKNOWN)
        rotations, translations = _operators(self.operations if moves[..., 0].any() else ())
        operation = moves[..., 0]
        readable = (operation != MEANINGLESS) & (operation <= len(rotations))
        ends = self.fractional[atoms]
        moved = readable & (operation != STAYS)
        which = operation[moved] - 1
        place = translations[which] + moves[moved][:, 1:]
        for axis in range(3):
            place += rotations[which, :, axis] * ends[moved][:, axis, None]
        ends[moved] = place
        step = ends[:, 1] - ends[:, 0]
        square = np.zeros(len(step))
        for axis in range(3):
            along = step[:, 0] * crystal.lattice[0, axis]
            along = along + step[:, 1] * crystal.lattice[1, axis] + step[:, 2] * crystal.lattice[2, axis]
            square += along * along
        computed = np.sqrt(square)
        agrees = np.isnan(stated) | (np.abs(computed - stated) <= TOLERANCE)
        exact = readable.all(axis=1) & (computed > SHORTEST) & agrees
        length = np.where(exact, computed, stated)
        fits = (length > SHORTEST) & (length <= LONGEST)  # else none is stated, or no bond is so long
        one, two = sites[fits].T
        wanted = _Wanted(one, two, length[fits], kinds[fits], exact[fits])
        return wanted, int((~fits).sum())


def with_bonds(
    crystal: Crystal,
    one: NDArray[np.int64],
    two: NDArray[np.int64],
    length: NDArray[np.float64],
    kind: NDArray[np.int64],
) -> Crystal:
    """Return the crystal with bonds between sites at lengths of its coordinates, repeated by symmetry.

    The bonds join sites `one` and `two` at `length`, Å.
    `kind` holds places in `BOND_TYPES`; all are (b,). Those that no pair of sites has leave the flag
    ``bond_table_misfit``.
    """
    fits = (length > SHORTEST) & (length <= LONGEST)
    wanted = _Wanted(one[fits], two[fits], length[fits], kind[fits], np.ones(int(fits.sum()), dtype=bool))
    bonds, unmet = _matched(crystal, wanted) if len(wanted.length) else (None, 0)
    flags = crystal.flags | _MISFIT if unmet or not fits.all() else crystal.flags
    return replace(crystal, bonds=bonds, flags=flags)


class _Wanted(NamedTuple):
    """Rows of the table as columns.

    Two sites, their distance in Å, the bond type, and whether symmetry codes gave the distance.
    """

    one: NDArray[np.int64]
    two: NDArray[np.int64]
    length: NDArray[np.float64]
    kind: NDArray[np.int64]
    exact: NDArray[np.bool_]


@lru_cache(maxsize=256)
def _operators(triplets: tuple[str, ...]) -> Operations:
    """The operations in the order of a list. Files share few lists."""
    return arrays_of([gemmi.Op(triplet) for triplet in triplets])


def _matched(crystal: Crystal, wanted: _Wanted) -> tuple[Bonds | None, int]:
    """Each bond at every site that has it, and how many rows were not found.

    A bond is found by the orbit of the neighbour and the length.
    """
    reach = wanted.length.max() + TOLERANCE
    k = 12
    while True:
        distances, atoms, images = neighbours_of(crystal, k, crystal.representatives)
        if k >= 384 or (distances[:, -1] > reach).all():
            break
        k *= 2
    one, two, length, kind, exact = wanted
    votes = np.zeros((*distances.shape, len(BOND_TYPES)), np.int32)
    met = np.zeros(len(one), bool)
    slack = np.where(exact, SAME, TOLERANCE)[:, None]
    for site, other, rows in ((one, two, one == one), (two, one, one != two)):
        gap = np.abs(distances[site] - length[:, None])
        fits = (crystal.orbits[atoms[site]] == other[:, None]) & (gap <= slack) & rows[:, None]
        met |= fits.any(axis=1)
        # Several copies may lie within the tolerance: the closest to the length is meant.
        best = distances[site, np.where(fits, gap, np.inf).argmin(axis=1)]
        fits &= exact[:, None] | (np.abs(distances[site] - best[:, None]) <= SAME)
        row, place = np.nonzero(fits)
        np.add.at(votes, (site[row], place, kind[row]), 1)
    sites, place = np.nonzero(votes.any(axis=2))
    # The type is the one that a bond is called most often, if only by a copy of it.
    called = votes[sites, place]
    called[:, UNKNOWN] = 0
    types = np.where(called.any(axis=1), called.argmax(axis=1), UNKNOWN)
    types[(called[:, _SINGLE] > 0) & (called[:, _DOUBLE] > 0)] = _DELOCALISED
    bonds = Bonds(
        sites.astype(np.uint32),
        atoms[sites, place].astype(np.int32),
        images[sites, place],
        distances[sites, place],
        types.astype(np.uint8),
    )
    return (bonds if len(bonds) else None), int((~met).sum())


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
