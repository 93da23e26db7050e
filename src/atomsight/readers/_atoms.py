"""The atom list of a CIF block as arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.elements import NUMBERS, formula_counts
from atomsight.readers.quality import SkipError

DEUTERIUM = 255
"""Stands for D and T in `element_of`, until the reader has noted them."""

# Mineral databases name the oxygen of water and hydroxyl so.
_OXYGENS = {"WAT", "OW", "OH", "HOH", "H2O"}
_UNKNOWN = ("?", ".")


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

    labels: list[str]
    numbers: NDArray[np.uint8]
    fractional: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    groups: list[str] | None = None
    assemblies: list[str] | None = None
    deuterium: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, keep: NDArray[np.bool_]) -> AtomTable:
        """The rows where `keep` is true."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep).tolist()
        return replace(
            self,
            labels=[self.labels[i] for i in rows],
            numbers=self.numbers[keep],
            fractional=self.fractional[keep],
            occupancy=self.occupancy[keep],
            groups=self.groups and [self.groups[i] for i in rows],
            assemblies=self.assemblies and [self.assemblies[i] for i in rows],
        )


def has_atoms(block: gemmi.cif.Block) -> bool:
    """Whether a block has an atom list with coordinates, fractional or Cartesian."""
    return any(len(block.find_values(f"_atom_site_{tag}")) for tag in ("fract_x", "Cartn_x", "label"))


def read_atoms(block: gemmi.cif.Block) -> AtomTable:
    """The atom list of a block, without its dummy atoms.

    Raises:
        SkipError: no fractional coordinates, or a symbol that is no element.
    """
    columns = _Columns(block)
    x = columns.get("fract_x")
    if x is None:
        raise SkipError(
            "missing_coordinates", "the atom list has no fractional coordinates (_atom_site_fract_x)"
        )
    n = len(x)
    symbols = columns.get("type_symbol")
    labels = columns.get("label") or symbols
    if labels is None:
        raise SkipError("unknown_element", "the atom list has neither labels nor type symbols")
    fractional = np.empty((n, 3))
    fractional[:, 0] = to_floats(x)
    for axis, tag in ((1, "fract_y"), (2, "fract_z")):
        values = columns.get(tag)
        if values is None:
            raise SkipError("missing_coordinates", f"the atom list has no _atom_site_{tag}")
        fractional[:, axis] = to_floats(values)
    occupancies = columns.get("occupancy")
    occupancy = np.ones(n) if occupancies is None else to_floats(occupancies)
    occupancy[np.isnan(occupancy)] = 1.0
    flags = columns.get("calc_flag")
    real = np.ones(n, bool) if flags is None else np.array([flag.lower() != "dum" for flag in flags])
    numbers = _numbers(block, labels, symbols, real)
    table = AtomTable(
        [gemmi.cif.as_string(label) if label[0] in "'\";" else label for label in labels],
        np.where(numbers == DEUTERIUM, 1, numbers).astype(np.uint8),
        fractional,
        occupancy,
        _marks(columns.get("disorder_group")),
        _marks(columns.get("disorder_assembly")),
        bool((numbers == DEUTERIUM).any()),
    )
    return table.take(real)


class _Columns:
    """Columns of the atom list as lists of raw strings, from a loop or from single values."""

    def __init__(self, block: gemmi.cif.Block) -> None:
        self.block = block
        loop = block.find_loop("_atom_site_fract_x").get_loop()
        self.index: dict[str, int] = {}
        if loop is not None:
            self.values, self.width = loop.values, loop.width()
            self.index = {tag.lower(): i for i, tag in enumerate(loop.tags)}

    def get(self, name: str) -> list[str] | None:
        """The column ``_atom_site_<name>``; None where there is none."""
        tag = f"_atom_site_{name}"
        if self.index:
            at = self.index.get(tag.lower())
            return None if at is None else self.values[at :: self.width]
        value = self.block.find_value(tag)
        return None if value is None else [value]


