"""Exact k-nearest-neighbour distances of periodic point sets: numbers in, distances out.

| module | what it holds |
|---|---|
| `knn` | `nearest_neighbours` of one crystal, `site_neighbours` of its symmetry-unique sites |
| `directions` | `site_surroundings`: the same, and where each neighbour lies; of several, `surroundings_of` |
| `batch` | `nearest_neighbours_batch`: many crystals in one call, over threads |
| `invariants`, `emd` | PDD and AMD of a crystal; the earth mover's distance between PDDs |
| `_kernel` | the compiled search |
| `_direct` | the search in NumPy, for inputs that are not worth a compilation |
| `_brute` | the oracle that the tests hold the kernel against |
"""

from __future__ import annotations

from atomsight.geometry.neighbours.batch import nearest_neighbours_batch as nearest_neighbours_batch
from atomsight.geometry.neighbours.directions import Surroundings as Surroundings
from atomsight.geometry.neighbours.directions import site_surroundings as site_surroundings
from atomsight.geometry.neighbours.directions import surroundings_in as surroundings_in
from atomsight.geometry.neighbours.directions import surroundings_of as surroundings_of
from atomsight.geometry.neighbours.emd import earth_movers_distance as earth_movers_distance
from atomsight.geometry.neighbours.emd import transport_cost as transport_cost
from atomsight.geometry.neighbours.invariants import amd as amd
from atomsight.geometry.neighbours.invariants import amd_batch as amd_batch
from atomsight.geometry.neighbours.invariants import amd_from_distances as amd_from_distances
from atomsight.geometry.neighbours.invariants import pdd as pdd
from atomsight.geometry.neighbours.invariants import pdd_from_distances as pdd_from_distances
from atomsight.geometry.neighbours.knn import MOST_NEIGHBOURS as MOST_NEIGHBOURS
from atomsight.geometry.neighbours.knn import checked_k as checked_k
from atomsight.geometry.neighbours.knn import nearest_neighbours as nearest_neighbours
from atomsight.geometry.neighbours.knn import site_neighbours as site_neighbours
from atomsight.geometry.neighbours.shared import neighbours_of as neighbours_of
