"""Structure files with other elements on some sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS, atomic_number
from atomsight.core.errors import InputError
from atomsight.io import crystals_of, iter_members
from atomsight.io.member import Member

_TYPE, _LABEL = "_atom_site_type_symbol", "_atom_site_label"


def with_elements(crystal: Crystal, changes: Mapping[int, str]) -> Crystal:
    """Return the crystal with other elements on some sites, without the bonds listed in its file.

    Args:
        crystal: the crystal.
        changes: element symbol by index of the site.

    Raises:
        InputError: there is no such site or element.
    """
    numbers = crystal.numbers.copy()
    for site, symbol in changes.items():
        if not 0 <= site < crystal.n_sites:
            raise InputError(f"there is no site {site}; {crystal.name} has sites 0 to {crystal.n_sites - 1}")
        numbers[crystal.orbits == site] = atomic_number(symbol)
    return replace(crystal, numbers=numbers, bonds=None)


def corrected_cif(crystal: Crystal, changes: Mapping[int, str], path: Path) -> str:
    """Return a CIF of the crystal with other elements on some sites.

    If the file is a CIF, all its items are kept except comments, and only type symbols change. The new text
    is read again. If the result differs from the wanted crystal (repeated labels, elements in the labels
    only), or if the file has another format, the text is a plain CIF of the whole cell in P1.

    Args:
        crystal: the crystal as read.
        changes: element symbol by index of the site.
        path: the file or archive that it was read from.

    Raises:
        InputError: there is no such site or element.
    """
    wanted = with_elements(crystal, changes)
    changed = ", ".join(
        f"{crystal.labels[site]} {SYMBOLS[crystal.site_numbers[site]]} -> {SYMBOLS[atomic_number(symbol)]}"
        for site, symbol in sorted(changes.items())
    )
    head = f"# atomsight: {_plain(changed) or 'nothing'} changed; formula and other items are unchanged\n"
    member = next((m for m in iter_members([path]) if _holds(m, crystal.source)), None)
    if member is not None and member.format == "cif":
        text = _edited(member, crystal, wanted)
        if text is not None:
            return head + text
    return head + wanted.to_cif()


def _holds(member: Member, source: str) -> bool:
    return source == member.source or source.startswith(f"{member.source}#")


def _edited(member: Member, crystal: Crystal, wanted: Crystal) -> str | None:
    """Return the file's text with other type symbols; None if it does not read back as wanted."""
    try:
        document = gemmi.cif.read_string(member.data)
    except (ValueError, RuntimeError):
        return None
    name = crystal.source.removeprefix(member.source).removeprefix("#")
    changed = np.flatnonzero(crystal.site_numbers != wanted.site_numbers)
    symbols = {crystal.labels[site]: SYMBOLS[wanted.site_numbers[site]] for site in changed.tolist()}
    for block in document:
        if name and block.name != name:
            continue
        table = block.find([_LABEL, _TYPE])
        for row in table:
            symbol = symbols.get(row.str(0))
            if symbol is not None:
                row[1] = symbol
    text = document.as_string()
    again = crystals_of(Member(member.name, member.source, text.encode(), member.format))
    found = next((one for one in again if one.source == crystal.source), None)
    if found is None or found.labels != crystal.labels:
        return None
    return text if np.array_equal(found.numbers, wanted.numbers) else None


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
