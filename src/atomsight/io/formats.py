"""Which format a file is in, told from its name; the library of an object, told from its class."""

from __future__ import annotations

import re

SUFFIXES: dict[str, str] = {
    ".cif": "cif",
    ".res": "shelx",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".contcar": "poscar",
    ".db": "ase",
    ".traj": "ase",
}
"""Format by suffix, in any case, with or without ``.gz`` after it."""

BY_PATH = frozenset({"ase"})
"""Formats that their library opens by path: not read from archives, nor from ``.gz``."""

_CLASSES = {"Atoms": "ase", "IStructure": "pymatgen", "Crystal": "atomsight"}
_VASP = re.compile(r"(POSCAR|CONTCAR)([._-].*)?$", re.IGNORECASE)


def format_of(name: str) -> str | None:
    """The format of a file by its name, a value of `SUFFIXES`; None where no reader claims it."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    packed = base.endswith(".gz")
    base = base.removesuffix(".gz")
    dot = base.rfind(".")
    found = SUFFIXES.get(base[dot:]) if dot >= 0 else None
    if found is None and _VASP.match(base):
        found = "poscar"
    return None if packed and found in BY_PATH else found


def stem(name: str) -> str:
    """File name without folder and suffix: ``a/ABAVIJ_clean.cif`` gives ``ABAVIJ_clean``.

    VASP calls every file ``POSCAR``; such a one takes the name of its folder, where it has one.
    """
    parts = name.replace("\\", "/").split("/")
    base = parts[-1]
    bare = base[:-3] if base.lower().endswith(".gz") else base
    if re.fullmatch("POSCAR|CONTCAR", bare, re.IGNORECASE):
        return parts[-2] if len(parts) > 1 and parts[-2] not in ("", ".", "..") else bare
    dot = bare.rfind(".")
    return bare[:dot] if dot > 0 and bare[dot:].lower() in SUFFIXES else base


def library_of(item: object) -> str | None:
    """``ase``, ``pymatgen`` or ``atomsight`` for an `Atoms`, `Structure` or `Crystal`; None for all else.

    Told by the names of the classes, so that no library is imported to ask.
    """
    for kind in type(item).__mro__:
        library = kind.__module__.split(".")[0]
        if library == _CLASSES.get(kind.__name__):
            return library
    return None
