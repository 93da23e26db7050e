"""Symmetry: which atoms of a cell are copies of each other.

| function | what it does |
|---|---|
| `expand` | fills the cell from the asymmetric unit and the file's operations, special positions included |
| `find_orbits` | finds the orbits of a cell given without operations (P1), from the geometry alone |
| `renumber` | numbers orbits in the order of their first atoms |
| `shortest_translation` | the shortest vector of a lattice |
"""

from __future__ import annotations

from atomsight.symmetry.expand import Expansion, expand
from atomsight.symmetry.search import find_orbits, renumber, shortest_translation

__all__ = ["Expansion", "expand", "find_orbits", "renumber", "shortest_translation"]
