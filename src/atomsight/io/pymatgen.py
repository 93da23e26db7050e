"""pymatgen: `Structure` objects."""

from __future__ import annotations

from typing import Any

from atomsight.io.assemble import Structure
from atomsight.io.plain import lattice_from, structure_of
from atomsight.io.policy import SkipError


def structure_from(structure: Any) -> Structure:
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
