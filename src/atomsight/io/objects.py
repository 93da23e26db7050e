"""Structures of ASE and pymatgen in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atomsight.io.ase import structure_from as from_ase
from atomsight.io.assemble import Structure, assemble
from atomsight.io.formats import library_of
from atomsight.io.plain import lattice_from, name_in, structure_of
from atomsight.io.policy import DEFAULT, QualityPolicy, SkipError

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
        structure, name = _from_pymatgen(item), name_in(item.properties, default)
    return assemble(structure, name, f"object #{place}", policy).crystal


def _from_pymatgen(structure: Any) -> Structure:
    """The structure of a `pymatgen.core.Structure`, shared positions and vacancies included.

    Raises:
        SkipError: ``no_cell`` where the lattice is not periodic in three directions, ``unknown_element`` for
            a dummy species.
    """
    lattice = lattice_from(structure.lattice.matrix, structure.lattice.pbc)
    symbols, labels, occupancy, fractional = [], [], [], []
    for place, site in enumerate(structure, start=1):
        for species, share in site.species.items():
            if not hasattr(species, "Z"):
                raise SkipError("unknown_element", f"atom {place}: {species} is no element")
            symbols.append(species.symbol)
            # Without a name of its own a site is labelled by its species, which tells nothing.
            named = site.label != site.species_string
            labels.append(site.label if named else f"{species.symbol}{place}")
            occupancy.append(float(share))
            fractional.append(site.frac_coords)
    return structure_of(lattice, symbols, fractional, labels=labels, occupancy=occupancy)
