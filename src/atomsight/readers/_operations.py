"""The symmetry operations that a CIF block gives, or names."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.readers._atoms import _string as text_of
from atomsight.readers.quality import SkipError

_LISTS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_HALL = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NAMES = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_MOST = 192 * 8


def space_group_name(block: gemmi.cif.Block) -> str | None:
    """The Hermann-Mauguin symbol that the file states."""
    return next((name for tag in _NAMES if (name := text_of(block, tag))), None)


def operations(
    block: gemmi.cif.Block, cell: gemmi.UnitCell
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool] | None:
    """Rotations (g, 3, 3), translations (g, 3) and whether they had to be looked up by name; None for the identity alone.

    A list of operations in the file comes first; then the Hall symbol, the Hermann-Mauguin symbol (for rhombohedral groups
    the setting that fits the cell), the number in the International Tables. A file that says nothing is P 1.

    Raises:
        SkipError: ``bad_symmetry`` where an operation cannot be read, or the list is no group.
    """
    for tag in _LISTS:
        triplets = [gemmi.cif.as_string(value) for value in block.find_values(tag) if value not in ("?", ".")]
        if triplets:
            return _listed(triplets)
    named = _named(block, cell)
    return None if named is None or len(named) == 1 else (*_arrays(named), True)


def _listed(triplets: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64], bool] | None:
    if len(triplets) > _MOST:
        raise SkipError("bad_symmetry", f"{len(triplets)} symmetry operations; no group has as many")
    found: dict[str, gemmi.Op] = {}
    for triplet in triplets:
        try:
            op = gemmi.Op(triplet).wrap()
        except (RuntimeError, ValueError) as error:
            raise SkipError(
                "bad_symmetry", f"symmetry operation {triplet!r} cannot be read: {error}"
            ) from None
        if abs(op.det_rot()) != gemmi.Op.DEN**3:
            raise SkipError("bad_symmetry", f"symmetry operation {triplet!r} does not keep volumes")
        found[op.triplet()] = op
    if len(found) == 1 and "x,y,z" in found:
        return None
    ops = list(found.values())
    group = set(found)
    for a in ops:
        for b in ops:
            if (a * b).wrap().triplet() not in group:
                raise SkipError("bad_symmetry", "the listed symmetry operations do not form a group")
    return (*_arrays(ops), False)


def _named(block: gemmi.cif.Block, cell: gemmi.UnitCell) -> list[gemmi.Op] | None:
    for tag in _HALL:
        hall = text_of(block, tag)
        if hall:
            try:
                return list(gemmi.symops_from_hall(hall))
            except (RuntimeError, ValueError):
                continue
    for tag in _NAMES:
        name = text_of(block, tag)
        group = gemmi.find_spacegroup_by_name(name, cell.alpha, cell.gamma) if name else None
        if group is not None:
            return list(group.operations())
    for tag in _NUMBERS:
        number = text_of(block, tag)
        if number and number.isdigit() and 1 <= int(number) <= 230:
            return list(gemmi.find_spacegroup_by_number(int(number)).operations())
    if (stated := space_group_name(block)) is not None:
        raise SkipError(
            "bad_symmetry", f"no operations are listed and the space group {stated!r} is not known"
        )
    return None


def _arrays(ops: list[gemmi.Op]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ops = sorted(
        ops, key=lambda op: op.triplet() != "x,y,z"
    )  # the identity first: a site's first copy is its own position
    rotations = np.array([op.rot for op in ops], np.float64) / gemmi.Op.DEN
    return rotations, np.array([op.tran for op in ops], np.float64) / gemmi.Op.DEN
