"""Molecules in boxes and small nets, as crystals."""

from __future__ import annotations

import numpy as np

from atomsight.core.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.core.elements import NUMBERS
from atomsight.geometry.bonds import perceive_bonds


def crystal(symbols: list[str], positions: object, lattice: object = None) -> Crystal:
    """Atoms at Cartesian positions, each a site of its own, in a cell or in a roomy box."""
    points = np.asarray(positions, float)
    cell = np.diag(np.ptp(points, axis=0) + 12.0) if lattice is None else np.asarray(lattice, float)
    return Crystal(
        name="made",
        lattice=cell,
        fractional=(points @ np.linalg.inv(cell)) % 1.0,
        numbers=np.array([NUMBERS[s] for s in symbols], np.uint8),
        orbits=np.arange(len(symbols), dtype=np.int32),
        labels=tuple(f"{s}{i}" for i, s in enumerate(symbols)),
    )


def bonds_by_site(made: Crystal, bonds: Bonds | None = None) -> list[list[tuple[int, str]]]:
    """For each site its bonded sites with the type, in order of site."""
    found = perceive_bonds(made) if bonds is None else bonds
    out: list[list[tuple[int, str]]] = [[] for _ in range(made.n_sites)]
    for site, atom, kind in zip(found.sites, found.atoms, found.types, strict=True):
        out[site].append((int(made.orbits[atom]), BOND_TYPES[kind]))
    return [sorted(listed) for listed in out]


def ring(n: int, radius: float, height: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """Corners of a regular polygon, (n, 3)."""
    angles = 2 * np.pi * np.arange(n) / n + turn
    return np.column_stack([radius * np.cos(angles), radius * np.sin(angles), np.full(n, height)])
