"""The atom list of a CIF block as arrays, and the elements that its symbols and labels mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.core.elements import NUMBERS, formula_counts
from atomsight.io._syntax import UNKNOWN, text_of, unquoted
from atomsight.io.policy import SkipError

_X = "_atom_site_fract_x"

DEUTERIUM = 255
"""Stands for D and T until the reader has noted them; they then count as H."""

# Mineral databases name the oxygen of water and hydroxyl so.
_OXYGENS = ("WAT", "OW", "OH", "HOH", "H2O")


@dataclass(frozen=True)
class AtomTable:
    """The rows of an atom list.

    Attributes:
        labels: n strings.
        numbers: (n,) uint8 atomic numbers.
        fractional: (n, 3) float64; NaN where the file gives none.
        occupancy: (n,) float64; 1 where the file gives none.
        groups, assemblies: n strings each, ``""`` for atoms outside disorder; None where no atom has one.
        deuterium: whether some H was given as D or T.
    """

    labels: Sequence[str]
    numbers: NDArray[np.uint8]
    fractional: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    groups: list[str] | None = None
    assemblies: list[str] | None = None
    deuterium: bool = False

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        elements: NDArray[np.int64],
        fractional: ArrayLike,
        occupancy: NDArray[np.float64],
        groups: list[str] | None = None,
        assemblies: list[str] | None = None,
    ) -> AtomTable:
        """Make a table of atomic numbers in which `DEUTERIUM` stands for D and T, which count as hydrogen."""
        numbers = elements.astype(np.uint8)
        heavy = numbers == DEUTERIUM
        numbers[heavy] = 1
        positions = np.ascontiguousarray(fractional, dtype=np.float64).reshape(-1, 3)
        return cls(labels, numbers, positions, occupancy, groups, assemblies, bool(heavy.any()))

    def __len__(self) -> int:
        return len(self.numbers)

    def labels_at(self, rows: NDArray[np.integer]) -> tuple[str, ...]:
        """The labels of some rows."""
        return tuple([self.labels[i] for i in rows.tolist()])

    def take(self, keep: NDArray[np.bool_]) -> AtomTable:
        """The rows where `keep` is true."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        return replace(
            self,
            labels=self.labels_at(rows),
            numbers=self.numbers[keep],
            fractional=self.fractional[keep],
            occupancy=self.occupancy[keep],
            groups=self.groups and [self.groups[i] for i in rows.tolist()],
            assemblies=self.assemblies and [self.assemblies[i] for i in rows.tolist()],
        )


def has_atoms(block: gemmi.cif.Block) -> bool:
    """Whether a block has an atom list, with coordinates of any kind or without."""
    return any(len(block.find_values(tag)) for tag in (_X, "_atom_site_label", "_atom_site_Cartn_x"))


def read_atoms(block: gemmi.cif.Block) -> AtomTable:
    """The atom list of a block, without its dummy atoms.

    Raises:
        SkipError: no fractional coordinates, or a symbol that is no element.
    """
    columns: dict[str, list[str]] = {}
    loop = block.find_loop(_X).get_loop()
    if loop is not None:
        # All values at once: a call of gemmi for each of them costs more than all that is done with it.
        values, width = loop.values, loop.width()
        columns = {tag.lower(): values[i::width] for i, tag in enumerate(loop.tags)}

    def column(name: str) -> list[str] | None:
        if columns:
            return columns.get(f"_atom_site_{name}")
        value = block.find_value(f"_atom_site_{name}")
        return None if value is None else [value]

    axes = [column("fract_x"), column("fract_y"), column("fract_z")]
    if any(axis is None for axis in axes):
        raise SkipError("missing_coordinates", "the atom list has no fractional coordinates")
    fractional = np.array([to_floats(axis) for axis in axes if axis is not None]).T
    n = len(fractional)
    symbols = column("type_symbol")
    labels = column("label") or symbols
    if labels is None:
        raise SkipError("unknown_element", "the atom list has neither labels nor type symbols")
    occupancies, flags = column("occupancy"), column("calc_flag")
    occupancy = np.ones(n) if occupancies is None else to_floats(occupancies)
    occupancy[np.isnan(occupancy)] = 1.0
    real = np.ones(n, bool) if flags is None else np.array([flag.lower() != "dum" for flag in flags])
    labels = unquoted(labels)
    elements = atomic_numbers(block, labels, symbols, real)
    groups, assemblies = _marks(column("disorder_group")), _marks(column("disorder_assembly"))
    return AtomTable.of(labels, elements, fractional, occupancy, groups, assemblies).take(real)


