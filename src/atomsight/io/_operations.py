"""The symmetry operations that a CIF block gives, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.symmetry.group import distinct, is_group
from atomsight.io._tags import text_of
from atomsight.io.policy import SkipError

Operations = tuple[NDArray[np.float64], NDArray[np.float64]]

OPERATION_LISTS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_HALL = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NAMES = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_MOST = 192  # operations of the largest groups, those of face-centred cubic cells
_LONGEST = 4 * _MOST  # of a list that repeats some
CENTRINGS: dict[int, list[tuple[float, float, float]]] = {
    1: [],
    2: [(0.5, 0.5, 0.5)],
    3: [(2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)],
    4: [(0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)],
    5: [(0.0, 0.5, 0.5)],
    6: [(0.5, 0.0, 0.5)],
    7: [(0.5, 0.5, 0.0)],
}
"""Translations of a centred lattice, by SHELX's numbers: P, I, R on hexagonal axes, F, A, B, C."""

_SLACK = 0.01  # translations are printed as 0.333, or as fractions of any denominator
_TERM = re.compile(r"([+-]?)(?:([xyz])|(\d*\.?\d+|\d+\.)(?:/(\d+))?)", re.IGNORECASE)


def space_group_name(block: gemmi.cif.Block) -> str | None:
    """The Hermann-Mauguin symbol that the file states."""
    return next((name for tag in _NAMES if (name := text_of(block, tag))), None)


def operations(block: gemmi.cif.Block, angles: list[float]) -> tuple[Operations | None, bool]:
    """Rotations (g, 3, 3) with translations (g, 3), identity first, and whether they were looked up by name.

    None stands for the identity alone. A list of operations in the file comes first; then the Hall symbol,
    the Hermann-Mauguin symbol (of a rhombohedral group the setting that fits the cell), the number in the
    International Tables. A file that says nothing is P 1.

    Args:
        block: the data block.
        angles: of the cell, °; they tell the settings of a rhombohedral group apart.

    Raises:
        SkipError: ``bad_symmetry`` where an operation cannot be read, the list is no group, or a name is
            unknown.
    """
    for tag in OPERATION_LISTS:
        triplets = [value for value in block.find_values(tag) if value not in ("?", ".")]
        if triplets:
            found = _listed(tuple(triplets))
            if isinstance(found, str):
                raise SkipError("bad_symmetry", found)
            return found, False
    named = _named(block, angles)
    return (None, False) if named is None or len(named[0]) == 1 else (named, True)


@lru_cache(maxsize=1024)
def _listed(values: tuple[str, ...]) -> Operations | str | None:
    """The operations of a list, None for the identity, or what is wrong with it.

    Files share few lists: what is found is kept.
    """
    if len(values) > _LONGEST:
        return f"{len(values)} symmetry operations; no group has as many"
    ops = []
    for triplet in map(gemmi.cif.as_string, values):
        op = parse_operation(triplet)
        if op is None:
            return f"the symmetry operation {triplet!r} cannot be read"
        if round(abs(np.linalg.det(op[0]))) != 1:
            return f"the symmetry operation {triplet!r} does not keep volumes"
        ops.append(op)
    rotations, translations = np.array([op[0] for op in ops]), np.array([op[1] for op in ops])
    kept = distinct(rotations, translations, _SLACK)
    rotations, translations = rotations[kept], translations[kept]
    if len(kept) > _MOST:
        return f"{len(kept)} symmetry operations; no group has as many"
    if not is_group(rotations, translations, 2 * _SLACK):
        return "the listed symmetry operations do not form a group"
    if len(kept) == 1:
        return None
    # The identity comes first, so that a site's first copy is its own position.
    first = np.argsort(
        ~(rotations == np.eye(3)).all(axis=(1, 2)) | (np.abs(translations).max(axis=1) > _SLACK)
    )
    return rotations[first], translations[first]


def parse_operation(triplet: str) -> Operations | None:
    """Rotation (3, 3) and translation (3,) of a triplet such as ``-x+1/2, y, z+415/474``; None for none."""
    try:
        op = gemmi.Op(triplet)
        return np.array(op.rot) / gemmi.Op.DEN, np.array(op.tran) / gemmi.Op.DEN
    except (RuntimeError, ValueError):
        pass  # gemmi takes fractions of 24 only
    parts = triplet.replace(" ", "").split(",")
    if len(parts) != 3:
        return None
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    for row, part in enumerate(parts):
        position = 0
        while position < len(part):
            term = _TERM.match(part, position)
            if term is None or (position and not term.group(1)):
                return None
            sign = -1.0 if term.group(1) == "-" else 1.0
            if term.group(2):
                rotation[row, "xyz".index(term.group(2).lower())] += sign
            else:
                divisor = int(term.group(4) or 1)
                if divisor == 0:
                    return None
                translation[row] += sign * float(Fraction(term.group(3)) / divisor)
            position = term.end()
        if not part:
            return None
    return rotation, translation - np.floor(translation)


def operations_of(
    triplets: Sequence[str], centring: Sequence[tuple[float, float, float]] = (), inverted: bool = False
) -> Operations | None:
    """Return the operations that some generate with a centring and an inversion at the origin.

    The identity comes first; None stands for the identity alone.

    Raises:
        SkipError: ``bad_symmetry``.
    """
    if len(triplets) > _LONGEST:
        raise SkipError("bad_symmetry", f"{len(triplets)} symmetry operations; no group has as many")
    rotations, translations = [np.eye(3)], [np.zeros(3)]
    for triplet in triplets:
        op = parse_operation(triplet)
        if op is None:
            raise SkipError("bad_symmetry", f"the symmetry operation {triplet!r} cannot be read")
        rotations.append(op[0])
        translations.append(op[1])
    if inverted:
        rotations += [-rotation for rotation in rotations]
        translations += [-translation for translation in translations]
    shifts = [np.zeros(3), *(np.array(shift) for shift in centring)]
    turns = np.array([rotation for _ in shifts for rotation in rotations])
    moves = np.array([translation + shift for shift in shifts for translation in translations])
    moves -= np.floor(moves)
    kept = distinct(turns, moves, _SLACK)
    turns, moves = turns[kept], moves[kept]
    if len(kept) > _MOST or not is_group(turns, moves, 2 * _SLACK):
        raise SkipError("bad_symmetry", "the symmetry operations do not form a group")
    return None if len(kept) == 1 else (turns, moves)


def _named(block: gemmi.cif.Block, angles: list[float]) -> Operations | None:
    for tag in _HALL:
        hall = text_of(block, tag)
        if hall:
            try:
                return _arrays(gemmi.symops_from_hall(hall))
            except (RuntimeError, ValueError):
                continue
    for tag in _NAMES:
        name = text_of(block, tag)
        group = gemmi.find_spacegroup_by_name(name, angles[0], angles[2]) if name else None
        if group is not None:
            return _arrays(group.operations())
    for tag in _NUMBERS:
        number = text_of(block, tag)
        if number and number.isdigit() and 1 <= int(number) <= 230:
            return _arrays(gemmi.find_spacegroup_by_number(int(number)).operations())
    if (stated := space_group_name(block)) is not None:
        raise SkipError(
            "bad_symmetry", f"no operations are listed and the space group {stated!r} is not known"
        )
    return None


def _arrays(group: gemmi.GroupOps) -> Operations:
    ops = sorted(group, key=lambda op: op.triplet() != "x,y,z")
    rotations = np.array([op.rot for op in ops], np.float64) / gemmi.Op.DEN
    return rotations, np.array([op.tran for op in ops], np.float64) / gemmi.Op.DEN
