"""Exact k-nearest-neighbour distances of periodic point sets: numbers in, distances out.

| module | what it holds |
|---|---|
| `knn` | `nearest_neighbours` of one crystal, `site_neighbours` of its symmetry-unique sites |
| `batch` | many crystals in one call |
| `_grid`, `_lattice`, `_select` | the kernel: grid search, lattice reduction, ordering of candidates |
| `_brute` | the oracle that the tests hold it against |
"""

from __future__ import annotations

from atomsight.neighbours.knn import nearest_neighbours as nearest_neighbours
from atomsight.neighbours.knn import site_neighbours as site_neighbours
