"""Bonds as a column of the sites table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa

from atomsight.core.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.core.errors import InputError
from atomsight.geometry.bonds.perceive import perceive_bonds

BondSource = Literal["none", "file", "perceive"]
"""Where the bonds of a dataset come from: nowhere, the files' own tables, or these and the geometry."""


def checked_source(source: str) -> BondSource:
    """A source of bonds by its name.

    Raises:
        InputError: another word.
    """
    if source not in get_args(BondSource):
        raise InputError(f"bonds are one of {', '.join(get_args(BondSource))}, not {source!r}")
    return cast(BondSource, source)


def bonds_of(crystal: Crystal, source: BondSource) -> Bonds | None:
    """The bonds of a crystal's sites as far as the source knows them; None where it knows nothing."""
    if source == "none":
        return None
    return perceive_bonds(crystal) if source == "perceive" else crystal.bonds


def bonds_column(
    crystals: Sequence[Crystal], bonds: Sequence[Bonds | None], source: BondSource, kind: pa.ListType
) -> pa.ListArray:
    """One list of bonds for each site of each crystal, shortest first.

    A site about which nothing is known has no list (null): a crystal without bonds, or a site that its file's
    table leaves out. A site that was looked at and has none has an empty list.
    """
    if all(found is None for found in bonds):
        nothing: Any = pa.nulls(sum(crystal.n_sites for crystal in crystals), kind)
        return nothing
    counts, sites, lengths, types = [], [], [], []
    for crystal, found in zip(crystals, bonds, strict=True):
        if found is None:
            counts.append(np.full(crystal.n_sites, -1))
            continue
        order = np.lexsort((found.atoms, found.lengths, found.sites))
        held = np.bincount(found.sites, minlength=crystal.n_sites)
        counts.append(held if source == "perceive" else np.where(held == 0, -1, held))
        sites.append(crystal.orbits[found.atoms[order]])
        lengths.append(found.lengths[order])
        types.append(found.types[order])
    length = np.concatenate([np.empty(0, np.int64), *counts])
    codes: Any = pa.array(np.concatenate([np.empty(0, np.uint8), *types]).astype(np.int8))
    values: Any = pa.StructArray.from_arrays(
        [
            pa.array(np.concatenate([np.empty(0), *sites]).astype(np.uint32)),
            pa.array(np.concatenate([np.empty(0), *lengths]).astype(np.float32)),
            pa.DictionaryArray.from_arrays(codes, pa.array(BOND_TYPES)).cast(pa.string()),
        ],
        fields=list(kind.value_type),
    )
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(np.maximum(length, 0))]).astype(np.int32))
    unknown = pa.array(length < 0) if len(length) else None
    return pa.ListArray.from_arrays(offsets, values, type=kind, mask=unknown)
