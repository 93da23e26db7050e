"""Structures of other libraries, handed over in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atomsight.io.ase import structure_from as from_ase
from atomsight.io.assemble import assemble
from atomsight.io.formats import library_of
from atomsight.io.plain import name_in
from atomsight.io.policy import DEFAULT, QualityPolicy
from atomsight.io.pymatgen import structure_from as from_pymatgen

if TYPE_CHECKING:
    from atomsight.core.crystal import Crystal


def crystal_from(item: Any, place: int = 0, policy: QualityPolicy = DEFAULT) -> Crystal:
    """The crystal of an object that `library_of` knows.

    It is named by its own properties (``info`` of ASE, ``properties`` of pymatgen), else ``object-0`` and so
    on by `place`, its place in the list.

    Raises:
        SkipError: it is turned away.
    """
    library = library_of(item)
    if library == "atomsight":
        crystal: Crystal = item
        return crystal
    default = f"object-{place}"
    if library == "ase":
        structure, name = from_ase(item), name_in(item.info, default)
    else:
        structure, name = from_pymatgen(item), name_in(item.properties, default)
    return assemble(structure, name, f"object #{place}", policy).crystal
