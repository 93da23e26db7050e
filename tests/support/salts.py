"""Binary salts of the rock salt and zinc blende types, as crystals and as an archive of CIFs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS

ROCK_SALT, ZINC_BLENDE = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def cubic(symbols: str, length: float, second: tuple[float, float, float]) -> Crystal:
    """Two face-centred cubic lattices, the second shifted: rock salt or zinc blende."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    one, other = (SYMBOLS.index(symbol) for symbol in symbols.split())
    return Crystal(
        name=symbols.replace(" ", ""),
        lattice=np.eye(3) * length,
        fractional=np.concatenate([corners, (corners + second) % 1]),
        numbers=np.array([one] * 4 + [other] * 4, np.uint8),
        orbits=np.repeat([0, 1], 4).astype(np.int32),
        labels=(f"{symbols.split()[0]}1", f"{symbols.split()[1]}1"),
    )


def cif_of(crystal: Crystal) -> str:
    """Of a cubic crystal, all atoms of the cell."""
    length = crystal.lattice[0, 0]
    rows = "\n".join(
        f"{SYMBOLS[z]}{i} {SYMBOLS[z]} {x:.4f} {y:.4f} {w:.4f}"
        for i, (z, (x, y, w)) in enumerate(zip(crystal.numbers.tolist(), crystal.fractional, strict=True))
    )
    cell = "\n".join(f"_cell_length_{axis} {length}" for axis in "abc")
    cell += "\n" + "\n".join(f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma"))
    site = "\n".join(
        f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    )
    return f"data_{crystal.name}\n{cell}\nloop_\n{site}\n{rows}\n"


def archive_of(crystals: Iterable[Crystal], path: Path) -> Path:
    """A ``.tar.gz`` of them."""
    with tarfile.open(path, "w:gz") as archive:
        for crystal in crystals:
            text = cif_of(crystal).encode()
            entry = tarfile.TarInfo(f"{crystal.name}.cif")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return path
