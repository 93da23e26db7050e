"""Which element a type symbol or an atom label means."""

from __future__ import annotations

import re
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS, formula_counts
from atomsight.io._tags import UNKNOWN, text_of
from atomsight.io.policy import SkipError

DEUTERIUM = 255
"""Stands for D and T until the reader has noted them; they then count as H."""

# Mineral databases name the oxygen of water and hydroxyl so.
_OXYGENS = ("WAT", "OW", "OH", "HOH", "H2O")


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
                raise SkipError(
                    "unknown_element",
                    f"atom {label!r} has no type symbol and its label leaves the element in doubt",
                )
        out[i] = number
    return out