def to_floats(values: list[str]) -> NDArray[np.float64]:
    """(n,) float64 of CIF numbers, a standard uncertainty in parentheses left off; NaN for ``?``, ``.`` and no number."""
    try:
        return np.array(list(map(float, values)))
    except ValueError:
        return np.array([gemmi.cif.as_number(value) for value in values])


def _marks(values: list[str] | None) -> list[str] | None:
    """Disorder groups or assemblies, with ``""`` for none; group 0 is the ordered part in SHELX."""
    if values is None:
        return None
    marks = ["" if value in _UNKNOWN or value == "0" else gemmi.cif.as_string(value) for value in values]
    return marks if any(marks) else None


def element_of(symbol: str) -> int | None:
    """Atomic number of a type symbol such as ``Te6+``, ``O2-``, ``Cval`` or ``D`` (`DEUTERIUM`); None if it is none."""
    letters = re.match(r"[A-Za-z]*", symbol.strip("'\" "))
    text = letters.group(0) if letters else ""
    if text.upper() in ("D", "T"):
        return DEUTERIUM
    number = NUMBERS.get(text.capitalize())
    if number is None and text.upper() in _OXYGENS:
        return NUMBERS["O"]
    if number is None and text[1:2].islower():  # valence and form-factor suffixes: Cval, Siva
        number = NUMBERS.get(text[:2]) or (NUMBERS.get(text[:1]) if text[1:] == "val" else None)
    return number


def element_of_label(label: str, allowed: frozenset[str]) -> int | None:
    """Atomic number from an atom label such as ``C12``, ``Zn1A`` or ``CA1``; None where it cannot be told.

    In a label of capitals, ``CA1`` is calcium or a carbon called A. The elements of the formula (`allowed`, empty where
    unknown) decide; without them only readings that leave no doubt count.
    """
    match = re.match(r"[A-Za-z]+", label.strip("'\" "))
    if match is None:
        return None
    text = match.group(0)
    if text.upper() in _OXYGENS:
        return NUMBERS["O"]
    two, one = text[:2].capitalize(), text[:1].upper()
    readings = [symbol for symbol in (two, one) if symbol in NUMBERS]
    if allowed and any(symbol in allowed for symbol in readings):
        readings = [symbol for symbol in readings if symbol in allowed]
    elif len(readings) == 2 and len(text) > 1 and text[1].isupper() and two not in ("Cl", "Br"):
        return None
    if not readings:
        return None
    return DEUTERIUM if readings[0] in ("D", "T") else NUMBERS[readings[0]]


def _numbers(
    block: gemmi.cif.Block, labels: list[str], symbols: list[str] | None, real: NDArray[np.bool_]
) -> NDArray[np.int64]:
    cache: dict[tuple[str, str] | str, int | None] = {}
    allowed: frozenset[str] | None = None
    out = np.zeros(len(labels), np.int64)
    unique = set(symbols or ())
    table = {symbol: element_of(symbol) for symbol in unique if symbol not in _UNKNOWN}
    if symbols is not None and all(table.get(symbol) is not None for symbol in unique):
        return np.array([table[symbol] for symbol in symbols], np.int64)
    for i, label in enumerate(labels):
        symbol = symbols[i] if symbols is not None else "?"
        if not real[i]:
            continue
        number = table.get(symbol)
        if number is None and symbol in _UNKNOWN:
            if allowed is None:
                allowed = frozenset(formula_counts(_string(block, "_chemical_formula_sum") or ""))
                allowed |= {"D", "T"} if "H" in allowed else set()
            if label not in cache:
                cache[label] = element_of_label(label, allowed)
            number = cache[label]
        if number is None:
            given = (
                f"type symbol {symbol!r}" if symbol not in _UNKNOWN else "label alone, in doubt or no element"
            )
            raise SkipError("unknown_element", f"atom {label!r}: no element can be told from its {given}")
        out[i] = number
    return out


def _string(block: gemmi.cif.Block, tag: str) -> str | None:
    value = block.find_value(tag)
    return None if value is None or value in _UNKNOWN else gemmi.cif.as_string(value).strip()
