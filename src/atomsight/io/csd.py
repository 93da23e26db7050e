"""The Cambridge Structural Database, through the CCDC's licensed Python API (package ``ccdc``).

Written against the documentation of that interface
(https://downloads.ccdc.cam.ac.uk/documentation/API/) and tested with a stand-in for it: no licence was at
hand to try the real one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import BOND_TYPES, Crystal
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io._operations import CENTRINGS, Operations, operations_of
from atomsight.io.assemble import Structure, assemble, lattice_of
from atomsight.io.bond_tables import with_bonds
from atomsight.io.budgets import Budget
from atomsight.io.member import Member, OnSkip
from atomsight.io.plain import structure_of
from atomsight.io.policy import QualityPolicy, Reason, SkipError

_REFCODE = re.compile(r"[A-Z]{6}([0-9]{2})?\Z")
_FAMILY = re.compile(r"([A-Z]{6})\*\Z")
_RANGE = re.compile(r"([0-9]{0,9})-([0-9]{0,9})\Z")
_NEAR = 0.1
"""Å within which an atom of a molecule is an atom of the cell."""


def members_of(asked: str, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """Iterate over the entries that a source ``csd:...`` names, as references.

    Each worker process opens the database itself, so that they read in parallel.

    - nothing: all entries; ``0-100000``: those of these places, the last one not included, so that a database
      can be read in parts;
    - ``ABEBUF,AABHTZ01``: by refcode; ``ABEBUF*``: the whole family;
    - a file of refcodes, one a line, such as ConQuest's ``.gcd``.

    Raises:
        InputError: it is none of these.
        UnreachableError: the package, the database or its licence is missing.
    """
    reader, version = database()
    span = _RANGE.match(asked)
    if not asked or span is not None:
        count = len(reader)
        first, last = (span.group(1), span.group(2)) if span is not None else ("", "")
        for place in range(int(first or 0), min(int(last or count), count)):
            yield Member(f"csd-{place}", f"csd:#{place}", f"#{place} {version}".encode(), "csd")
        return
    for refcode in _refcodes(asked, reader):
        if _REFCODE.match(refcode):
            yield Member(refcode, f"csd:{refcode}", f"{refcode} {version}".encode(), "csd")
        else:
            report(f"csd:{refcode}", Reason("not_found", f"{refcode!r} is no refcode"))


def _refcodes(asked: str, reader: Any) -> list[str]:
    path = Path(asked)
    if len(asked) < 1024 and path.is_file():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return list(dict.fromkeys(line.split()[0].upper() for line in lines if line.strip()))
    found: list[str] = []
    for word in (part.strip().upper() for part in asked.split(",")):
        family = _FAMILY.match(word)
        if family is not None:
            members = [family.group(1), *(f"{family.group(1)}{number:02}" for number in range(1, 100))]
            found += [member for member in members if _entry(reader, member) is not None]
        elif _REFCODE.match(word):
            found.append(word)
        else:
            raise InputError(
                f"csd:{asked} is neither refcodes, a file of them, a family nor a range; give csd:ABEBUF, "
                "csd:list.gcd, csd:ABEBUF*, csd:0-100000, or csd: for all"
            )
    return found


@lru_cache(maxsize=1)
def database() -> tuple[Any, str]:
    """The reader of the CSD in this process, and its version.

    Raises:
        UnreachableError: the package, the database or its licence is missing.
    """
    try:
        io = import_module("ccdc.io")
        reader = io.EntryReader("CSD")
        version = getattr(io, "csd_version", lambda: "")()
        return reader, f"{version} {len(reader)}"
    except ImportError as error:
        raise UnreachableError(
            f"reading the CSD needs the CCDC's own Python package 'ccdc' ({error}). It is not on the public "
            "package index: install the CSD Python API of your licence into this environment, "
            "see https://downloads.ccdc.cam.ac.uk/documentation/API/"
        ) from error
    except Exception as error:
        raise UnreachableError(
            f"the CSD cannot be opened ({type(error).__name__}: {error}); check that the database is "
            "installed and the licence of the CCDC activated on this machine"
        ) from error


def _entry(reader: Any, refcode: str) -> Any:
    try:
        return reader.entry(refcode)
    except (RuntimeError, KeyError, IndexError):
        return None


def crystal_of(member: Member, policy: QualityPolicy) -> Crystal:
    """The crystal of an entry, named by its refcode, with the bond types that the CSD assigns.

    Raises:
        SkipError: the entry is turned away or not there.
        UnreachableError: the database cannot be opened.
    """
    reader, _ = database()
    key = member.data.decode().split()[0]
    entry = reader[int(key[1:])] if key.startswith("#") else _entry(reader, key)
    if entry is None:
        raise SkipError("not_found", f"the CSD has no entry {key}")
    try:
        assembled = assemble(structure_from(entry, policy), entry.identifier, member.source, policy)
    except SkipError as error:
        raise SkipError(error.reason.rule, f"{entry.identifier}: {error.reason}") from None
    return _bonded(assembled.crystal, entry.crystal)


def structure_from(entry: Any, policy: QualityPolicy) -> Structure:
    """The asymmetric unit of a `ccdc.entry.Entry`.

    The CSD marks the atoms of minor disorder components by a ``?`` at the end of their labels. They and the
    partly occupied rest are taken as two disorder groups, of which one must be whole; where the entry gives
    no occupancies, what is not marked is kept.

    Raises:
        SkipError: no coordinates, no cell, ``disorder`` or ``bad_symmetry``.
    """
    if not entry.has_3d_structure:
        raise SkipError("no_sites", "the entry has no coordinates")
    crystal = entry.crystal
    lattice = lattice_of([*crystal.cell_lengths, *crystal.cell_angles])
    atoms = list(crystal.asymmetric_unit_molecule.atoms)
    minor = np.array([atom.label.endswith("?") for atom in atoms], dtype=bool)
    occupancy = np.array([1.0 if atom.occupancy is None else float(atom.occupancy) for atom in atoms])
    flags: frozenset[str] = frozenset()
    groups = None
    if minor.any():
        if not policy.resolve_disorder:
            raise SkipError("disorder", "the entry is disordered")
        if (occupancy >= 0.999).all():
            atoms = [atom for atom, marked in zip(atoms, minor, strict=True) if not marked]
            occupancy, flags = occupancy[~minor], frozenset({"disorder_resolved"})
        else:
            groups = ["2" if m else "1" if o < 0.999 else "" for m, o in zip(minor, occupancy, strict=True)]
    found = structure_of(
        lattice,
        [atom.atomic_symbol for atom in atoms],
        [_position(atom) for atom in atoms],
        labels=[atom.label.rstrip("?") for atom in atoms],
        occupancy=occupancy,
        groups=groups,
        flags=flags,
    )
    group = crystal.spacegroup_symbol
    return replace(found, symmetry=lambda: (_operations(crystal), False), space_group=group)


def _position(atom: Any) -> list[float]:
    """Fractional coordinates; NaN for an atom that was not located."""
    where = atom.fractional_coordinates
    return [np.nan] * 3 if where is None else [where[0], where[1], where[2]]


def _operations(crystal: Any) -> Operations | None:
    """The operations of the entry, with the centring of its space group if they leave it out."""
    letter = (crystal.spacegroup_symbol or "P")[0].upper()
    if letter not in CENTRINGS or (letter == "R" and abs(crystal.cell_angles[2] - 120.0) >= 0.1):
        letter = "P"
    return operations_of(tuple(crystal.symmetry_operators), CENTRINGS[letter])


def _bonded(crystal: Crystal, entry_crystal: Any) -> Crystal:
    """The crystal with the bonds of the entry's molecules, whose atoms are found in the cell by place.

    Polymeric bonds, which the CSD draws to an atom outside of the molecule, are left to
    `atomsight.geometry.bonds`.
    """
    bonds = [bond for bond in entry_crystal.molecule.bonds if str(bond.bond_type).lower() != "polymeric"]
    ends = [[_position(atom) for atom in bond.atoms] for bond in bonds]
    if not ends:
        return crystal
    positions = np.array(ends, dtype=np.float64)  # (b, 2, 3)
    one, two = _sites_at(crystal, positions[:, 0]), _sites_at(crystal, positions[:, 1])
    length = np.linalg.norm((positions[:, 1] - positions[:, 0]) @ crystal.lattice, axis=1)
    words = [str(bond.bond_type).lower() for bond in bonds]
    kind = np.array([BOND_TYPES.index(word) if word in BOND_TYPES else 0 for word in words], dtype=np.int64)
    known = (one >= 0) & (two >= 0) & np.isfinite(length)
    return with_bonds(crystal, one[known], two[known], length[known], kind[known])


def _sites_at(crystal: Crystal, positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """(b,) the site whose atom is at each position; -1 where none is, as for an atom left out."""
    found = np.full(len(positions), -1, np.int64)
    for row in np.flatnonzero(np.isfinite(positions).all(axis=1)).tolist():
        gap = crystal.fractional - positions[row]
        gap -= np.round(gap)
        squares = ((gap @ crystal.lattice) ** 2).sum(axis=1)
        nearest = int(squares.argmin())
        if squares[nearest] <= _NEAR**2:
            found[row] = crystal.orbits[nearest]
    return found
