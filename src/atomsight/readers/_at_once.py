"""Many files in two compiled calls: plain CIFs of cells given atom by atom, as computations write them.

What Python does for a file costs more than reading such a small one. Whatever is not plain here (a symmetry,
a bond table, disorder, atoms too close together) is left to `atomsight.readers.cif`, which also says what is
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled
from atomsight.crystal import Crystal
from atomsight.labels import Labels, gather
from atomsight.readers._numbers import POWERS
from atomsight.readers._scan import ELEMENTS, HEAVY, NEEDED, NOT_PLAIN, ROLES, scan_rows
from atomsight.readers._tags import cod_number_of, said
from atomsight.readers._walk import CELL, FIELDS, LOOP_FIELDS, LOOPS, TAGS, walk, wanted
from atomsight.readers._whole_cell import DOUBTFUL, HYDROGEN, limits, look
from atomsight.readers.assemble import lacks_hydrogen
from atomsight.readers.member import Member
from atomsight.readers.quality import QualityPolicy
from atomsight.symmetry import fill_lattice

_ATOMS = np.array([TAGS.index(tag) for tag in ROLES])
_ROLES = np.array(list(ROLES.values()))
_NEEDED = np.array([TAGS.index(tag) for tag, role in ROLES.items() if role in NEEDED])
_X = TAGS.index("_atom_site_fract_x")
_OPERATIONS = np.array([place for place, tag in enumerate(TAGS) if "symop" in tag or "equiv_pos" in tag])
_BONDS = TAGS.index("_geom_bond_atom_site_label_1")
_SAID = np.array([TAGS.index("_cod_database_code"), TAGS.index("_chemical_formula_sum")])
_LOOPS_AT = FIELDS * len(TAGS)
_FLAGS = frozenset({"from_p1"})
_WITH_HYDROGEN = _FLAGS | {"has_hydrogen"}

_VERDICT, _DEUTERIUM, _SITES, _SPANS = 0, 1, 2, 3
_TOLD = _SPANS + 2 * len(_SAID)
"""Of each file: `look`'s verdict, whether there is deuterium, how many sites, and where two values are."""


def plain_crystals(members: Sequence[Member], policy: QualityPolicy) -> list[Crystal | None]:
    """The crystal of each file that is a plain cell in P1; None for the others.

    Args:
        members: CIFs. What is made of them shares arrays, so that they should be a few thousand atoms.
        policy: what is accepted.
    """
    texts = [member.data if member.data.isascii() else b"" for member in members]
    text, n = b"".join(texts), len(texts)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum([len(one) for one in texts], out=offsets[1:])
    data = np.frombuffer(text, np.uint8)
    cells = np.empty((n, len(CELL)))
    found = np.empty((n, _LOOPS_AT + LOOP_FIELDS * LOOPS), np.int64)
    atoms = np.zeros(n + 1, np.int64)
    _find(data, offsets, *wanted(), POWERS, cells, found, policy.max_atoms, atoms)
    total = int(atoms[-1])
    lattices, fractional = np.empty((n, 3, 3)), np.empty((total, 3))
    numbers, orbits = np.empty(total, np.uint8), np.empty(total, np.int32)
    told = np.zeros((n, _TOLD), np.int64)
    letters, bounds = _read(
        *(data, offsets, ELEMENTS, POWERS, cells, found, atoms),
        *(lattices, fractional, numbers, orbits, told),
        *limits(policy),
    )
    crystals: list[Crystal | None] = []
    begin = site = 0
    for i, (end, (verdict, deuterium, sites, *spans)) in enumerate(
        zip(atoms[1:].tolist(), told.tolist(), strict=True)
    ):
        crystal = None
        if verdict != DOUBTFUL:
            code, formula = [
                said(text[first:last].decode("ascii")) if first >= 0 else None
                for first, last in zip(spans[::2], spans[1::2], strict=True)
            ]
            flags = _WITH_HYDROGEN if verdict == HYDROGEN else _FLAGS
            if deuterium:
                flags |= {"deuterium"}
            with suppress(Exception):  # left to the reader of single files, which says what is wrong
                if formula and lacks_hydrogen(formula, numbers[begin:end]):
                    flags |= {"missing_hydrogen"}
                crystal = Crystal(
                    name=cod_number_of(code) or members[i].name,
                    lattice=lattices[i],
                    fractional=fractional[begin:end],
                    numbers=numbers[begin:end],
                    orbits=orbits[begin:end],
                    labels=Labels(letters, bounds[site : site + sites + 1]),
                    source=members[i].source,
                    formula_sum=formula,
                    flags=flags,
                )
        crystals.append(crystal)
        begin, site = end, site + sites
    return crystals


