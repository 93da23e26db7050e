"""SHELX's ``.res``, as refinements and crystal structure prediction (AIRSS) leave them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.io._atoms import DEUTERIUM, AtomTable, element_of
from atomsight.io._operations import CENTRINGS, Operations, operations_of
from atomsight.io.assemble import Structure, lattice_of
from atomsight.io.policy import SkipError

_INSTRUCTIONS = frozenset(
    """
    ABIN ACTA AFIX ANIS ANSC ANSR BASF BIND BLOC BOND BUMP CELL CGLS CHIV CONF CONN DAMP DANG DEFS DELU DFIX
    DISP EADP END EQIV EXTI EXYZ FEND FLAT FMAP FRAG FREE FVAR GRID HFIX HKLF HTAB ISOR LATT LAUE LIST L.S.
    MERG MOLE MORE MOVE MPLA NCSY NEUT OMIT PART PLAN PRIG REM RENU RESI RIGU RTAB SADI SAME SFAC SHEL SIMU
    SIZE SPEC STIR SUMP SWAT SYMM TEMP TIME TITL TWIN TWST UNIT WGHT WIGL WPDB XNPD ZERR
    """.split()
)
"""Words that begin an instruction (SHELXL manual); any other begins an atom."""

_PEAK = re.compile(r"Q\d+$", re.IGNORECASE)
_NEAR = 0.1
"""Å to its own copy within which an atom lies on a special position; refinement leaves it there exactly."""


@dataclass
class _File:
    """What the lines of a file say, as far as a crystal is concerned."""

    cell: list[float] = field(default_factory=list)
    centring: int = 1
    triplets: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    units: list[float] = field(default_factory=list)
    variables: list[float] = field(default_factory=list)
    atoms: list[tuple[str, int, list[float], float, int]] = field(default_factory=list)
    """Label, type, position, occupation factor, part."""


def parse(data: bytes) -> Structure:
    """Return the structure in a ``.res``, from its instructions and the atoms up to ``HKLF`` or ``END``.

    The instructions are ``CELL``, ``LATT``, ``SYMM``, ``SFAC``, ``FVAR``, ``PART``, ``RESI`` and ``MOVE``.
    Numbers coded as SHELX does (11.0 fixed at 1, 21.0 free variable 2, -21.0 its complement) are decoded.
    Its site occupation factor counts the multiplicity of a special position in; it is divided out again.
    Difference peaks (``Q1``) are no atoms. ``PART`` numbers become disorder groups.

    Raises:
        SkipError: ``no_cell``, ``bad_cell``, ``bad_symmetry``, ``unknown_element``, or ``syntax`` with the
            line that cannot be read.
    """
    found = _read(data)
    if len(found.cell) < 6:
        raise SkipError("no_cell", "no CELL instruction with three lengths and three angles")
    lattice = lattice_of(found.cell)
    if not found.atoms:
        raise SkipError("no_sites", "no atoms before HKLF or END")
    labels, types, positions, shares, parts = zip(*found.atoms, strict=True)
    operations = _operations(found)
    elements = np.array([_element(found.symbols, *atom) for atom in zip(labels, types, strict=True)])
    fractional = np.array(positions)
    copies = _site_symmetry(lattice, fractional, operations)
    occupancy: NDArray[np.float64] = np.multiply(shares, copies, dtype=np.float64)
    # The complement of a free variable and thirds leave a little over or under one.
    whole = np.abs(occupancy - 1.0) < 0.002
    occupancy = np.where(whole, 1.0, np.minimum(occupancy, 1.0))
    groups = [str(part) if part else "" for part in parts] if any(parts) else None
    return Structure(
        lattice,
        AtomTable.of(labels, elements, fractional, occupancy, groups),
        symmetry=lambda: (operations, False),
        space_group=_group_name(operations),
        formula_sum=_formula(found),
    )


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Instructions with the number of their first line, continued lines joined, comments taken off."""
    held, begun = "", 0
    for number, raw in enumerate(data.decode("latin-1").splitlines(), start=1):
        line = raw.split("!")[0].rstrip()
        if not held:
            if not line or line[0].isspace():
                continue
            begun = number
        if line.endswith("=") and not line.upper().startswith(("TITL", "REM")):
            held += line[:-1] + " "
            continue
        yield begun, held + line
        held = ""


