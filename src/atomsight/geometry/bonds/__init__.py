"""Which atoms are bonded, and how: from the file's own table, else perceived from the geometry.

| module | what it holds |
|---|---|
| `perceive` | `perceive_bonds`: the bonds of every site of a crystal |
| `connect` | which atoms are bonded: the periodic bond graph |
| `rings` | aromatic rings of that graph |
| `orders` | the type of each bond |
| `radii` | covalent radii; which elements are metals |
"""

from __future__ import annotations

from atomsight.geometry.bonds.perceive import perceive_bonds as perceive_bonds

__all__ = ["perceive_bonds"]
