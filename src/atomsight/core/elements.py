"""Chemical elements: symbols, atomic numbers, formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import gcd

from atomsight.core.errors import InputError

SYMBOLS: tuple[str, ...] = tuple(
    """
    X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
    Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er
    Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md
    No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
    """.split()
)
"""Element symbols by atomic number; index 0 is the dummy ``X``."""

NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS) if z} | {"D": 1, "T": 1}
"""Atomic number by symbol; deuterium and tritium count as hydrogen."""

TWENTY: tuple[str, ...] = tuple("H B C N O F Si P S Cl Fe Co Ni Cu Zn Se Br Mo Ru I".split())
"""The twenty elements of the main comparison."""

TEN: tuple[str, ...] = tuple("C N O Li Na K Al Si P S".split())
"""The ten elements of the founding study's smaller setting."""


def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol in any case, ``D`` and ``T`` as hydrogen.

    Raises:
        InputError: the symbol is no element.
    """
    number = NUMBERS.get(symbol.strip().capitalize())
    if number is None:
        raise InputError(f"{symbol!r} is not a chemical element; use symbols such as C, Cl, Zn")
    return number


def parse_elements(text: str | Iterable[str]) -> tuple[int, ...]:
    """Atomic numbers, ascending and without repeats, from ``"C,H,N"``, ``"C H N"`` or a list of symbols.

    Raises:
        InputError: one of the symbols is no element, or there is none.
    """
    symbols = re.split(r"[,;\s]+", text.strip()) if isinstance(text, str) else list(text)
    numbers = sorted({atomic_number(symbol) for symbol in symbols if symbol})
    if not numbers:
        raise InputError("no element named; give symbols such as C,H,N,O")
    return tuple(numbers)


_FORMULA_TOKEN = re.compile(r"([A-Z][a-z]?)\s*(\d+(?:\.\d*)?|\.\d+)?")


def formula_counts(formula: str) -> dict[str, float]:
    """Counts by symbol from a CIF formula sum such as ``'C2 H14 N4 O8 Te'``; D and T are added to H.

    A formula with charges, parentheses or unknown text gives an empty dict, because a formula that is read
    wrongly is worse than none.
    """
    counts: dict[str, float] = {}
    position = 0
    text = formula.strip()
    while position < len(text):
        if text[position] in " ,\t":
            position += 1
            continue
        match = _FORMULA_TOKEN.match(text, position)
        if match is None or match.group(1) not in NUMBERS:
            return {}
        symbol = SYMBOLS[NUMBERS[match.group(1)]]
        counts[symbol] = counts.get(symbol, 0.0) + float(match.group(2) or 1)
        position = match.end()
    return counts


def reduced_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts divided by their greatest common divisor."""
    divisor = max(gcd(*counts.values()), 1)
    return {symbol: count // divisor for symbol, count in counts.items()}


def hill_order(symbols: Iterable[str]) -> list[str]:
    """Symbols in Hill order: C, H, then the rest by alphabet; without carbon all by alphabet."""
    held = set(symbols)
    return sorted(held, key=lambda s: ("C" in held and {"C": -2, "H": -1}.get(s, 0), s))


def hill_formula(counts: Mapping[str, int]) -> str:
    """Formula in Hill order, such as ``C6H6``."""
    return "".join([s if counts[s] == 1 else f"{s}{counts[s]}" for s in hill_order(counts)])
