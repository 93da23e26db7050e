"""The leak-free split: what belongs together stays together, decided by a hash of the group's name.

A crystal's *group* joins it to everything that shares its reduced formula or its family: the connected
component. No split by atoms or sites, ever: symmetry copies, redeterminations and polymorphs of one compound
would leak.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

REFCODE = re.compile(r"([A-Z]{6})(\d\d)?(?![A-Za-z0-9])")
"""A refcode of the Cambridge Structural Database at the start of a name: six letters (the family), then two
digits in redeterminations."""

_DATABASE_ID = re.compile(
    r"(?:cod[-_])?(\d{7})(?![-A-Za-z0-9])|((?:mp|mvc|qmof)-[0-9a-f]+)(?![A-Za-z0-9])", re.IGNORECASE
)

_TREATMENT = re.compile(
    r"(?:_(?:clean5b|clean|freeONLY|charged|uncharged|ion|manual|neutral|auto|SL|part|min|5b|h|b))+$"
)
"""What CoRE MOF appends to a name to say how the file was prepared, ``_clean``, ``_freeONLY``,
``_neutral_b``."""


def family(name: str) -> str:
    """What redeterminations and other preparations of one compound share.

    The six letters of a CSD refcode (``ABAVIJ`` for ``ABAVIJ01_clean``), a COD number (``cod-2016452``), the
    id of a Materials Project or QMOF entry; else the name itself without the ending by which CoRE MOF says
    how a file was prepared, so that ``x_clean`` and ``x_freeONLY`` are one family.
    """
    if match := REFCODE.match(name):
        return match.group(1)
    if match := _DATABASE_ID.match(name):
        return f"cod-{match.group(1)}" if match.group(1) else match.group(2).lower()
    return _TREATMENT.sub("", name)


def entry(name: str) -> str | None:
    """The published determination that a file name stands for, or None where the name does not say.

    A refcode with its digits, else a name that carries a preparation of CoRE MOF without it. Several files of
    one entry are the same experiment prepared in different ways.
    """
    if match := REFCODE.match(name):
        return match.group(0)
    stem = _TREATMENT.sub("", name)
    return stem if stem != name else None


def groups(formulas: Sequence[str], families: Sequence[str]) -> list[str]:
    """Name of the group of each crystal: the alphabetically first reduced formula in its connected component.

    Args:
        formulas: reduced formula of each crystal.
        families: family of each crystal, see `family`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not formulas:
        return []
    names, formula_of = np.unique(np.asarray(formulas, dtype=object), return_inverse=True)
    kin, family_of = np.unique(np.asarray(families, dtype=object), return_inverse=True)
    size = len(names) + len(kin)
    links = coo_array(
        (np.ones(len(formula_of), np.int8), (formula_of, len(names) + family_of)), shape=(size, size)
    )
    component = connected_components(links, directed=False)[1][: len(names)]
    # np.unique sorts, so the first formula met of each component is its alphabetically first.
    first = np.unique(component, return_index=True)[1]
    return [str(name) for name in names[first[component[formula_of]]]]


def split_of(group: str) -> str:
    """``test`` if sha256(group name) mod 10 is 0, ``val`` if 1, else ``train``."""
    remainder = int(hashlib.sha256(group.encode()).hexdigest(), 16) % 10
    return {0: "test", 1: "val"}.get(remainder, "train")