def _read(data: bytes) -> _File:
    found = _File()
    part, part_share, residue = 0, math.nan, ""
    move, sign = [0.0, 0.0, 0.0], 1.0
    fragment = False
    for number, line in _lines(data):
        word, *rest = line.split()
        keyword = word.split("_")[0].upper()[:4]
        try:
            if keyword in ("END", "HKLF"):
                break
            if keyword in ("FRAG", "FEND"):
                fragment = keyword == "FRAG"
            elif fragment:
                continue
            elif keyword == "CELL":
                found.cell = [float(value) for value in rest[1:7]]
            elif keyword == "LATT":
                found.centring = int(float(rest[0])) if rest else 1
            elif keyword == "SYMM":
                found.triplets.append("".join(rest))
            elif keyword == "SFAC":
                # A symbol with numbers after it brings its own scattering factors.
                own = len(rest) > 1 and rest[1][0] in "+-.0123456789"
                found.symbols += [symbol.lstrip("$") for symbol in (rest[:1] if own else rest)]
            elif keyword == "UNIT":
                found.units = [float(value) for value in rest]
            elif keyword == "FVAR":
                found.variables += [float(value) for value in rest]
            elif keyword == "PART":
                part = int(float(rest[0])) if rest else 0
                part_share = float(rest[1]) if len(rest) > 1 else math.nan
            elif keyword == "RESI":
                numbers = [value for value in rest if value.lstrip("-").isdigit()]
                residue = f"_{numbers[0]}" if numbers and numbers[0] != "0" else ""
            elif keyword == "MOVE":
                move = [float(value) for value in rest[:3]]
                sign = float(rest[3]) if len(rest) > 3 else 1.0
            elif keyword not in _INSTRUCTIONS and not _PEAK.match(word):
                values = [float(value) for value in rest[:5]]
                share = values[4] if len(values) > 4 else 11.0
                share = share if math.isnan(part_share) else part_share
                *xyz, share = [_decoded(value, found.variables) for value in (*values[1:4], share)]
                position = [m + sign * x for m, x in zip(move, xyz, strict=True)]
                found.atoms.append((word + residue, int(values[0]), position, share, part))
        except (ValueError, IndexError):
            raise SkipError("syntax", f"line {number} cannot be read: {line[:60]!r}") from None
    return found


def _decoded(value: float, variables: Sequence[float]) -> float:
    """The value of a parameter that is coded as ``10 m + p``.

    It is p for m of 0 and 1, else p times free variable m, or, for a negative m, p times that variable less
    one.
    """
    m = int(math.copysign((abs(value) + 5) // 10, value))
    p = value - 10 * m
    if abs(m) <= 1:
        return p
    return p * variables[m - 1] if m > 0 else p * (variables[-m - 1] - 1.0)


def _element(symbols: Sequence[str], label: str, place: int) -> int:
    if not 1 <= place <= len(symbols):
        raise SkipError("unknown_element", f"atom {label!r} is of type {place}, which SFAC does not list")
    number = element_of(symbols[place - 1])
    if number is None:
        raise SkipError("unknown_element", f"atom {label!r}: {symbols[place - 1]!r} is no element")
    return number


def _operations(found: _File) -> Operations | None:
    if not 1 <= abs(found.centring) <= len(CENTRINGS):
        raise SkipError("bad_symmetry", f"LATT {found.centring} is no lattice type")
    # A positive LATT stands for an inversion at the origin.
    centring = list(CENTRINGS.values())[abs(found.centring) - 1]
    return operations_of(found.triplets, centring, inverted=found.centring > 0)


def _site_symmetry(
    lattice: NDArray[np.float64], fractional: NDArray[np.float64], operations: Operations | None
) -> NDArray[np.int64]:
    """(n,) how many operations leave each atom where it is."""
    if operations is None:
        return np.ones(len(fractional), np.int64)
    rotations, translations = operations
    gap = np.einsum("gij,nj->gni", rotations, fractional) + translations[:, None] - fractional
    gap -= np.round(gap)
    counts: NDArray[np.int64] = (np.linalg.norm(gap @ lattice, axis=2) <= _NEAR).sum(axis=0)
    return counts


def _group_name(operations: Operations | None) -> str | None:
    if operations is None:
        return None
    listed = []
    for rotation, translation in zip(*operations, strict=True):
        op = gemmi.Op()
        op.rot = np.rint(rotation * gemmi.Op.DEN).astype(int).tolist()
        op.tran = np.rint(translation * gemmi.Op.DEN).astype(int).tolist()
        listed.append(op)
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(listed))
    return None if group is None else group.hm


def _formula(found: _File) -> str | None:
    """Contents of the cell by SFAC and UNIT, which SHELX has whole molecules in mind with."""
    if not found.units or len(found.units) != len(found.symbols):
        return None
    counts: dict[str, float] = {}
    for symbol, count in zip(found.symbols, found.units, strict=True):
        number = element_of(symbol)
        if number is None or count <= 0:
            continue
        element = SYMBOLS[1 if number == DEUTERIUM else number]
        counts[element] = counts.get(element, 0.0) + count
    return " ".join(f"{element}{count:g}" for element, count in sorted(counts.items())) or None
