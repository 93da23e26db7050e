"""The bonds of a crystal's sites: what the file lists, completed by what the geometry tells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import BOND_TYPES, Bonds, Crystal


def perceive_bonds(crystal: Crystal, *, use_table: bool = True) -> Bonds:
    """All bonded neighbours of every site, with types.

    The crystal is a periodic graph. No molecule is cut out of it, so that frameworks and endless chains are
    treated as molecules are. A bond whose type cannot be determined has the type ``unknown``.

    Args:
        crystal: any crystal.
        use_table: keep the bonds that the file lists (`Crystal.bonds`) and their types; perceive the others,
            and the types that it does not state. False: perceive all.
    """
    from atomsight.geometry.bonds.connect import bond_graph
    from atomsight.geometry.bonds.orders import bond_types

    graph = bond_graph(crystal)
    types = bond_types(graph)
    atoms = crystal.representatives
    counts = graph.start[atoms + 1] - graph.start[atoms]
    offsets = np.repeat(graph.start[atoms] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    chosen = np.arange(counts.sum()) + offsets
    found = Bonds(
        np.repeat(np.arange(len(atoms), dtype=np.uint32), counts),
        graph.second[chosen].astype(np.int32),
        graph.image[chosen].astype(np.int32),
        graph.length[chosen],
        types[chosen],
    )
    return _ordered(found if crystal.bonds is None or not use_table else _merged(crystal.bonds, found))


def _merged(table: Bonds, found: Bonds) -> Bonds:
    """Return the bonds of a table and the perceived bonds that it lacks.

    Bonds of unknown type get the perceived type.
    """
    places = {key: place for place, key in enumerate(_keys(table))}
    types = table.types.copy()
    missing = np.ones(len(found), bool)
    unknown = BOND_TYPES.index("unknown")
    for place, key in enumerate(_keys(found)):
        at = places.get(key)
        if at is not None:
            missing[place] = False
            if types[at] == unknown:
                types[at] = found.types[place]

    def joined(name: str) -> NDArray[Any]:
        first = types if name == "types" else getattr(table, name)
        return np.concatenate([first, getattr(found, name)[missing]])

    return Bonds(*(joined(name) for name in ("sites", "atoms", "images", "lengths", "types")))


def _keys(bonds: Bonds) -> list[tuple[int, ...]]:
    return list(
        map(tuple, np.column_stack([bonds.sites, bonds.atoms, bonds.images]).astype(np.int64).tolist())
    )


def _ordered(bonds: Bonds) -> Bonds:
    """By site, then length."""
    order = np.lexsort((bonds.atoms, bonds.lengths, bonds.sites))
    return Bonds(*(getattr(bonds, n)[order] for n in ("sites", "atoms", "images", "lengths", "types")))
