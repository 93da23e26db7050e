"""Symmetry: which atoms of a cell are copies of each other.

| function | what it does |
|---|---|
| `expand` | fills the cell from the asymmetric unit and the file's operations, special positions included |
| `find_orbits` | finds the orbits of a cell given without operations (P1), from the geometry alone |
| `first_atoms` | the first atom of each orbit |
| `determinant`, `inverse` | of a 3 x 3 matrix, compiled |
| `metric_misfit` | how far rotations change the lengths and angles of a cell |
| `primitive_atoms` | how many atoms a primitive cell has |
| `renumber` | numbers orbits in the order of their first atoms |
| `shortest_translation` | the shortest vector of a lattice |
"""

from __future__ import annotations

from atomsight.symmetry._lattice import determinant, inverse
from atomsight.symmetry.expand import Expansion, expand
from atomsight.symmetry.group import metric_misfit
from atomsight.symmetry.search import (
    find_orbits,
    first_atoms,
    primitive_atoms,
    renumber,
    shortest_translation,
)

__all__ = [
    "Expansion",
    "determinant",
    "expand",
    "find_orbits",
    "first_atoms",
    "inverse",
    "metric_misfit",
    "primitive_atoms",
    "renumber",
    "shortest_translation",
]
