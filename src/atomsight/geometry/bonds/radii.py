"""Covalent radii, and which elements count as metals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PICOMETRES = """
    31 28 128 96 84 76 71 66 57 58 166 141 121 111 107 105 102 106 203 176 170 160 153 139 139 132 126
    124 132 122 122 120 119 120 120 116 220 195 190 175 164 154 147 146 142 139 145 144 142 139 139 138
    139 140 244 215 207 204 203 201 199 198 198 196 194 192 192 189 190 187 187 175 170 162 151 144 141
    136 136 132 145 146 148 140 150 150 260 221 215 206 200 196 190 187 180 169
"""

COVALENT = np.full(128, 1.7)
"""Covalent radius by atomic number, Å, for H to Cm; low-spin values for Mn, Fe and Co, and that of sp3
carbon. Heavier elements get 1.7. Cordero et al. 2008, 10.1039/b801115j."""
COVALENT[1:97] = [int(radius) / 100 for radius in _PICOMETRES.split()]

METAL = np.ones(128, bool)
"""Whether an element is treated as a metal. Boron, silicon, germanium, arsenic, selenium and tellurium are
not: they bind like their lighter neighbours."""
METAL[[0, 1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 33, 34, 35, 36, 52, 53, 54, 85, 86]] = False

ELECTROPOSITIVE = np.zeros(128, bool)
"""Groups 1 and 2, lanthanides and actinides: beside a non-metal they form no bonds with each other."""
ELECTROPOSITIVE[[3, 4, 11, 12, 19, 20, 37, 38, 55, 56, 87, 88, *range(57, 72), *range(89, 104)]] = True


def table_of(*numbers: int) -> NDArray[np.bool_]:
    """(128,) whether an element is one of these, to be indexed by atomic numbers."""
    table = np.zeros(128, bool)
    table[list(numbers)] = True
    return table