def to_floats(values: list[str]) -> NDArray[np.float64]:
    """(n,) float64 of CIF numbers without their uncertainty in parentheses; NaN for ``?``, ``.``, words."""
    try:
        return np.array(list(map(float, values)))
    except ValueError:
        return np.array(list(map(gemmi.cif.as_number, values)))


def _marks(values: list[str] | None) -> list[str] | None:
    """Disorder groups or assemblies, with ``""`` for none; group 0 is the ordered part in SHELX."""
    if values is None:
        return None
    marks = ["" if value in UNKNOWN or value == "0" else gemmi.cif.as_string(value) for value in values]
    return marks if any(marks) else None


@lru_cache(maxsize=4096)
def element_of(symbol: str) -> int | None:
    """Atomic number of a type symbol such as ``Te6+``, ``Cval`` or ``D`` (`DEUTERIUM`); None for none."""
    letters = re.match(r"[A-Za-z]*", symbol.strip("'\" "))
    text = letters.group(0) if letters else ""
    if text.upper() in ("D", "T"):
        return DEUTERIUM
    number = NUMBERS.get(text.capitalize())
    if number is None and text.upper() in _OXYGENS:
        return NUMBERS["O"]
    if number is None and text.lower().endswith("val"):  # form factors of the valence state: Cval, Sival
        return NUMBERS.get(text[:-3].capitalize())
    return number


@lru_cache(maxsize=4096)
def element_of_label(label: str, allowed: frozenset[str]) -> int | None:
    """Atomic number from an atom label such as ``C12``, ``Zn1A`` or ``CA1``; None where it cannot be told.

    In a label of capitals, ``CA1`` is calcium or a carbon called A. The elements of the formula (`allowed`,
    empty where unknown) decide; without them only readings that leave no doubt count.
    """
    match = re.match(r"[A-Za-z]+", label.strip("'\" "))
    if match is None:
        return None
    text = match.group(0)
    if text.upper() in _OXYGENS:
        return NUMBERS["O"]
    two, one = text[:2].capitalize(), text[:1].upper()
    readings = [symbol for symbol in dict.fromkeys((two, one)) if symbol in NUMBERS]
    within = [symbol for symbol in readings if symbol in allowed]
    if within:
        readings = within
    elif len(readings) == 2 and text[1].isupper() and two not in ("Cl", "Br"):
        return None
    if not readings:
        return None
    return DEUTERIUM if readings[0] in ("D", "T") else NUMBERS[readings[0]]


def atomic_numbers(
    block: gemmi.cif.Block, labels: list[str], symbols: list[str] | None, real: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(n,) atomic numbers, `DEUTERIUM` for D and T, 0 for atoms that are not real (dummies).

    The type symbol decides; where it is unknown or the column is missing, the label does.

    Raises:
        SkipError: ``unknown_element``.
    """
    by_symbol = {symbol: element_of(symbol) for symbol in set(symbols or ()) if symbol not in UNKNOWN}
    known = {symbol: number for symbol, number in by_symbol.items() if number is not None}
    if symbols is not None and known.keys() == set(symbols):
        return np.where(real, [known[symbol] for symbol in symbols], 0).astype(np.int64)
    allowed: frozenset[str] | None = None
    out = np.zeros(len(labels), np.int64)
    for i in np.flatnonzero(real).tolist():
        label, symbol = labels[i], "?" if symbols is None else symbols[i]
        if symbol not in UNKNOWN:
            number = by_symbol[symbol]
            if number is None:
                raise SkipError("unknown_element", f"atom {label!r}: type symbol {symbol!r} is no element")
        else:
            if allowed is None:
                allowed = frozenset(formula_counts(text_of(block, "_chemical_formula_sum") or ""))
            number = element_of_label(label, allowed)
            if number is None:
                text = f"atom {label!r} has no type symbol and its label leaves the element in doubt"
                raise SkipError("unknown_element", text)
        out[i] = number
    return out
