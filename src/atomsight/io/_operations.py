"""The symmetry operations that a CIF block gives, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.geometry.symmetry.group import distinct, is_group
from atomsight.io._syntax import text_of
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
CENTRINGS: dict[str, NDArray[np.float64]] = {
    letter: np.array(gemmi.symops_from_hall(f"{letter} 1").cen_ops) / gemmi.Op.DEN for letter in "PIRFABC"
}
"""Translations of a centred lattice, zero first; R on hexagonal axes. In the order of SHELX's numbers."""

_SLACK = 0.01  # translations are printed as 0.333, or as fractions of any denominator
_TERM = r"([+-]?)(?:([xyz])|((?:\d*\.)?\d+)(?:/(0*[1-9]\d*))?)"
_SUM = re.compile(rf"{_TERM}(?:(?=[+-]){_TERM})*", re.IGNORECASE)


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
            return _listed(tuple(triplets)), False
    named = _named(block, angles)
    return (None, False) if named is None or len(named[0]) == 1 else (named, True)


@lru_cache(maxsize=1024)
def _listed(values: tuple[str, ...]) -> Operations | None:
    """The operations of a list, None for the identity. Files share few lists: what is found is kept."""
    rotations, translations = _group(*_parsed([gemmi.cif.as_string(value) for value in values]))
    if len(rotations) == 1:
        return None
    # The identity comes first, so that a site's first copy is its own position.
    first = np.argsort(
        ~(rotations == np.eye(3)).all(axis=(1, 2)) | (np.abs(translations).max(axis=1) > _SLACK)
    )
    return rotations[first], translations[first]


def _parsed(triplets: Sequence[str]) -> Operations:
    """Rotations and translations of some triplets.

    Raises:
        SkipError: ``bad_symmetry`` where there are too many, or one cannot be read or does not keep volumes.
    """
    if len(triplets) > _LONGEST:
        raise SkipError("bad_symmetry", f"{len(triplets)} symmetry operations; no group has as many")
    rotations, translations = [], []
    for triplet in triplets:
        op = parse_operation(triplet)
        problem = "cannot be read" if op is None else "does not keep volumes"
        if op is None or round(abs(np.linalg.det(op[0]))) != 1:
            raise SkipError("bad_symmetry", f"the symmetry operation {triplet!r} {problem}")
        rotations.append(op[0])
        translations.append(op[1])
    return np.array(rotations).reshape(-1, 3, 3), np.array(translations).reshape(-1, 3)


def _group(rotations: NDArray[np.float64], translations: NDArray[np.float64]) -> Operations:
    """The operations without repeats.

    Raises:
        SkipError: ``bad_symmetry`` where they are no group.
    """
    kept = distinct(rotations, translations, _SLACK)
    rotations, translations = rotations[kept], translations[kept]
    if len(kept) > _MOST:
        raise SkipError("bad_symmetry", f"{len(kept)} symmetry operations; no group has as many")
    if not is_group(rotations, translations, 2 * _SLACK):
        raise SkipError("bad_symmetry", "the listed symmetry operations do not form a group")
    return rotations, translations


def parse_operation(triplet: str) -> Operations | None:
    """Rotation (3, 3) and translation (3,) of a triplet such as ``-x+1/2, y, z+415/474``; None for none."""
    try:
        rotations, translations = arrays_of([gemmi.Op(triplet)])
        return rotations[0], translations[0]
    except (RuntimeError, ValueError):
        pass  # gemmi takes fractions of 24 only
    parts = triplet.replace(" ", "").split(",")
    if len(parts) != 3 or not all(map(_SUM.fullmatch, parts)):
        return None
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    for row, part in enumerate(parts):
        for sign, axis, number, divisor in re.findall(_TERM, part.lower()):
            factor = -1.0 if sign == "-" else 1.0
            if axis:
                rotation[row, "xyz".index(axis)] += factor
            else:
                translation[row] += factor * float(Fraction(number) / int(divisor or 1))
    return rotation, translation - np.floor(translation)


def operations_of(
    triplets: Sequence[str], centring: NDArray[np.float64], inverted: bool = False
) -> Operations | None:
    """Return the operations that some generate with a centring and an inversion at the origin.

    The identity comes first; None stands for the identity alone.

    Raises:
        SkipError: ``bad_symmetry``.
    """
    turns, moves = _parsed(["x,y,z", *triplets])
    if inverted:
        turns, moves = np.concatenate((turns, -turns)), np.concatenate((moves, -moves))
    moves = (centring[:, None] + moves).reshape(-1, 3)
    found = _group(np.tile(turns, (len(centring), 1, 1)), moves - np.floor(moves))
    return None if len(found[0]) == 1 else found


def _named(block: gemmi.cif.Block, angles: list[float]) -> Operations | None:
    halls, names, numbers = (
        [text for tag in tags if (text := text_of(block, tag))] for tags in (_HALL, _NAMES, _NUMBERS)
    )
    for hall in halls:
        with suppress(RuntimeError, ValueError):
            return _looked_up(gemmi.symops_from_hall(hall))
    for name in names:
        group = gemmi.find_spacegroup_by_name(name, angles[0], angles[2])
        if group is not None:
            return _looked_up(group.operations())
    for number in numbers:
        if number.isdigit() and 1 <= int(number) <= 230:
            return _looked_up(gemmi.find_spacegroup_by_number(int(number)).operations())
    if names:
        text = f"no operations are listed and the space group {names[0]!r} is not known"
        raise SkipError("bad_symmetry", text)
    return None


def _looked_up(group: gemmi.GroupOps) -> Operations:
    return arrays_of(sorted(group, key=lambda op: op.triplet() != "x,y,z"))


def arrays_of(operations: Sequence[gemmi.Op]) -> Operations:
    """Rotations (g, 3, 3) and translations (g, 3)."""
    rotations = np.array([op.rot for op in operations], np.float64).reshape(-1, 3, 3)
    translations = np.array([op.tran for op in operations], np.float64).reshape(-1, 3)
    return rotations / gemmi.Op.DEN, translations / gemmi.Op.DEN
