"""Writer of crystals: CIF, extended XYZ and POSCAR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.files import whole_text
from atomsight.io import read
from atomsight.io.formats import format_of


def write(crystals: Any, path: str | Path) -> int:
    """Write crystals to one file, whose name tells the format.

    A CIF holds a data block for each crystal, with all atoms of the cell in P 1 (`Crystal.to_cif`). An
    extended XYZ file (``.xyz``, ``.extxyz``) holds a frame for each. A POSCAR (``POSCAR``, ``.vasp``) holds
    one crystal, and neither its name nor labels. Reading the file gives the same atoms; the sites are found
    from the geometry.

    Args:
        crystals: crystals, objects or paths, see `atomsight.read`.
        path: the file. It is complete or absent, whatever happens.

    Returns:
        How many crystals were written.

    Raises:
        InputError: the name has no known format, there is no crystal, or a POSCAR gets several.
        OutputError: the file cannot be written.

    Example:
        >>> atomsight.write(atomsight.read("examples/paracetamol.cif"), "paracetamol.xyz")  # doctest: +SKIP
        1
    """
    path = Path(path)
    text = _TEXTS.get(format_of(path.name) or "")
    if text is None or path.name.lower().endswith(".gz"):
        raise InputError(
            f"{path}: the name of the file must end in .cif, .xyz, .extxyz or .vasp, or be POSCAR"
        )
    count = 0
    with whole_text(path) as file:
        for count, crystal in enumerate(read(crystals), start=1):
            if count == 2 and text is _poscar:
                raise InputError(f"{path}: a POSCAR holds one crystal; write each to a file of its own")
            file.write(text(crystal))
        if not count:
            raise InputError(f"{path}: there is no crystal to write")
    return count


def _extxyz(crystal: Crystal) -> str:
    lattice = " ".join(map(repr, crystal.lattice.ravel().tolist()))
    name = " ".join(crystal.name.replace("\\", "_").replace('"', "'").split())
    head = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 name="{name}" pbc="T T T"'
    positions = crystal.fractional @ crystal.lattice
    rows = zip(crystal.numbers.tolist(), positions.tolist(), strict=True)
    atoms = (f"{SYMBOLS[number]} {x!r} {y!r} {z!r}" for number, (x, y, z) in rows)
    return "\n".join([str(crystal.n_atoms), head, *atoms, ""])


def _poscar(crystal: Crystal) -> str:
    order = np.argsort(crystal.numbers, kind="stable")
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    lines = [
        " ".join(crystal.name.split()),
        "1.0",
        *(" ".join(map(repr, row)) for row in crystal.lattice.tolist()),
        " ".join(SYMBOLS[number] for number in numbers.tolist()),
        " ".join(map(str, counts.tolist())),
        "Direct",
        *(" ".join(map(repr, row)) for row in crystal.fractional[order].tolist()),
    ]
    return "\n".join([*lines, ""])


_TEXTS: dict[str, Callable[[Crystal], str]] = {
    "cif": Crystal.to_cif,
    "extxyz": _extxyz,
    "poscar": _poscar,
}
"""The writer of each format."""
