"""Atoms as plain columns: what formats without symmetry have in common, and how they travel to a worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.io._atoms import AtomTable, element_of
from atomsight.io.assemble import Structure
from atomsight.io.policy import SkipError

NAME_KEYS = ("name", "id", "material_id", "refcode", "identifier")
"""Where programs keep the name of a structure among its properties, first found first taken."""


def count_of(text: str, what: str) -> int:
    """A number of atoms or columns as a file states it.

    Raises:
        SkipError: ``syntax`` where it is no whole number of at most nine digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise SkipError("syntax", f"{what} should be a number of atoms or columns, not {text[:40]!r}")
    return int(text)


def lattice_from(vectors: ArrayLike, periodic: Sequence[bool] = (True, True, True)) -> NDArray[np.float64]:
    """(3, 3) lattice of cell vectors in rows, Å.

    Raises:
        SkipError: ``no_cell`` where the atoms do not repeat in three directions, ``bad_cell`` where the
            vectors enclose no volume.
    """
    lattice = np.array(vectors, dtype=np.float64)
    if lattice.shape != (3, 3) or not lattice.any() or not any(periodic):
        raise SkipError("no_cell", "no cell: a molecule or cluster, not a crystal")
    if not all(periodic):
        raise SkipError("no_cell", f"periodic in {sum(map(bool, periodic))} of 3 directions, so no crystal")
    if not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1e-3:
        raise SkipError("bad_cell", "the cell vectors enclose no volume")
    return lattice


def structure_of(
    lattice: NDArray[np.float64],
    symbols: Sequence[str],
    fractional: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    occupancy: ArrayLike | None = None,
    groups: list[str] | None = None,
    assemblies: list[str] | None = None,
    formula_sum: str | None = None,
    flags: frozenset[str] = frozenset(),
) -> Structure:
    """A structure from columns, one value an atom; all atoms of the cell, as there are no operations.

    Args:
        lattice: (3, 3), Å.
        symbols: n element symbols; D and T count as H.
        fractional: (n, 3); NaN where unknown.
        labels: n; default is the symbol with the atom's place in the list, from 1: ``O5`` is the fifth atom.
        occupancy: (n,); default 1.
        groups: disorder groups, see `AtomTable`.
        assemblies: disorder assemblies, see `AtomTable`.
        formula_sum: see `Structure`.
        flags: see `Structure`.

    Raises:
        SkipError: ``unknown_element``, or ``no_sites`` where there is no atom.
    """
    if not len(symbols):
        raise SkipError("no_sites", "no atoms")
    known = {symbol: element_of(symbol) for symbol in set(symbols)}
    for place, symbol in enumerate(symbols, start=1):
        if known[symbol] is None:
            raise SkipError("unknown_element", f"atom {place}: {symbol!r} is no element")
    elements = np.array([known[symbol] for symbol in symbols], dtype=np.int64)
    if labels is None:
        labels = [f"{symbol}{place}" for place, symbol in enumerate(symbols, start=1)]
    shares = np.ones(len(symbols)) if occupancy is None else np.array(occupancy, dtype=np.float64)
    table = AtomTable.of(labels, elements, fractional, shares, groups, assemblies)
    return Structure(lattice, table, formula_sum=formula_sum, flags=flags)


def encode(structure: Structure) -> bytes:
    """A structure without operations as JSON, in which no digit is lost; `decode` is the way back."""
    table = structure.table
    columns: dict[str, Any] = {
        "lattice": structure.lattice.tolist(),
        "symbols": [SYMBOLS[number] for number in table.numbers.tolist()],
        "labels": list(table.labels),
        "fractional": table.fractional.tolist(),
        "occupancy": table.occupancy.tolist(),
    }
    return json.dumps(columns).encode()


def decode(data: bytes) -> Structure:
    """The structure that `encode` received."""
    columns = json.loads(data)
    return structure_of(lattice_from(columns.pop("lattice")), **columns)


def name_in(properties: object, default: str) -> str:
    """The name that a structure carries among its properties, else `default`."""
    if isinstance(properties, dict):
        for key in NAME_KEYS:
            value = properties.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(value).strip()
    return default
