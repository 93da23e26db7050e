"""Which format a file is in, told from its name; the library of an object, told from its class; the reader
of each."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomsight.crystal import Crystal
    from atomsight.readers.quality import QualityPolicy
    from atomsight.readers.sources import Member

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

_READERS = {
    "shelx": "atomsight.readers.shelx",
    "poscar": "atomsight.readers.poscar",
    "extxyz": "atomsight.readers.extxyz",
    "plain": "atomsight.readers.plain",
    "optimade": "atomsight.readers.optimade",
    "csd": "atomsight.readers.csd",
}
_VASP = re.compile(r"(POSCAR|CONTCAR)([._-].*)?$", re.IGNORECASE)


def kind_of(name: str) -> str | None:
    """The format of a file by its name, a value of `SUFFIXES`; None where no reader claims it."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    packed = base.endswith(".gz")
    base = base.removesuffix(".gz")
    dot = base.rfind(".")
    kind = SUFFIXES.get(base[dot:]) if dot >= 0 else None
    if kind is None and _VASP.match(base):
        kind = "poscar"
    return None if packed and kind in BY_PATH else kind


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
        if (library, kind.__name__) in (
            ("ase", "Atoms"),
            ("pymatgen", "IStructure"),
            ("atomsight", "Crystal"),
        ):
            return library
    return None


def crystal_of(member: Member, policy: QualityPolicy) -> Crystal:
    """The crystal of a member that is no CIF.

    Raises:
        SkipError: it is turned away.
        MissingExtraError: its format needs a package that is not installed.
    """
    return import_module(_READERS[member.kind]).crystal_of(member, policy)
