"""Real structures for the benchmarks, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import atomsight

SETS = {
    "covalent organic frameworks": ("curated-cofs.tar.xz", 40),
    "minerals": ("openchemistry-crystals.tar.xz", 300),
    "CSP cells": ("csp-inorganic.tar.xz", 600),
}
"""Name of a set: its archive in the data folder, and how many structures of it are taken."""

MOFS = ("metal-organic frameworks", 40)


@dataclass(frozen=True)
class Structures:
    """Structures one after another: cells (c, 3, 3), positions (N, 3), offsets (c + 1,)."""

    name: str
    lattices: NDArray[np.float64]
    fractional: NDArray[np.float64]
    offsets: NDArray[np.int64]

    @property
    def sites(self) -> int:
        return len(self.fractional)

    def __len__(self) -> int:
        return len(self.lattices)

    def each(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        return [
            (lattice, self.fractional[p:q])
            for lattice, p, q in zip(self.lattices, self.offsets[:-1], self.offsets[1:], strict=True)
        ]


def structures_of(name: str, archive: Path, count: int) -> Structures:
    """The first crystals of an archive that the readers accept, every atom of the cell a query."""
    crystals = list(islice(atomsight.read(archive, on_skip=lambda source, reason: None), count))
    return Structures(
        name,
        np.array([c.lattice for c in crystals]),
        np.concatenate([c.fractional for c in crystals]),
        np.cumsum([0] + [c.n_atoms for c in crystals]),
    )


def corpora(data: Path, mofs: Path) -> list[Structures]:
    """The sets of the comparison."""
    found = [structures_of(MOFS[0], mofs, MOFS[1])]
    found += [structures_of(name, data / archive, count) for name, (archive, count) in SETS.items()]
    return found