@compiled
def _find(
    text: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    table: NDArray[np.uint64],
    places: NDArray[np.int64],
    powers: NDArray[np.float64],
    cells: NDArray[np.float64],
    found: NDArray[np.int64],
    most: int,
    atoms: NDArray[np.int64],
) -> None:
    """Walk over all files; ``atoms`` counts those of the plain cells among them."""
    for f in range(len(offsets) - 1):
        data = text[offsets[f] : offsets[f + 1]]
        atoms[f + 1] = atoms[f]
        if walk(data, table, places, powers, cells[f], found[f])[0] < 0:
            continue
        if _plain(data, found[f]):
            rows = found[f, _LOOPS_AT + LOOP_FIELDS * found[f, FIELDS * _X + 2] + 3]
            if rows <= most:
                atoms[f + 1] += rows


@compiled
def _plain(data: NDArray[np.uint8], found: NDArray[np.int64]) -> bool:
    """Whether a block lists atoms, no bonds, and the identity as the only operation."""
    which = found[FIELDS * _X + 2]
    bonds = FIELDS * _BONDS
    if which < 0 or found[bonds] >= 0:
        return False
    for place in _NEEDED:
        if found[FIELDS * place + 2] != which:
            return False
    for place in _SAID:
        if found[FIELDS * place + 2] >= 0:
            return False
    for place in _OPERATIONS:
        at = FIELDS * place
        if found[at] < 0:
            continue
        if found[at + 2] < 0:
            return _identity(data, found[at])
        record = _LOOPS_AT + LOOP_FIELDS * found[at + 2]
        return found[record + 2] == 1 and found[record + 3] == 1 and _identity(data, found[record + 1])
    return False


@compiled
def _identity(data: NDArray[np.uint8], at: int) -> bool:
    """Whether ``x, y, z`` stands here, in quotes or without blanks."""
    size = len(data)
    first = data[at]
    quoted = first == 39 or first == 34
    at += quoted
    met = 0  # of the five letters and commas
    while at < size:
        byte = data[at]
        if quoted and byte == first:
            return met == 5 and (at + 1 == size or data[at + 1] <= 32)
        if byte <= 32:
            if not quoted:
                return met == 5
            if byte != 32:
                return False
        elif byte == 43:
            if met % 2 or at + 1 == size or data[at + 1] <= 32:
                return False
        else:
            wanted = 44 if met % 2 else 120 + met // 2
            if met == 5 or (byte != wanted and (met % 2 or byte != wanted - 32)):
                return False
            met += 1
        at += 1
    return met == 5 and not quoted


@compiled
def _read(
    text: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    elements: NDArray[np.int64],
    powers: NDArray[np.float64],
    cells: NDArray[np.float64],
    found: NDArray[np.int64],
    atoms: NDArray[np.int64],
    lattices: NDArray[np.float64],
    fractional: NDArray[np.float64],
    numbers: NDArray[np.uint8],
    orbits: NDArray[np.int32],
    told: NDArray[np.int64],
    min_translation: float,
    min_volume: float,
    max_volume: float,
    min_distance: float,
    symprec: float,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Fill the arrays with the plain cells; the labels of their sites, as `Labels` holds them."""
    total, n_sites = len(numbers), 0
    occupancy = np.ones(total)
    spans, kept = np.empty((total, 2), np.int64), np.empty((total, 2), np.int64)
    for f in range(len(offsets) - 1):
        a, b = atoms[f], atoms[f + 1]
        if a == b:
            continue
        told[f, _VERDICT] = DOUBTFUL
        proper = True
        for i in range(6):
            proper = proper and 0.0 < cells[f, i] < (180.0 if i > 2 else 1e4)
        if not proper or not fill_lattice(cells[f], lattices[f]):
            continue
        record = _LOOPS_AT + LOOP_FIELDS * found[f, FIELDS * _X + 2]
        roles = np.zeros(found[f, record + 2], np.int64)
        for i in range(len(_ATOMS)):
            at = FIELDS * _ATOMS[i]
            if found[f, at + 2] == found[f, FIELDS * _X + 2]:
                roles[found[f, at]] = _ROLES[i]
        read = scan_rows(
            text[offsets[f] : offsets[f + 1]], found[f, record + 1], roles, elements, powers,
            fractional[a:b], occupancy[a:b], numbers[a:b], spans[a:b],
        )  # fmt: skip
        if read == NOT_PLAIN:
            continue
        verdict, firsts = look(
            lattices[f], fractional[a:b], occupancy[a:b], numbers[a:b], orbits[a:b],
            min_translation, min_volume, max_volume, min_distance, symprec,
        )  # fmt: skip
        if verdict == DOUBTFUL:
            continue
        told[f, _VERDICT], told[f, _DEUTERIUM], told[f, _SITES] = verdict, read == HEAVY, len(firsts)
        for i in firsts:
            kept[n_sites, 0] = offsets[f] + spans[a + i, 0]
            kept[n_sites, 1] = offsets[f] + spans[a + i, 1]
            n_sites += 1
        for i in range(len(_SAID)):
            for end in range(2):
                value = found[f, FIELDS * _SAID[i] + end]
                told[f, _SPANS + 2 * i + end] = value + offsets[f] if value >= 0 else -1
    return gather(text, kept, np.arange(n_sites))
